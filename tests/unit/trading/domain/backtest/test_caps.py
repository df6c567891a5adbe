"""Caps and losses over several strategies and symbols of one account: prices of 100, one coin at full exposure."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.fakes.checks import limits
from tests.fakes.instruments import spot, usdm
from tests.unit.trading.domain.backtest.bars import MINUTE_NS, Script, bars, flat_bars, script
from trading.domain.backtest import Assignment, BacktestRun, Costs, Inputs, Settings, SizeRule, run
from trading.domain.backtest.arithmetic import PARTS
from trading.domain.backtest.limits import LossLimits
from trading.domain.values import UNITS

ONE_COIN = Settings(
    costs=Costs(taker_bps=Decimal(0), maker_bps=Decimal(0)), size=SizeRule.quantity, size_amount=Decimal(1)
)
DAY_NS = 86_400_000_000_000


def bound(**changes: int) -> Any:
    """Limits that only hold what is named; amounts in quote currency."""
    return limits(
        min_notional=0,
        near_window_ns=0,
        max_quantity=100 * UNITS,
        loss_cooldown_ns=changes.pop("loss_cooldown_ns", 0),
        repeated_executions=changes.pop("repeated_executions", 1_000),
        **{name: amount * UNITS for name, amount in changes.items()},
    )


class Other(Script):
    """A script of another name."""

    name = "other"


def other(says: dict[int, float], symbol: str = "BTCUSDT", share: int = PARTS) -> Assignment:
    return Assignment(symbol, Other(says), script({}).params, share)


def refused(inputs: Inputs) -> dict[str, int]:
    whole = run(inputs)
    backtest = BacktestRun(inputs)
    while not backtest.advance(1):
        text, backtest = backtest.checkpoint(), BacktestRun(inputs)
        backtest.restore(text)
    assert backtest.result().sha256 == whole.sha256, "cut into pieces it is another run"
    return whole.refusals_by_rail


def two(kind: Any = spot) -> list[Any]:
    return [flat_bars([100] * 6, instrument=kind(symbol)) for symbol in ("BTCUSDT", "ETHUSDT")]


def test_symbols_of_one_group_share_its_cap():
    wishes = [script({0: 1.0}), other({2: 1.0}, "ETHUSDT")]
    settings = replace(ONE_COIN, limits=bound(exposure_group=150))
    assert refused(Inputs(two(), wishes, settings)) == {}
    grouped = replace(settings, groups={"majors": ("BTCUSDT", "ETHUSDT")})
    assert refused(Inputs(two(), wishes, grouped)) == {"exposure_group": 3}
    apart = replace(settings, groups={"majors": ("BTCUSDT",), "others": ("ETHUSDT", "SOLUSDT")})
    assert refused(Inputs(two(), wishes, apart)) == {}


def test_a_strategy_has_a_cap_in_each_symbol_and_one_over_all():
    wishes = [script({0: 1.0}), script({2: 1.0}, "ETHUSDT")]
    assert refused(Inputs(two(), wishes, replace(ONE_COIN, limits=bound(exposure_strategy_symbol=101)))) == {}
    assert refused(Inputs(two(), wishes, replace(ONE_COIN, limits=bound(exposure_strategy=101)))) == {
        "exposure_strategy": 3
    }


def test_a_netted_position_counts_for_each_strategy_with_its_part():
    # Half of a coin each: one order of 100, in the name of the first. Then the second alone wants 100 of the other.
    wishes = [replace(script({0: 1.0}), share=PARTS // 2), other({0: 1.0}, share=PARTS // 2)]
    wishes.append(other({2: 1.0}, "ETHUSDT"))
    for cap, found in ((151, {}), (149, {"exposure_strategy": 3})):
        assert refused(Inputs(two(), wishes, replace(ONE_COIN, limits=bound(exposure_strategy=cap)))) == found
    # Reserved is the whole of a netted order, for the strategy in whose name it goes.
    tight = replace(ONE_COIN, limits=bound(exposure_strategy_symbol=99))
    assert refused(Inputs(two(), [*wishes[:2], other({}, "ETHUSDT")], tight)) == {
        "exposure_strategy_symbol": 5
    }


def test_long_and_short_make_up_for_each_other_in_the_net_cap_only():
    settings = replace(ONE_COIN, limits=bound(net_account=101), cash=Decimal(1_000))
    for side, found in ((-1.0, {}), (1.0, {"net_account": 3})):
        wishes = [script({0: 1.0}), other({2: side}, "ETHUSDT")]
        assert refused(Inputs(two(usdm), wishes, settings)) == found
    everything = replace(settings, limits=bound(net_global=101))
    wishes = [script({0: 1.0}), other({2: 1.0}, "ETHUSDT")]
    assert refused(Inputs(two(usdm), wishes, everything)) == {"net_global": 3}


def test_own_limits_of_an_assignment_hold_for_its_orders_alone():
    wishes = [script({0: 1.0}), replace(other({2: 1.0}, "ETHUSDT"), limits=bound(max_notional=50))]
    assert refused(Inputs(two(), wishes, ONE_COIN)) == {"max_notional": 3}


def test_after_a_days_loss_nothing_new_is_bought_until_midnight_and_exits_go():
    # Bought at 100 three minutes before midnight, sold at 90; the loss of 10 is above the limit of 9 until 00:00.
    start = (1_700_000_040_000_000_000 // DAY_NS + 1) * DAY_NS - 5 * MINUTE_NS
    market = flat_bars([100, 100, 90, 90, 90, 90, 90], start_ns=start)
    wishes = {0: 1.0, 1: 0.0, 2: 1.0}
    for settings, own in (
        (replace(ONE_COIN, losses=LossLimits(daily_loss=9 * UNITS)), LossLimits()),
        (ONE_COIN, LossLimits(daily_loss=9 * UNITS)),
    ):
        inputs = Inputs([market], [replace(script(wishes), losses=own)], settings)
        result = run(inputs)
        assert [row[3] for row in result.ledger.fills.tolist()] == [1, 2, 5]
        assert refused(inputs) == {"daily_loss": 2}
    allowed = replace(ONE_COIN, losses=LossLimits(daily_loss=10 * UNITS))
    assert refused(Inputs([market], [script(wishes)], allowed)) == {}


def test_a_fall_from_the_peak_counts_as_a_part_of_the_peak_and_of_the_strategys_capital():
    # 1000 of cash, half a coin from 100 to 300 and back to 200: a fall of 50 from 1100, 4.5455 %; of the capital 5 %.
    settings = replace(ONE_COIN, cash=Decimal(1_000))
    wishes = {0: 0.5, 2: 0.5, 3: 1.0}
    market = flat_bars([100, 100, 300, 200, 200, 200])
    for account, own, found in (
        (45_454, None, {"drawdown": 2}),
        (45_455, None, {}),
        (None, 49_999, {"drawdown": 2}),
        (None, 50_000, {}),
    ):
        assignment = replace(script(wishes), losses=LossLimits(drawdown=own))
        inputs = Inputs([market], [assignment], replace(settings, losses=LossLimits(drawdown=account)))
        assert refused(inputs) == found


def test_a_pause_after_a_loss_is_counted_in_market_time_and_a_streak_in_trades():
    market = flat_bars([100, 100, 90, 90, 90, 90, 90])
    wishes = {0: 1.0, 1: 0.0, 2: 1.0}
    paused = replace(ONE_COIN, limits=bound(loss_cooldown_ns=2 * MINUTE_NS))
    assert refused(Inputs([market], [script(wishes)], paused)) == {"loss_cooldown": 1}
    once = replace(script(wishes), losses=LossLimits(streak=0))
    assert refused(Inputs([market], [once], ONE_COIN)) == {"loss_streak": 4}
    assert refused(Inputs([market], [replace(once, losses=LossLimits(streak=1))], ONE_COIN)) == {}


def test_a_rule_executed_too_often_is_switched_off_and_its_position_held():
    market = bars([(100, 100, 100, 100)] * 8)
    settings = replace(ONE_COIN, limits=bound(repeated_executions=1), max_child=Decimal(60))
    result = run(Inputs([market], [script({0: 1.0, 4: 0.0})], settings))
    # The second half at the same open is one execution too many; the later wish to leave is nobody's any more.
    assert result.refusals_by_rail == {"repeated_execution": 1}
    assert [row[4] for row in result.ledger.fills.tolist()] == [50_000]
