"""What only reduces passes where new risk is denied, and what cannot be known to reduce does not."""

from dataclasses import replace

import pytest

from tests.fakes.checks import SECOND, context, limits, order
from tests.unit.trading.domain.risk.samples import BREAKER, BTC, CHAMPION, EXIT, HELD, R, lost, verdict
from trading.domain.risk import Blackout, NetExposure
from trading.domain.values import UNITS, Level


@pytest.mark.parametrize(
    ("level", "flattener", "passes"),
    [
        (Level.ACTIVE, False, True),
        (Level.REDUCING, False, True),
        (Level.HALT_NEW, False, False),
        (Level.CANCEL, False, False),
        (Level.FLATTEN, False, False),
        (Level.CANCEL, True, False),
        (Level.FLATTEN, True, True),
    ],
)
def test_an_exit_passes_only_where_the_level_lets_positions_shrink(level, flattener, passes):
    result = verdict("kill_level", order(**EXIT, is_flattener=flattener), context(level=level, **HELD))
    assert result.passed is passes


@pytest.mark.parametrize("level", [Level.REDUCING, Level.HALT_NEW, Level.CANCEL, Level.FLATTEN])
@pytest.mark.parametrize("flattener", [False, True])
def test_no_level_above_active_lets_new_risk_through(level, flattener):
    result = verdict(
        "kill_level", order(is_flattener=flattener), context(level=level, level_scope="symbol:BTCUSDT")
    )
    assert result.code is R.TRADING_HALTED
    assert "symbol:BTCUSDT" in result.detail


@pytest.mark.parametrize(
    ("rail", "changes"),
    [
        ("limits_in_force", {"limits_valid_for_ns": -1}),
        ("strategy_enabled", {"strategy_enabled": False}),
        ("symbol_allowed", {"allowed_symbols": frozenset()}),
        ("breakers", {"open_breakers": BREAKER}),
        ("min_notional", {"limits": limits(min_notional=201 * UNITS)}),
        ("exposure_symbol", {"used_symbol": 2_000 * UNITS}),
        ("exposure_strategy", {"used_strategy": 9_000 * UNITS}),
        ("exposure_account", {"used_account": 5_000 * UNITS}),
        ("exposure_global", {"used_global": 10_000 * UNITS}),
        ("open_orders", {"open_orders": 20}),
        ("open_orders_strategy", {"open_orders_strategy": 10_000}),
        ("model_servable", {"model": replace(CHAMPION, stage="retired")}),
        ("user_stream", {"stream_age_ns": None}),
        ("net_account", {"net_account": NetExposure(10**18)}),
        ("net_global", {"net_global": NetExposure(10**18)}),
        ("venue_weight", {"weight_used": 6_000}),
        ("repeated_execution", {"executions": 99}),
        ("daily_loss", {"losses": lost(loss=10**12)}),
        ("drawdown", {"losses": lost(age_ns=None)}),
        ("loss_streak", {"losses": lost(streak=99)}),
        ("blackout", {"blackouts": (Blackout("global", "upgrade", SECOND),)}),
        ("loss_cooldown", {"last_loss_age_ns": 0}),
        ("override", {"limits": limits(soft_notional=1)}),
    ],
)
def test_an_order_that_only_reduces_is_not_stopped(rail, changes):
    # defect W6: a full cap blocked the sale that would have relieved it
    denied_entry = verdict(rail, order(), context(**changes))
    exit_order = verdict(rail, order(**EXIT), context(**changes, **HELD))
    assert not denied_entry.passed
    assert exit_order.passed


def test_an_unknown_position_reduces_nothing():
    # a SELL that would be an exit, were the position known
    result = verdict("kill_level", order(**EXIT), context(level=Level.REDUCING, position=None))
    assert result.code is R.TRADING_HALTED


def test_a_reduce_only_purchase_covers_a_short_and_no_more():
    covers = order(reduce_only=True)
    assert verdict("reduce_only", covers, context(position=-BTC // 100)).passed
    assert verdict("reduce_only", covers, context(position=-BTC // 100 + 1)).code is R.REDUCE_ONLY


def test_a_reduce_only_order_with_an_unknown_position_is_denied():
    assert (
        verdict("reduce_only", order(**EXIT, reduce_only=True), context(position=None)).code is R.REDUCE_ONLY
    )


def test_protection_and_flattening_go_on_however_busy_the_minute_was():
    busy = context(orders_last_minute=99, orders_last_minute_strategy=99_999)
    for kind in ({"is_protective": True}, {"is_flattener": True}):
        assert verdict("order_rate", order(**kind), busy).passed
        assert verdict("order_rate_strategy", order(**kind), busy).passed
