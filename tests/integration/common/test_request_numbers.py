"""One number leads from a person's click to everything that was done because of it, also by workers."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from django.test import Client
from rest_framework.test import APIClient

from nautilus_site.celery import app, number_the_run
from nautilus_site.common.models import AuditEntry, User
from nautilus_site.common.requests import CAUSE, request_begin, request_end, request_now
from nautilus_site.common.selectors import audit
from nautilus_site.common.selectors.audit import AuditSearch, audit_page
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import send_group, send_hint

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]


@pytest.fixture(autouse=True)
def _no_request() -> Any:
    request_end()
    yield
    request_end()


def test_a_message_carries_the_request_and_the_run_writes_it_down(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **options: sent.append(options))
    request_begin("click-4711")
    send_hint("governance.tasks.rules_tick", queue="governance")
    request_end()
    assert sent[0]["headers"] == {CAUSE: "click-4711"}

    seen: list[str] = []

    @app.task(name="tests.note_the_request")  # type: ignore[untyped-decorator]
    def note() -> None:
        seen.append(request_now())
        audit_record(action="toy.done", target="x", actor="worker")

    for headers in (sent[0]["headers"], {}, {CAUSE: "no number\n"}):
        note.apply(headers=headers)
    assert seen[0] == "click-4711"
    assert len(set(seen)) == 3
    assert all(len(number) == 32 for number in seen[1:]), "a run nobody asked for has a number of its own"
    assert AuditEntry.objects.earliest("pk").request_id == "click-4711"
    assert request_now() == "", "the next run of this worker is another request"


def test_a_worker_finds_it_as_a_member_of_the_request() -> None:
    """A message that came over a broker: its headers are members of the request, and there is no dict of them."""
    number_the_run(task=SimpleNamespace(request=SimpleNamespace(headers=None, **{CAUSE: "click-4711"})))
    assert request_now() == "click-4711"


def test_the_pieces_of_a_larger_work_carry_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from nautilus_site.common.services import hints

    options: dict[str, Any] = {}
    monkeypatch.setattr(
        hints, "group", lambda pieces: SimpleNamespace(apply_async=lambda **o: options.update(o))
    )
    request_begin("click-4711")
    assert send_group("governance.tasks.rules_tick", "governance", [{}])
    assert options["headers"] == {CAUSE: "click-4711"}


def test_the_trail_is_searched_by_request_on_the_page_by_export_and_by_api(
    risk_officer: User, token_client: Callable[..., APIClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "WINDOWS", 0)  # by index or not at all
    audit_record(action="x", target="other", actor="test")
    request_begin("click-4711")
    one = audit_record(action="x", target="found", actor="test")
    request_end()
    assert [entry.pk for entry in audit_page(AuditSearch(request_id="click-4711")).entries] == [one.pk]
    browser = Client()
    browser.force_login(risk_officer)
    text = browser.get("/audit/?request_id=click-4711").content.decode()
    assert "found" in text
    assert "other" not in text
    assert 'name="request_id" value="click-4711"' in text
    api = token_client(risk_officer)
    listed = api.get("/api/v1/audit?request_id=click-4711").json()["results"]
    assert [row["target"] for row in listed] == ["found"]
    exported = b"".join(api.get("/api/v1/audit/export?request_id=click-4711").streaming_content).decode()  # type: ignore[attr-defined]
    assert ",found," in exported
    assert ",other," not in exported


def test_what_was_typed_stays_in_the_form_when_it_is_no_filter(risk_officer: User) -> None:
    browser = Client()
    browser.force_login(risk_officer)
    answer = browser.get("/audit/?actor=trader&target=limit:x&since=yesterday")
    text = answer.content.decode()
    assert answer.status_code == 200, "the rest is shown; who follows a link sees what is wrong with it"
    for name, value in (("actor", "trader"), ("target", "limit:x"), ("since", "yesterday")):
        assert f'name="{name}" value="{value}"' in text
    assert "since: expected a time" in text


def test_a_beginning_beside_an_exact_word_is_looked_for_window_by_window() -> None:
    assert not audit._is_indexed(AuditSearch(action="order.sent", target="order:1*"))
    assert audit._is_indexed(AuditSearch(action="order.sent", target="order:17"))
