"""Kill, resume, limits, breakers, strategies, reconciliation: stopping at once, loosening by two people."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, ChangeRequest
from tests.integration.trading.api.requests import place
from tests.integration.trading.api.world import World, build_world
from trading.domain.values import Level
from trading.models import Account, CircuitBreaker, KillEnforcement, ReconcileRun, RiskLimit, TradingState

pytestmark = pytest.mark.django_db

REPORT = {"scope", "level", "cancel_requested", "open_orders_remaining", "confirmed", "elapsed_s"}


def _breaker(state: str = "open") -> CircuitBreaker:
    return CircuitBreaker.objects.create(
        name="venue_errors", scope="venue:binance-spot", state=state, changed_at=now()
    )


def test_a_kill_is_in_force_at_once_and_says_that_nothing_is_confirmed_yet(
    world: World, trader: Any, token_client: Any
) -> None:
    client = token_client(trader)
    answer = client.post("/api/v1/kill?timeout=0.2", {"reason": "prices look wrong"}, format="json")
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == REPORT
    assert (body["scope"], body["level"], body["confirmed"]) == ("global", "CANCEL", False)
    assert body["open_orders_remaining"] is None  # the exchange was not asked yet; zero would be a lie
    assert TradingState.objects.get(scope="global").level == Level.CANCEL
    assert AuditEntry.objects.filter(action="kill.raised", reason="prices look wrong").exists()
    assert place(client).json()["code"] == "TRADING_HALTED"


def test_traders_risk_officers_and_admins_may_stop_all_trading(
    world: World, make_user: Any, token_client: Any
) -> None:
    for role, status in (
        ("admin", 200),
        ("trader", 200),
        ("model_owner", 403),
        ("risk_officer", 200),
        ("viewer", 403),
    ):
        answer = token_client(make_user(role)).post(
            "/api/v1/kill?timeout=0.05", {"reason": role, "level": "HALT_NEW"}, format="json"
        )
        assert answer.status_code == status, role


def test_flatten_is_a_level_of_its_own_and_tells_of_the_positions_it_closes(
    world: World, trader: Any, token_client: Any
) -> None:
    body = {"reason": "out", "flatten": True, "scope": "account:paper-spot"}
    answer = token_client(trader).post("/api/v1/kill?timeout=0.05", body, format="json").json()
    assert (answer["scope"], answer["level"]) == ("account:paper-spot", "FLATTEN")
    # Nothing is sold before the exchange has confirmed the cancels.
    assert (answer["confirmed"], answer["flatten"]) == (False, [])


@pytest.mark.parametrize(
    "scope",
    ["account:papr-spot", "strategy:tend", "symbol:NOPEUSDT", "venue:binance", "strategy_symbol:x:BTCUSDT"],
)
def test_a_kill_of_something_that_does_not_exist_says_so(
    world: World, trader: Any, token_client: Any, scope: str
) -> None:
    answer = token_client(trader).post("/api/v1/kill", {"reason": "r", "scope": scope}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (404, "UNKNOWN_SCOPE")
    assert not TradingState.objects.exclude(scope="global").exists()


@pytest.mark.django_db(transaction=True)
def test_a_kill_answers_with_what_the_exchange_confirmed(
    transactional_db: None, make_user: Any, token_client: Any
) -> None:
    build_world()
    over = threading.Event()

    def control_worker() -> None:
        try:
            while not over.is_set():
                state = TradingState.objects.filter(scope="global", level=Level.CANCEL).first()
                if state is not None:
                    KillEnforcement.objects.create(
                        scope="global", account=Account.objects.get(), enforcer="control",
                        state_version=state.version, cancel_requested=2, open_orders_remaining=0,
                        unknown_remaining=0, empty_reads=2, started_at=now(), confirmed_at=now(),
                    )  # fmt: skip
                    return
                over.wait(0.02)
        finally:
            connection.close()

    thread = threading.Thread(target=control_worker)
    thread.start()
    try:
        answer = token_client(make_user("trader")).post("/api/v1/kill", {"reason": "drill"}, format="json")
    finally:
        over.set()
        thread.join()
    body = answer.json()
    assert (body["confirmed"], body["cancel_requested"], body["open_orders_remaining"]) == (True, 2, 0)
    assert 0 < body["elapsed_s"] < 5


def test_resuming_is_for_people_with_a_recent_log_in_and_only_asks(
    world: World, risk_officer: Any, session_client: Any, token_client: Any, age_login: Any
) -> None:
    TradingState.objects.update(level=Level.CANCEL)
    body = {"scope": "global", "to_level": "ACTIVE", "reason": "checked"}
    by_token = token_client(risk_officer).post("/api/v1/resume", body, format="json")
    assert (by_token.status_code, by_token.json()["code"]) == (403, "SESSION_REQUIRED")
    client = session_client(risk_officer)
    age_login(client, timedelta(minutes=6))
    late = client.post("/api/v1/resume", body, format="json")
    assert (late.status_code, late.json()["code"]) == (403, "STEP_UP_REQUIRED")
    answer = session_client(risk_officer).post("/api/v1/resume", body, format="json")
    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["diff"]) == ("pending", {"level": ["CANCEL", "ACTIVE"]})
    assert TradingState.objects.get().level == Level.CANCEL


def test_resuming_to_where_it_is_already_is_a_conflict(
    world: World, risk_officer: Any, session_client: Any
) -> None:
    body = {"scope": "global", "to_level": "ACTIVE", "reason": "checked"}
    answer = session_client(risk_officer).post("/api/v1/resume", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "NOT_LOWER")


def test_a_tighter_limit_is_in_force_at_once(world: World, risk_officer: Any, token_client: Any) -> None:
    client = token_client(risk_officer)
    answer = client.put("/api/v1/limits/max_notional", {"value": "123", "reason": "r"}, format="json")
    assert (answer.status_code, answer.json()["value"], answer.json()["policy_version"]) == (200, "123", 2)
    assert client.get("/api/v1/limits/max_notional").json()["value"] == "123"


def test_a_looser_limit_waits_for_a_second_person(world: World, trader: Any, token_client: Any) -> None:
    body = {"value": "6000", "reason": "r", "expires_in_s": 60}
    answer = token_client(trader).put("/api/v1/limits/max_notional", body, format="json")
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    assert answer.json()["diff"] == {"value": ["5000", "6000"]}
    assert RiskLimit.objects.get(name="max_notional").value == 5000
    request = ChangeRequest.objects.get()
    assert request.expires_at - request.created_at == timedelta(seconds=60)


def test_a_trader_may_not_tighten_limits(world: World, trader: Any, token_client: Any) -> None:
    answer = token_client(trader).put(
        "/api/v1/limits/max_notional", {"value": "1", "reason": "r"}, format="json"
    )
    assert (answer.status_code, answer.json()["permission"]) == (403, "limits.tighten")


def test_an_unknown_limit_is_a_404(world: World, risk_officer: Any, token_client: Any) -> None:
    client = token_client(risk_officer)
    for answer in (
        client.put("/api/v1/limits/nothing", {"value": "1", "reason": "r"}, format="json"),
        client.get("/api/v1/limits/nothing"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "UNKNOWN_LIMIT")


def test_a_limit_shows_what_is_used_of_it(world: World, trader: Any, token_client: Any) -> None:
    client = token_client(trader)
    place(client)  # 0.001 BTC at 60 000
    used = {row["name"]: row["used"] for row in client.get("/api/v1/limits").json()["results"]}
    for name in ("exposure_symbol", "exposure_account", "exposure_global"):
        assert used[name] == "60", name
    assert (used["orders_per_minute"], used["max_open_orders"]) == ("1", "1")
    assert used["max_notional"] is None


def test_a_breaker_is_opened_at_once_and_closed_by_request(
    world: World, risk_officer: Any, token_client: Any
) -> None:
    client, breaker = token_client(risk_officer), _breaker("closed")
    opened = client.post(f"/api/v1/breakers/{breaker.pk}/open", {"reason": "odd"}, format="json")
    assert (opened.status_code, opened.json()["state"]) == (200, "open")
    answer = client.post(f"/api/v1/breakers/{breaker.pk}/reset", {"reason": "fine"}, format="json")
    assert (answer.status_code, answer.json()["kind"]) == (202, "breaker.reset")
    breaker.refresh_from_db()
    assert breaker.state == "open"


def test_an_unknown_breaker_is_a_404(world: World, risk_officer: Any, token_client: Any) -> None:
    answer = token_client(risk_officer).post("/api/v1/breakers/999/reset", {"reason": "r"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (404, "UNKNOWN_BREAKER")


def test_disabling_a_strategy_is_immediate_and_enabling_it_is_a_request(
    world: World, trader: Any, token_client: Any
) -> None:
    client = token_client(trader)
    off = client.post("/api/v1/strategy/trend/disable", {"reason": "noisy"}, format="json")
    assert (off.status_code, off.json()["enabled"]) == (200, False)
    on = client.post("/api/v1/strategy/trend/enable", {"reason": "calm"}, format="json")
    assert (on.status_code, on.json()["diff"]) == (202, {"enabled": [False, True]})
    assert client.get("/api/v1/strategy/trend").json()["enabled"] is False


def test_an_unknown_strategy_is_a_404(world: World, trader: Any, token_client: Any) -> None:
    client = token_client(trader)
    for path in ("nothing/enable", "nothing/disable"):
        answer = client.post(f"/api/v1/strategy/{path}", {"reason": "r"}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (404, "UNKNOWN_STRATEGY")


def test_a_reconciliation_is_started_and_can_be_followed(
    world: World, trader: Any, token_client: Any
) -> None:
    client = token_client(trader)
    answer = client.post("/api/v1/reconcile", {"account": "paper-spot"}, format="json")
    assert answer.status_code == 202
    run = answer.json()["runs"][0]
    assert (run["account"], run["trigger"], run["outcome"]) == ("paper-spot", "manual", None)
    ReconcileRun.objects.update(outcome="clean", finished_at=now())
    assert client.get(f"/api/v1/reconcile/runs/{run['id']}").json()["outcome"] == "clean"
    assert client.get("/api/v1/reconcile/runs?outcome=clean").json()["results"][0]["id"] == run["id"]


def test_reconciling_an_unknown_account_is_a_404(world: World, trader: Any, token_client: Any) -> None:
    answer = token_client(trader).post("/api/v1/reconcile", {"account": "nobody"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (404, "UNKNOWN_ACCOUNT")
