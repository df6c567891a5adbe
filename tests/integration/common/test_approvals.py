"""The two-person rule: never alone, never late, never something else than was approved, never twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, connections, transaction
from rest_framework.test import APIClient

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry, ChangeRequest, OutboxEvent, User
from nautilus_site.common.services import appliers, change_requests
from nautilus_site.common.services.appliers import Applier, named, register_applier
from nautilus_site.common.services.change_requests import (
    change_request_approve,
    change_request_create,
    change_requests_expire,
)

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.integration.common.toy_urls")]
Clients = Callable[..., APIClient]
PATH = "/api/v1/approvals"
TOY: dict[str, Any] = {"rows": lambda target: [], "target": named("limit")}


class Limit:
    """A target in memory: what is in force, and how often it was set."""

    value = "100"
    applied = 0
    lock = threading.Lock()

    @classmethod
    def apply(cls, request: ChangeRequest, approver: User) -> None:
        with cls.lock:
            cls.applied += 1
            cls.value = request.payload["value"]


@pytest.fixture(autouse=True)
def _limit(monkeypatch: pytest.MonkeyPatch, clean_cache: None) -> None:
    monkeypatch.setattr(appliers, "_appliers", dict(appliers._appliers))
    register_applier(
        "toy.limit",
        Applier(
            snapshot=lambda target: {"value": Limit.value},
            apply=Limit.apply,
            clean=lambda target, payload: payload,
            **TOY,
        ),
    )
    register_applier("toy.routed", Applier(snapshot=lambda target: {}, apply=Limit.apply, **TOY))
    Limit.value, Limit.applied = "100", 0


@pytest.fixture
def pending(risk_officer: User) -> ChangeRequest:
    return change_request_create(
        kind="toy.limit",
        target="limit:max",
        payload={"value": "200"},
        reason="more room",
        requester=risk_officer,
    )


def decide(client: APIClient, request: ChangeRequest, verb: str = "approve") -> Any:
    return client.post(f"{PATH}/{request.pk}/{verb}", {"note": "seen"}, format="json")


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json().get("code", "")


def test_a_second_risk_officer_approves_and_it_is_applied(
    pending: ChangeRequest, second_risk_officer: User, session_client: Clients
) -> None:
    response = decide(session_client(second_risk_officer), pending)
    body = response.json()
    assert (response.status_code, body["state"], body["approver"]) == (200, "applied", "risk2")
    assert body["diff"] == {"value": ["100", "200"]}
    assert set(body) == {
        "id",
        "kind",
        "target",
        "state",
        "requester",
        "approver",
        "reason",
        "diff",
        "effect",
        "handed_to",
        "created_at",
        "expires_at",
    }
    assert (Limit.value, Limit.applied) == ("200", 1)
    assert AuditEntry.objects.filter(action="change_request.applied", actor=second_risk_officer).count() == 1
    assert [
        event.data["state"] for event in OutboxEvent.objects.filter(topic="approvals").order_by("pk")
    ] == [
        "pending",
        "applied",
    ]


def test_nobody_approves_their_own_request(
    pending: ChangeRequest, risk_officer: User, session_client: Clients
) -> None:
    assert code(decide(session_client(risk_officer), pending)) == (403, "SELF_APPROVAL")
    with pytest.raises(ApplicationError, match="somebody else"):
        change_request_approve(request_id=pending.pk, approver=risk_officer)
    with pytest.raises(IntegrityError, match="approver_is_not_requester"), transaction.atomic():
        ChangeRequest.objects.filter(pk=pending.pk).update(approver=risk_officer)
    assert (Limit.value, Limit.applied) == ("100", 0)


def test_tokens_and_stale_sessions_decide_nothing(
    pending: ChangeRequest,
    second_risk_officer: User,
    token_client: Clients,
    session_client: Clients,
    age_login: Any,
) -> None:
    for verb in ("approve", "reject"):
        assert code(decide(token_client(second_risk_officer), pending, verb)) == (403, "SESSION_REQUIRED")
    browser = session_client(second_risk_officer)
    age_login(browser, timedelta(minutes=6))
    for verb in ("approve", "reject"):
        assert code(decide(browser, pending, verb)) == (403, "STEP_UP_REQUIRED")
    assert Limit.applied == 0


def test_roles_without_the_duty_may_not_approve(
    pending: ChangeRequest, make_user: Any, session_client: Clients
) -> None:
    for role in ("viewer", "trader", "model_owner", "admin"):
        response = decide(session_client(make_user(role)), pending)
        assert (response.status_code, response.json()["permission"]) == (403, "change.decide")
    assert Limit.applied == 0


def test_the_role_counts_at_the_moment_of_approval(pending: ChangeRequest, second_risk_officer: User) -> None:
    stale_copy = User.objects.get(pk=second_risk_officer.pk)
    User.objects.filter(pk=second_risk_officer.pk).update(role="trader")
    with pytest.raises(ApplicationError) as refused:
        change_request_approve(request_id=pending.pk, approver=stale_copy)
    assert refused.value.code == "ROLE_REQUIRED"
    User.objects.filter(pk=second_risk_officer.pk).update(role="risk_officer", is_active=False)
    with pytest.raises(ApplicationError):
        change_request_approve(request_id=pending.pk, approver=stale_copy)
    assert Limit.applied == 0


def test_an_expired_request_cannot_be_approved(
    pending: ChangeRequest, second_risk_officer: User, session_client: Clients
) -> None:
    ChangeRequest.objects.filter(pk=pending.pk).update(expires_at=now())
    browser = session_client(second_risk_officer)
    assert browser.get(f"{PATH}/{pending.pk}").json()["state"] == "expired"
    assert code(decide(browser, pending)) == (409, "APPROVAL_EXPIRED")
    assert ChangeRequest.objects.get(pk=pending.pk).state == "expired"
    assert Limit.applied == 0


def test_the_sweep_closes_what_is_overdue(pending: ChangeRequest) -> None:
    assert change_requests_expire() == 0
    ChangeRequest.objects.filter(pk=pending.pk).update(expires_at=now() - timedelta(seconds=1))
    assert change_requests_expire() == 1
    assert ChangeRequest.objects.get(pk=pending.pk).state == "expired"


def test_a_request_is_void_when_its_target_changed(
    pending: ChangeRequest, second_risk_officer: User, session_client: Clients
) -> None:
    Limit.value = "150"
    assert code(decide(session_client(second_risk_officer), pending)) == (409, "APPROVAL_VOID")
    assert ChangeRequest.objects.get(pk=pending.pk).state == "void"
    assert (Limit.value, Limit.applied) == ("150", 0)


def test_a_payload_changed_after_the_request_is_void(
    pending: ChangeRequest, second_risk_officer: User
) -> None:
    ChangeRequest.objects.filter(pk=pending.pk).update(payload={"value": "999999"})
    with pytest.raises(ApplicationError) as refused:
        change_request_approve(request_id=pending.pk, approver=second_risk_officer)
    assert refused.value.code == "APPROVAL_VOID"
    assert Limit.applied == 0


def test_an_application_that_fails_leaves_the_request_pending(
    pending: ChangeRequest, second_risk_officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(request: ChangeRequest, approver: User) -> None:
        raise ApplicationError("LIMIT_LOCKED", "locked")

    monkeypatch.setitem(
        appliers._appliers, "toy.limit", Applier(snapshot=lambda _: {"value": "100"}, apply=fail, **TOY)
    )
    with pytest.raises(ApplicationError, match="locked"):
        change_request_approve(request_id=pending.pk, approver=second_risk_officer)
    assert ChangeRequest.objects.get(pk=pending.pk).state == "pending"


def test_rejecting_and_withdrawing_close_a_request(
    pending: ChangeRequest, risk_officer: User, second_risk_officer: User, session_client: Clients
) -> None:
    assert decide(session_client(second_risk_officer), pending, "reject").json()["state"] == "rejected"
    assert code(decide(session_client(second_risk_officer), pending)) == (409, "APPROVAL_CLOSED")
    own = change_request_create(
        kind="toy.limit", target="limit:max", payload={"value": "300"}, reason="r", requester=risk_officer
    )
    assert decide(session_client(risk_officer), own, "reject").json()["state"] == "rejected"
    assert AuditEntry.objects.filter(action="change_request.withdrawn").count() == 1


def test_a_request_is_made_listed_and_filtered_through_the_api(trader: User, token_client: Clients) -> None:
    client = token_client(trader)
    body = {
        "kind": "toy.limit",
        "target": "limit:max",
        "payload": {"value": 0.50},
        "reason": "r",
        "expires_in_s": 60,
    }
    made = client.post(PATH, body, format="json", HTTP_IDEMPOTENCY_KEY="a")
    assert (made.status_code, made.json()["state"], made.json()["requester"]) == (202, "pending", "trader")
    assert made.json()["diff"] == {"value": ["100", "0.5"]}
    assert client.post(PATH, body, format="json", HTTP_IDEMPOTENCY_KEY="a").json() == made.json()
    assert [row["id"] for row in client.get(PATH, {"state": "pending"}).json()["results"]] == [
        made.json()["id"]
    ]
    assert client.get(PATH, {"state": "applied"}).json()["results"] == []
    assert client.get(PATH, {"state": "nonsense"}).status_code == 400
    assert code(client.post(PATH, {**body, "kind": "unknown"}, format="json")) == (400, "UNKNOWN_CHANGE")
    # A kind whose payload only its own route checks cannot be proposed past that route.
    assert code(client.post(PATH, {**body, "kind": "toy.routed"}, format="json")) == (400, "OWN_ROUTE")
    assert code(client.post(PATH, {**body, "reason": " "}, format="json")) == (400, "VALIDATION")
    assert code(client.get(f"{PATH}/00000000-0000-4000-8000-000000000000")) == (404, "APPROVAL_NOT_FOUND")


@pytest.mark.django_db(transaction=True)
def test_approvals_at_the_same_moment_apply_once(pending: ChangeRequest, make_user: Any) -> None:
    officers = [make_user("risk_officer") for _ in range(8)]

    def approve(officer: User) -> str:
        try:
            return change_request_approve(request_id=pending.pk, approver=officer).state
        except ApplicationError as error:
            return error.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=8) as pool:
        outcomes = sorted(pool.map(approve, officers))
    assert outcomes == ["APPROVAL_CLOSED"] * 7 + ["applied"]
    assert Limit.applied == 1
    connection.close()


def test_a_change_of_role_takes_an_admin_and_a_risk_officer(
    admin_person: User, viewer: User, risk_officer: User, trader: User
) -> None:
    for person in (trader, risk_officer):
        with pytest.raises(ApplicationError):
            change_request_create(
                kind="user.change", target="viewer", payload={"role": "trader"}, reason="r", requester=person
            )
    for bad in ({}, {"role": "root"}, {"is_superuser": True}, {"is_active": "no"}):
        with pytest.raises(ApplicationError, match=r"role|is_active"):
            change_request_create(
                kind="user.change", target="viewer", payload=bad, reason="r", requester=admin_person
            )
    request = change_request_create(
        kind="user.change", target="viewer", payload={"role": "trader"}, reason="r", requester=admin_person
    )
    change_request_approve(request_id=request.pk, approver=risk_officer)
    viewer.refresh_from_db()
    assert (viewer.role, viewer.is_staff) == ("trader", True)


def test_an_approval_that_gave_way_in_a_deadlock_is_tried_once_more(
    pending: ChangeRequest, second_risk_officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres ends one of two who wait for each other; nothing of it has happened then."""
    ends = ["40P01"]

    def locked(*people: User) -> list[User]:
        if ends:
            with connection.cursor() as cursor:
                cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{ends.pop()}'; END $$")
        return people_locked(*people)

    people_locked = change_requests.people_locked
    monkeypatch.setattr(change_requests, "people_locked", locked)
    approved = change_request_approve(request_id=pending.pk, approver=second_risk_officer)
    assert (approved.state, Limit.applied) == (ChangeRequest.State.APPLIED, 1)
    ends += ["40P01", "40P01"]
    again = change_request_create(
        kind="toy.limit",
        target="limit:max",
        payload={"value": "300"},
        reason="r",
        requester=pending.requester,
    )
    with pytest.raises(OperationalError):
        change_request_approve(request_id=again.pk, approver=second_risk_officer)
    assert Limit.applied == 1
