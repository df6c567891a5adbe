"""Blackouts: set at once by whoever may stop, listed, ended early only by two people, seen by the rails."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, ChangeRequest
from nautilus_site.common.services.change_requests import change_request_approve
from tests.integration.trading.api.requests import place
from tests.integration.trading.api.world import World
from trading.models import Blackout

pytestmark = pytest.mark.django_db


def window(**changes: Any) -> dict[str, Any]:
    ends_at = (now() + timedelta(hours=1)).isoformat()
    return {"scope": "symbol:BTC/USDT", "ends_at": ends_at, "reason": "upgrade", **changes}


def test_a_blackout_is_in_force_at_once_and_ends_early_when_a_second_person_agrees(
    world: World, trader: Any, risk_officer: Any, token_client: Any
) -> None:
    client = token_client(trader)
    answer = client.post("/api/v1/blackouts", window(), format="json")
    body = answer.json()
    assert (answer.status_code, body["scope"], body["state"]) == (201, "symbol:BTCUSDT", "in_force")
    assert place(client).json()["code"] == "BLACKOUT"
    assert AuditEntry.objects.filter(action="blackout.set", target="symbol:BTCUSDT").exists()
    asked = client.post(f"/api/v1/blackouts/{body['id']}/end", {"reason": "done early"}, format="json")
    assert (asked.status_code, asked.json()["kind"]) == (202, "blackout.end")
    assert place(client).json()["code"] == "BLACKOUT"
    change_request_approve(request_id=asked.json()["id"], approver=risk_officer)
    assert place(client).status_code == 201
    assert AuditEntry.objects.filter(action="blackout.ended", actor=risk_officer).exists()
    rows = client.get("/api/v1/blackouts?over=true").json()["results"]
    assert [(row["state"], row["ended_by"]) for row in rows] == [("ended", risk_officer.username)]
    assert client.get("/api/v1/blackouts?over=false").json()["results"] == []
    again = client.post(f"/api/v1/blackouts/{body['id']}/end", {"reason": "again"}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "BLACKOUT_OVER")


def test_one_to_come_denies_nothing_yet(world: World, trader: Any, token_client: Any) -> None:
    client = token_client(trader)
    later = (now() + timedelta(minutes=30)).isoformat()
    assert (
        client.post("/api/v1/blackouts", window(starts_at=later), format="json").json()["state"] == "to_come"
    )
    assert place(client).status_code == 201


def test_the_same_key_sets_one_window(world: World, trader: Any, token_client: Any) -> None:
    client, key, body = token_client(trader), {"HTTP_IDEMPOTENCY_KEY": uuid4().hex}, window()
    first, second = (client.post("/api/v1/blackouts", body, format="json", **key) for _ in range(2))
    assert first.json() == second.json()
    assert Blackout.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"scope": "symbol:NOPEUSDT"}, 404, "UNKNOWN_SCOPE"),
        ({"scope": "everything"}, 400, "INVALID_SCOPE"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, 400, "INVALID_WINDOW"),
        ({"starts_at": "2099-01-01T00:00:00Z"}, 400, "INVALID_WINDOW"),
        ({"ends_at": "2099-01-01T00:00:00Z"}, 400, "INVALID_WINDOW"),
        ({"ends_at": "soon"}, 400, "VALIDATION"),
        ({"reason": " "}, 400, "VALIDATION"),
        ({"for": "ever"}, 400, "UNKNOWN_FIELD"),
    ],
)
def test_what_makes_no_window_is_refused(
    world: World, trader: Any, token_client: Any, changes: dict[str, str], status: int, code: str
) -> None:
    answer = token_client(trader).post("/api/v1/blackouts", window(**changes), format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Blackout.objects.exists()


def test_roles_decide_who_sets_and_who_asks(world: World, make_user: Any, token_client: Any) -> None:
    for role, sets, asks in (
        ("viewer", 403, 403),
        ("trader", 201, 202),
        ("risk_officer", 201, 202),
        ("model_owner", 403, 403),
        ("admin", 201, 403),
    ):
        client = token_client(make_user(role))
        assert client.post("/api/v1/blackouts", window(), format="json").status_code == sets, role
        newest = Blackout.objects.first() or Blackout(pk=1)
        path = f"/api/v1/blackouts/{newest.pk}/end"
        assert client.post(path, {"reason": role}, format="json").status_code == asks, role
    unknown = token_client(make_user("trader")).post(
        "/api/v1/blackouts/99/end", {"reason": "r"}, format="json"
    )
    assert (unknown.status_code, unknown.json()["code"]) == (404, "UNKNOWN_BLACKOUT")


def test_a_session_needs_its_csrf_token(world: World, trader: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(trader, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post("/api/v1/blackouts", window(), content_type="application/json")
    assert answer.status_code == 403
    assert not Blackout.objects.exists()


def test_the_admin_sets_one_and_files_the_request_to_end_it(world: World, trader: Any) -> None:
    client = Client()
    client.force_login(trader, backend="django.contrib.auth.backends.ModelBackend")
    ends = now() + timedelta(hours=1)
    when = {"starts_at_0": f"{now():%Y-%m-%d}", "starts_at_1": f"{now():%H:%M:%S}"}
    when |= {"ends_at_0": f"{ends:%Y-%m-%d}", "ends_at_1": f"{ends:%H:%M:%S}"}
    add = reverse("admin:trading_blackout_add")
    assert client.get(add).status_code == 200
    client.post(add, {"scope": "symbol:NOPEUSDT", "reason": "x", **when})
    assert not Blackout.objects.exists()
    client.post(add, {"scope": "symbol:BTCUSDT", "reason": "upgrade", **when})
    row = Blackout.objects.get()
    assert (row.scope, row.reason, row.created_by) == ("symbol:BTCUSDT", "upgrade", trader.username)
    assert AuditEntry.objects.get(action="blackout.set").actor == trader
    page = reverse("admin:trading_blackout_change", args=[row.pk])
    assert client.get(page).status_code == 200
    client.post(page, {"reason": "over", "end_now": "on", "scope": "global"})
    request = ChangeRequest.objects.get()
    assert (request.kind, request.target, request.requester) == ("blackout.end", f"blackout:{row.pk}", trader)
    row.refresh_from_db()
    assert (row.scope, row.ended_at) == ("symbol:BTCUSDT", None)
