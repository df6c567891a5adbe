"""Five levels by seven scopes: what may be sent and what may be taken back, where it starts and where it leaves."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from trading.domain.orders import OrderStatus
from trading.domain.values import Level
from trading.models import Decision, Order, TradingState
from trading.services.controls import effective_level, kill_raise
from trading.services.execution.cancel import order_cancel
from trading.services.orders.submit import order_judge
from trading.services.scopes import parse_scope, scopes_of

if TYPE_CHECKING:
    from tests.factories.trading import Desk

MODEL = "hmm@3"
SCOPES = (
    "global",
    "venue:binance-spot",
    "account:desk",
    "strategy:trend",
    "symbol:BTCUSDT",
    "strategy_symbol:trend:BTCUSDT",
    f"model:{MODEL}",
)
WIDE = SCOPES[:3]
# What safety.md 1.6 says of each level: (new risk, reducing, the flattener).
PERMITTED = {
    Level.ACTIVE: (True, True, True),
    Level.REDUCING: (False, True, True),
    Level.HALT_NEW: (False, False, False),
    Level.CANCEL: (False, False, False),
    Level.FLATTEN: (False, False, True),
}


def of_model(desk: Desk) -> Decision:
    decision = desk.decide(1.0)
    decision.model = MODEL
    decision.save()
    return decision


def asked(desk: Desk, decision: Decision) -> dict[str, Any]:
    """One order of each kind, all of strategy `trend`, symbol BTCUSDT and one model."""
    whose: dict[str, Any] = {"strategy": desk.strategies["trend"], "decision": decision}
    return {
        "new": desk.submission("BUY", "0.001", price="59800", **whose),
        "reducing": desk.submission("SELL", "0.001", price="60200", **whose),
        "flattener": desk.submission(
            "SELL", "0.001", price="60200", reduce_only=True, origin=Order.Origin.FLATTEN, **whose
        ),
    }


@pytest.fixture
def holding(desk: Desk) -> Desk:
    """Long 0.01 BTC, so that something can be reduced."""
    desk.send(desk.submit("BUY", "0.01", price="60010"))
    return desk


@pytest.mark.parametrize(("level", "scope"), list(product(PERMITTED, SCOPES)))
def test_each_level_of_each_scope_permits_exactly_what_it_says(
    holding: Desk, level: Level, scope: str
) -> None:
    decision = of_model(holding)
    reserved = {name: holding.submit_as(s) for name, s in asked(holding, decision).items()}
    working = holding.send(
        holding.submit("BUY", "0.001", price="59700", strategy=holding.strategies["trend"])
    )
    if level is not Level.ACTIVE:
        kill_raise(scope=scope, level=level, reason="drill", actor="test")

    starts = {
        name: order_judge(submission).denial is None for name, submission in asked(holding, decision).items()
    }
    leaves = {name: holding.authorise(order) is not None for name, order in reserved.items()}
    expected = dict(zip(("new", "reducing", "flattener"), PERMITTED[level], strict=True))
    assert starts == expected
    assert leaves == expected
    assert order_cancel(order_id=working.pk, venue=holding.venue) is OrderStatus.CANCELED, "always permitted"
    if level is not Level.ACTIVE:
        order = holding.fresh(reserved["new"])
        assert (order.status, order.code) == ("RELEASED", "TRADING_HALTED")
        assert f"{scope} is at {level.name}" in order.message

    beside = order_judge(
        holding.submission(
            "BUY", "0.02", symbol="ETHUSDT", price="2990", strategy=holding.strategies["swing"]
        )
    )
    assert (beside.denial is None) is (level is Level.ACTIVE or scope not in WIDE)


def test_the_strictest_of_the_matching_scopes_is_in_force(desk: Desk) -> None:
    own = scopes_of(venue="binance-spot", account="desk", symbol="BTCUSDT", strategy="trend", model=MODEL)
    assert sorted(own) == sorted(SCOPES)
    for number, scope in enumerate(SCOPES):
        level = Level(1 + number % 4)
        kill_raise(scope=scope, level=level, reason="drill", actor="test")
        strongest = max(TradingState.objects.all(), key=lambda state: state.level)
        assert effective_level(own) == (Level(strongest.level), effective_level(own)[1])
    assert effective_level(own)[0] is Level.FLATTEN
    assert effective_level(["global"])[0] is Level.REDUCING


def test_a_netted_order_stops_with_any_of_the_strategies_and_models_behind_it(desk: Desk) -> None:
    """Its row names the largest share's strategy; the smaller one's kill holds for it as well."""
    from trading.models import Plan, PlanShare

    large, small = desk.decide(1.0, strategy="trend"), desk.decide(1.0, strategy="swing")
    small.model = MODEL
    small.save()
    for scope in ("strategy:swing", "strategy_symbol:swing:BTCUSDT", f"model:{MODEL}"):
        plan = Plan.objects.create(
            account=desk.account,
            instrument=desk.btc,
            version=Plan.objects.count() + 1,
            price=60000,
            position_quantity=0,
            target_quantity=1,
            parent_quantity=1,
            created_at=large.decided_at,
        )
        PlanShare.objects.create(plan=plan, decision=large, share="0.7")
        PlanShare.objects.create(plan=plan, decision=small, share="0.3")
        order = desk.submit("BUY", "0.001", strategy=desk.strategies["trend"], plan=plan, decision=large)
        TradingState.objects.exclude(scope="global").delete()
        kill_raise(scope=scope, level=Level.HALT_NEW, reason="drill", actor="test")
        assert desk.authorise(order) is None
        assert desk.fresh(order).code == "TRADING_HALTED"
        TradingState.objects.exclude(scope="global").delete()


def test_a_level_outlives_every_process(desk: Desk) -> None:
    """Nothing but its row holds it: a new process reads the same row and finds the same level."""
    kill_raise(scope="symbol:BTCUSDT", level=Level.CANCEL, reason="drill", actor="test")
    from django.db import connection

    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("SELECT level FROM trading_tradingstate WHERE scope = 'symbol:BTCUSDT'")
        assert cursor.fetchone() == (Level.CANCEL.value,)


@pytest.mark.parametrize("scope", SCOPES)
def test_every_scope_is_written_one_way(scope: str) -> None:
    assert parse_scope(scope) == scope
