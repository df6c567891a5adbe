"""A lost second factor is taken away by two others, never by oneself, and by nobody alone."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from governance.domain.notices.events import notice_of
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import (
    AuditEntry,
    ChangeRequest,
    OutboxEvent,
    RecoveryCode,
    SecondFactor,
    User,
)
from nautilus_site.common.services.change_requests import change_request_approve, change_request_create
from nautilus_site.common.services.second_factor_resets import USER_RESET_SECOND_FACTOR
from tests.factories.second_factors import enrol, passed

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]


def ask(requester: User, target: str = "trader", **payload: Any) -> ChangeRequest:
    return change_request_create(
        kind=USER_RESET_SECOND_FACTOR,
        target=target,
        payload=payload,
        reason="lost the phone",
        requester=requester,
    )


def refusal(act: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(ApplicationError) as refused:
        act(*args, **kwargs)
    return refused.value.code


def test_an_admin_asks_a_risk_officer_approves_and_the_password_is_enough_again(
    trader: User, admin_person: User, risk_officer: User, browser: Callable[[User], Client]
) -> None:
    enrol(trader)
    session = passed(browser(trader))
    assert session.get("/people/").status_code == 200
    request = ask(admin_person)
    assert "password alone" in request.effect["log_in"]
    assert SecondFactor.objects.exists(), "asking takes nothing away"
    change_request_approve(request_id=request.pk, approver=risk_officer)
    assert not SecondFactor.objects.exists()
    assert not RecoveryCode.objects.exists()
    assert session.get("/people/").status_code == 302, "who found the phone is out"
    entry = AuditEntry.objects.get(action="second_factor.reset")
    assert (entry.target, entry.actor_name, entry.reason) == ("user:trader", "risk", "lost the phone")
    event = OutboxEvent.objects.get(topic="approvals", data__kind="second_factor")
    told = notice_of("approvals", event.data)
    assert told is not None
    assert (told.kind, told.severity.value) == ("second_factor.reset", "warning")
    assert "admin and risk" in told.text
    enrol(trader)
    assert SecondFactor.objects.filter(confirmed_at__isnull=False).exists(), "they set up another one at once"


def test_nobody_takes_part_in_the_reset_of_their_own(
    make_user: Callable[..., User], admin_person: User, risk_officer: User, second_risk_officer: User
) -> None:
    enrol(admin_person)
    enrol(risk_officer)
    assert refusal(ask, admin_person, "admin") == "OWN_OBJECT"
    request = ask(admin_person, "risk")
    assert refusal(change_request_approve, request_id=request.pk, approver=risk_officer) == "OWN_OBJECT"
    assert refusal(change_request_approve, request_id=request.pk, approver=admin_person) == "SELF_APPROVAL"
    assert SecondFactor.objects.count() == 2
    change_request_approve(request_id=request.pk, approver=second_risk_officer)
    assert not SecondFactor.objects.filter(user=risk_officer).exists()


@pytest.mark.parametrize("role", ["viewer", "trader", "risk_officer", "model_owner"])
def test_only_an_admin_asks(make_user: Callable[..., User], trader: User, role: str) -> None:
    enrol(trader)
    assert refusal(ask, make_user(role)) == "ROLE_REQUIRED"


def test_there_must_be_one_to_take_away(trader: User, admin_person: User) -> None:
    assert refusal(ask, admin_person) == "NO_SECOND_FACTOR"
    assert refusal(ask, admin_person, "nobody") == "USER_NOT_FOUND"
    enrol(trader)
    assert refusal(ask, admin_person, user="trader") == "INVALID_CHANGE"


def test_a_factor_replaced_meanwhile_is_another_one(
    trader: User, admin_person: User, risk_officer: User
) -> None:
    enrol(trader)
    request = ask(admin_person)
    enrol(trader)
    assert refusal(change_request_approve, request_id=request.pk, approver=risk_officer) == "APPROVAL_VOID"
    assert SecondFactor.objects.exists()


def test_it_is_asked_for_over_the_api_and_the_page_shows_who_has_one(
    trader: User, admin_person: User, session_client: Any, token_client: Any
) -> None:
    enrol(trader)
    body = {"kind": USER_RESET_SECOND_FACTOR, "target": "trader", "payload": {}, "reason": "lost"}
    admin = session_client(admin_person)
    rows = {row["username"]: row for row in admin.get("/state/people/").json()["people"]}
    assert (rows["trader"]["has_second_factor"], rows["admin"]["has_second_factor"]) == (True, False)
    assert token_client(trader).post("/api/v1/approvals", body, format="json").status_code == 403
    assert admin.post("/api/v1/approvals", body, format="json").status_code == 202
    rows = {row["username"]: row for row in admin.get("/state/people/").json()["people"]}
    assert rows["trader"]["pending"] == "a change waits"
    assert "second factor" in admin.get("/admin/common/user/").content.decode().lower()


def test_the_command_asks_for_it_and_lists_who_has_one(trader: User, admin_person: User) -> None:
    def run(*words: str) -> str:
        out = StringIO()
        call_command("people", *words, stdout=out)
        return out.getvalue()

    with pytest.raises(CommandError, match="NO_SECOND_FACTOR"):
        run("reset", "trader", "--as", "admin", "--reason", "lost")
    enrol(trader)
    assert "waits for a risk officer" in run("reset", "trader", "--as", "admin", "--reason", "lost")
    assert ChangeRequest.objects.get().kind == USER_RESET_SECOND_FACTOR
    lines = {line.split()[0]: line for line in run("list").splitlines()}
    assert lines["trader"].endswith("with a second factor")
    assert lines["admin"].endswith("password alone")
