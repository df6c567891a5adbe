"""The audit trail as a file: what a search finds, all of it, whole, and written down."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from governance.selectors import audit_page
from nautilus_site.common.models import AuditEntry, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_digests import FORM, entry_digests
from nautilus_site.common.services.audit_signing import signer_made

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


@pytest.fixture
def key(tmp_path: Path, settings: Any) -> str:
    settings.NAUTILUS_HOME = tmp_path
    return signer_made(tmp_path / "audit").public_key


def test_a_signed_export_holds_every_entry_as_it_is_stored_and_is_checked_without_a_database(
    api: APIClient,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    django_assert_num_queries: Any,
) -> None:
    monkeypatch.setattr(audit_page, "EXPORT_PAGE", 7)
    for n in range(30):
        audit_record(action="limit.changed", target=f"limit:{n}", actor="test", before=0.10, after={"é": n})
        audit_record(action="other.thing", target="x", actor="test")
    answer = api.get(PATH, {"action": "limit.*", "format": "bundle"})
    assert answer["Content-Disposition"] == 'attachment; filename="nautilus-audit.jsonl"'
    content = b"".join(answer.streaming_content)
    head, *entries, last = [json.loads(line) for line in content.splitlines()]
    assert (head["by"], head["filter"], head["public_key"]) == ("risk", {"action": "limit.*"}, key)
    assert [entry["target"] for entry in entries] == [f"limit:{n}" for n in range(29, -1, -1)]
    digests = entry_digests(AuditEntry.objects.filter(action="limit.changed"), FORM)
    assert {entry["id"]: entry["digest"] for entry in entries} == digests
    assert (entries[0]["after"], last["entries"]) == ('{"é": 29}', 30)
    assert AuditEntry.objects.get(action="export.audit").after == {"action": "limit.*", "format": "bundle"}
    file = tmp_path / "export.jsonl"
    file.write_bytes(content)
    with django_assert_num_queries(0):
        call_command("audit", "verify-export", str(file))
        call_command("audit", "verify-export", str(file), "--key", key)
        assert capsys.readouterr().out.count("the export holds: 30 entries, exported by risk at") == 2
        for wrong in (content.replace(b"limit:7", b"limit:8"), content[:-9]):
            file.write_bytes(wrong)
            with pytest.raises(SystemExit) as ended:
                call_command("audit", "verify-export", str(file))
            assert ended.value.code == 1
        said = capsys.readouterr().out.splitlines()
        assert said[0].startswith("the export does NOT hold: line 24: entry ")
        assert said[1] == "the export does NOT hold: line 32: it ends in the middle: something was cut off"
        file.write_bytes(content)
        with pytest.raises(SystemExit):
            call_command("audit", "verify-export", str(file), "--key", "0" * 64)
        assert "line 1: it was signed with another key" in capsys.readouterr().out
        (tmp_path / "audit" / "signing.pub").unlink()
        with pytest.raises(CommandError, match="--key"):
            call_command("audit", "verify-export", str(file))


def test_where_there_is_no_key_nothing_is_exported_as_signed(
    api: APIClient, tmp_path: Path, settings: Any
) -> None:
    settings.NAUTILUS_HOME = tmp_path
    answer = api.get(PATH, {"format": "bundle"})
    assert (answer.status_code, answer.json()["code"]) == (409, "NO_SIGNING_KEY")
    signer_made(tmp_path / "audit")
    (tmp_path / "audit" / "signing.pub").write_text("0" * 64)
    answer = api.get(PATH, headers={"accept": "application/x-ndjson"})
    assert (answer.status_code, answer.json()["code"]) == (409, "SIGNING_KEY_UNUSABLE")
    assert not AuditEntry.objects.filter(action="export.audit").exists()
    for query in ({}, {"format": "csv"}):
        assert rows_of(api.get(PATH, query)), "CSV as ever"
    assert api.get(PATH, {"format": "xml"}).status_code == 404


def test_the_page_shows_the_key_and_offers_what_this_host_can_sign(
    browser: Callable[[User], Any], risk_officer: User, key: str, tmp_path: Path
) -> None:
    page = browser(risk_officer).get("/audit/").content.decode()
    assert key in page
    assert 'format=bundle" download>Export signed' in page
    (tmp_path / "audit" / "signing.key").unlink()
    assert (
        'format=bundle" download hidden>Export signed'
        in browser(risk_officer).get("/audit/").content.decode()
    )
