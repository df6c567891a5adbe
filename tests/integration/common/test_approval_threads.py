"""Asking back before deciding, turning several requests down at once, and who decides whose requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from governance.domain.notices import notice_of
from nautilus_site.common.models import (
    AuditEntry,
    BreakGlass,
    ChangeComment,
    ChangeRequest,
    OutboxEvent,
    User,
)
from nautilus_site.common.services.change_requests import change_request_create, change_request_reject
from tests.factories.trading import Desk, trading_desk
from trading.services.controls import limit_change

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
Clients = Callable[..., APIClient]
PATH = "/api/v1/approvals"


@pytest.fixture
def desk(clean_cache: None) -> Desk:
    return trading_desk()


def asked(trader: User, *names: str) -> list[ChangeRequest]:
    made = []
    for name in names:
        request = limit_change(
            name=name, scope="global", value=Decimal(10**6), reason="more room", actor=trader
        )
        assert isinstance(request, ChangeRequest)
        made.append(request)
    return made


def test_people_ask_back_before_they_decide(
    desk: Desk, trader: User, risk_officer: User, viewer: User, session_client: Clients
) -> None:
    (request,) = asked(trader, "max_notional")
    path = f"{PATH}/{request.pk}/comments"
    said = session_client(risk_officer).post(path, {"text": " Why so much? "}, format="json")
    assert (said.status_code, said.json()["author"], said.json()["text"]) == (201, "risk", "Why so much?")
    session_client(trader).post(path, {"text": "A larger account."}, format="json")
    told = session_client(viewer).get(path).json()
    assert [(row["author"], row["text"]) for row in told] == [
        ("risk", "Why so much?"), ("trader", "A larger account."),
    ]  # fmt: skip
    entry = AuditEntry.objects.get(action="change_request.commented", actor=risk_officer)
    assert (entry.target, entry.reason) == (f"limit.loosen:{request.target}", "Why so much?")
    event = OutboxEvent.objects.filter(topic="approvals").order_by("-pk").first()
    assert event is not None
    notice = notice_of("approvals", event.data)
    assert notice is not None
    assert (notice.kind, notice.text) == ("approval.commented", "A larger account.")
    shown = session_client(risk_officer).get("/state/approvals/").json()["pending"][0]
    assert [row["text"] for row in shown["thread"]] == ["Why so much?", "A larger account."]
    request.refresh_from_db()
    assert request.state == "pending", "a comment decides nothing"


def test_nobody_comments_without_a_part_in_it_or_after_the_end(
    desk: Desk, trader: User, risk_officer: User, viewer: User, session_client: Clients
) -> None:
    (request,) = asked(trader, "max_notional")
    path = f"{PATH}/{request.pk}/comments"
    assert session_client(viewer).post(path, {"text": "me too"}, format="json").status_code == 403
    assert session_client(trader).post(path, {"text": "  "}, format="json").status_code == 400
    assert session_client(trader).post(path, {"text": "x" * 2001}, format="json").status_code == 400
    change_request_reject(request_id=request.pk, approver=risk_officer, note="no")
    late = session_client(trader).post(path, {"text": "why?"}, format="json")
    assert (late.status_code, late.json()["code"]) == (409, "APPROVAL_CLOSED")
    assert not ChangeComment.objects.exists()


def test_several_are_rejected_for_one_reason_each_on_its_own(
    desk: Desk, trader: User, risk_officer: User, session_client: Clients, token_client: Clients
) -> None:
    first, second, third = asked(trader, "max_notional", "daily_loss", "exposure_symbol")
    own = change_request_create(
        kind="limit.loosen", target="max_quantity@global", payload={"value": "200000"}, reason="r",
        requester=risk_officer,
    )  # fmt: skip
    change_request_reject(request_id=third.pk, approver=risk_officer, note="no")
    body = {"ids": [str(row.pk) for row in (first, second, third)], "note": "not before the weekend"}
    assert token_client(risk_officer).post(f"{PATH}/reject", body, format="json").status_code == 403
    assert (
        session_client(risk_officer).post(f"{PATH}/reject", {**body, "note": ""}, format="json").status_code
        == 400
    )
    answer = session_client(risk_officer).post(f"{PATH}/reject", body, format="json")
    assert [(row["state"], row["code"]) for row in answer.json()] == [
        ("rejected", ""), ("rejected", ""), (None, "APPROVAL_CLOSED"),
    ]  # fmt: skip
    entries = AuditEntry.objects.filter(action="change_request.rejected", reason="not before the weekend")
    assert entries.count() == 2
    by_trader = session_client(trader).post(
        f"{PATH}/reject", {"ids": [str(own.pk)], "note": "x"}, format="json"
    )
    assert by_trader.json()[0]["code"] == "ROLE_REQUIRED", (
        "a trader turns down nobody's request but their own"
    )
    own.refresh_from_db()
    assert own.state == "pending"


def test_the_report_of_duties_names_what_nobody_could_decide(
    desk: Desk, trader: User, risk_officer: User, admin_person: User, session_client: Clients
) -> None:
    (request,) = asked(trader, "max_notional")
    ChangeRequest.objects.filter(pk=request.pk).update(created_at=timezone.now() - timedelta(minutes=10))
    change_request_reject(request_id=request.pk, approver=risk_officer, note="no")
    assert session_client(trader).get(f"{PATH}/duties").status_code == 403
    report: dict[str, Any] = session_client(admin_person).get(f"{PATH}/duties").json()
    kinds = {row["kind"]: row for row in report["kinds"]}
    assert kinds["limit.loosen"]["asks"] == ["trader", "risk_officer"]
    assert (kinds["limit.loosen"]["may_ask"], kinds["limit.loosen"]["blocked"]) == (2, "")
    assert "only person" in kinds["trading_state.lower"]["blocked"], "one risk officer resumes nothing"
    assert kinds["model.promote"]["blocked"] == "nobody who may ask is active"
    assert kinds["capital.endorse"]["asks"] == ["the platform itself"]
    (pair,) = report["decisions"]
    assert (pair["requester"], pair["approver"], pair["applied"], pair["rejected"]) == (
        "trader",
        "risk",
        0,
        1,
    )
    assert 600 <= pair["median_s"] < 660
    User.objects.filter(pk=risk_officer.pk).update(is_active=False)
    report = session_client(admin_person).get(f"{PATH}/duties").json()
    assert {row["blocked"] for row in report["kinds"]} == {"nobody who may decide is active"}


def test_the_inbox_shows_the_report_to_who_reads_the_trail_and_what_is_open_to_all(
    desk: Desk, trader: User, risk_officer: User, viewer: User, session_client: Clients
) -> None:
    moment = timezone.now()
    BreakGlass.objects.create(
        first=trader, second=viewer, first_hash="", second_hash="", sealed_at=moment, opened_at=moment,
        ends_at=moment + timedelta(hours=1), first_was="trader", second_was="viewer", reason="nobody is left",
    )  # fmt: skip
    page = session_client(viewer).get("/approvals/").content.decode()
    assert "Break-glass is open" in page
    assert "Separation of duties" not in page
    assert session_client(viewer).get("/state/approvals/").json()["duties"] == []
    page = session_client(risk_officer).get("/approvals/").content.decode()
    assert "Separation of duties" in page
    assert "trading_state.lower" in page
