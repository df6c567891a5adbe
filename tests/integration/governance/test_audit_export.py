"""The audit trail as a file: what a search finds, all of it, whole, and written down."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from governance.selectors import audit_page
from nautilus_site.common.models import AuditEntry, User
from nautilus_site.common.services.audit import audit_record

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
PATH = "/api/v1/audit/export"


def rows_of(answer: Any) -> list[dict[str, str]]:
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def api(risk_officer: User, token_client: Callable[..., APIClient]) -> APIClient:
    return token_client(risk_officer)


def test_it_holds_every_entry_of_the_search_newest_first_and_is_an_entry(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_page, "EXPORT_PAGE", 7)
    for n in range(30):
        audit_record(
            action="limit.changed", target=f"limit:{n}", actor="test", before=n, after={"v": n, "é": None}
        )
        audit_record(action="other.thing", target="x", actor="test")
    found = rows_of(api.get(PATH, {"action": "limit.*"}, headers={"accept": "text/csv"}))
    assert [row["target"] for row in found] == [f"limit:{n}" for n in range(29, -1, -1)]
    assert (found[0]["before"], found[0]["after"]) == ("29", '{"v": 29, "\\u00e9": null}')
    entry = AuditEntry.objects.get(action="export.audit")
    assert (entry.actor_name, entry.after) == ("risk", {"action": "limit.*"})
    everything = rows_of(api.get(PATH))
    assert len(everything) == AuditEntry.objects.count() - 1, "itself is in the next one"


def test_what_a_spreadsheet_would_take_for_a_formula_is_text(api: APIClient) -> None:
    for formula in ("=cmd|' /C calc'!A0", "+1", "-1", "@x", "\tx"):
        audit_record(action="x.y", target=formula, actor="=me", reason=formula)
    for row in rows_of(api.get(PATH, {"action": "x.y"})):
        assert row["target"][0] == row["reason"][0] == row["actor"][0] == "'"


@pytest.mark.parametrize("query", [{"since": "yesterday"}, {"acter": "x"}, {"text": "a\x00"}])
def test_a_search_that_cannot_be_is_refused_and_not_written_down(
    api: APIClient, query: dict[str, str]
) -> None:
    assert api.get(PATH, query).status_code == 400
    assert not AuditEntry.objects.filter(action="export.audit").exists()


def test_the_page_has_the_dialog_in_which_a_loss_is_asked_about(
    browser: Callable[[User], Any], risk_officer: User
) -> None:
    page = browser(risk_officer).get("/audit/").content.decode()
    for element in ('id="accept"', 'id="ask-title"', 'name="reason"', 'id="export"'):
        assert element in page
