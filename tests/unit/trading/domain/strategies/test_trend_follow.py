"""Trend following on small hand-made markets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.unit.trading.domain.strategies.regimes import HOUR_NS, T0_NS, reasons, run, targets
from trading.domain.strategies import Bar, Observation, ParameterError, parse_params, registry

TrendFollow = registry()["trend_follow"]
SMALL = {
    "entry": 4, "exit": 2, "momentum_short": 2, "momentum_medium": 3, "momentum_long": 5,
    "atr_window": 3, "volatility_mass": 10.0, "volatility": 0.5,
}  # fmt: skip


def market(closes: list[float], wick: float = 0.0) -> list[Bar]:
    bars = []
    for i, close in enumerate(closes):
        last = closes[i - 1] if i else close
        open_ns = T0_NS + i * HOUR_NS
        top, bottom = max(last, close) + wick, min(last, close) - wick
        bars.append(Bar(open_ns, open_ns + HOUR_NS - 1_000_000, last, top, bottom, close, 1.0))
    return bars


def params(**values: Any) -> Any:
    return parse_params(TrendFollow.Params, SMALL | values)


def rising(bars: int = 20, step: float = 0.01) -> list[float]:
    # Alternating steps, so that the volatility is not zero.
    return [100.0 * math.exp(step * i + 0.002 * (i % 2)) for i in range(bars)]


def test_it_is_silent_until_its_windows_are_full() -> None:
    said, _ = run(TrendFollow(), params(), market(rising()))
    first = next(i for i, one in enumerate(said) if one is not None)
    assert first + 1 == TrendFollow().warmup(params()) == 6


def test_a_rising_market_is_held_and_a_falling_one_is_not() -> None:
    up, _ = run(TrendFollow(), params(), market(rising()))
    down, _ = run(TrendFollow(), params(), market(rising(step=-0.01)))
    assert up[-1].target > 0.0
    assert up[-1].reason == "TREND_LONG"
    assert {one.target for one in down if one is not None} == {0.0}


def test_a_falling_market_is_sold_short_only_where_allowed() -> None:
    said, _ = run(TrendFollow(), params(allow_short=True), market(rising(step=-0.01)))
    assert said[-1].target < 0.0
    assert said[-1].reason == "TREND_SHORT"
    assert said[-1].protection.stop > market(rising(step=-0.01))[-1].close


def test_the_size_is_the_blend_over_the_volatility() -> None:
    closes = rising()
    said, _ = run(TrendFollow(), params(band=0.0), market(closes))
    returns = np.diff(np.log(closes))
    weights = (10.0 / 11.0) ** np.arange(len(returns) - 1, -1, -1)
    variance = np.average((returns - np.average(returns, weights=weights)) ** 2, weights=weights)
    volatility = math.sqrt(365 * 24 * variance)
    # Channel and all three momenta say long, so that the signal is 1.
    assert said[-1].features["signal"] == 1.0
    assert said[-1].features["volatility"] == pytest.approx(volatility, rel=1e-9)
    assert said[-1].target == pytest.approx(min(1.0, 0.5 / volatility), rel=1e-9)


@pytest.mark.parametrize(
    ("weight", "part"), [(0.0, "momentum"), (1.0, "channel")], ids=["momentum alone", "channel alone"]
)
def test_each_part_can_be_left_out_for_an_ablation(weight: float, part: str) -> None:
    closes = [*rising(12), *rising(12)[::-1]]
    said, _ = run(TrendFollow(), params(channel_weight=weight), market(closes))
    told = [one for one in said if one is not None]
    assert told
    assert all(one.features["signal"] == one.features[part] for one in told)


def test_the_stop_starts_two_true_ranges_below_the_close_and_only_rises() -> None:
    said, _ = run(TrendFollow(), params(), market([*rising(), *([rising()[-1] * 0.999] * 2)]))
    stops = [one.protection.stop for one in said if one is not None and one.protection]
    first = next(one for one in said if one is not None and one.target > 0)
    at = said.index(first)
    assert stops[0] == pytest.approx(rising()[at] - 2.0 * first.features["atr"], rel=1e-12)
    assert stops == sorted(stops)


def test_a_falling_close_leaves_the_stop_where_it_was() -> None:
    closes = rising()
    told = params(stop_atr=10.0, entry=8, exit=8, channel_weight=1.0)
    said, _ = run(TrendFollow(), told, market([*closes, closes[-1] * 0.97, closes[-1] * 0.965]))
    assert all(one is not None and one.target > 0.0 for one in said[-3:])
    assert [one.protection.stop for one in said[-2:]] == [said[-3].protection.stop] * 2


def test_a_bar_through_the_stop_ends_it_until_a_fresh_breakout() -> None:
    calm = rising(12)
    # A wick far below, a close that changes nothing else; then sideways, then a new high.
    bars = market([*calm, calm[-1], calm[-1] * 0.999, calm[-1], calm[-1] * 1.05])
    spike = bars[12]
    bars[12] = Bar(spike.open_ns, spike.close_ns, spike.open, spike.high, spike.low * 0.8, spike.close, 1.0)
    said, _ = run(TrendFollow(), params(exit=2, entry=4), bars)
    assert said[11].target > 0.0
    assert [(one.target, one.reason) for one in said[12:15]] == [(0.0, "STOPPED_OUT")] * 3
    assert said[15].target > 0.0


def test_without_a_stop_there_is_no_protection() -> None:
    said, _ = run(TrendFollow(), params(stop_atr=0.0), market(rising()))
    assert said[-1].target > 0.0
    assert said[-1].protection is None


def test_a_flat_market_has_no_trend_and_no_volatility() -> None:
    said, _ = run(TrendFollow(), params(), market([100.0] * 12))
    assert set(targets(said)[6:]) == {0.0}
    assert reasons(said)[-1] == "NO_VOLATILITY"


def test_only_closed_bars_move_it() -> None:
    strategy, bars = TrendFollow(), market(rising())
    _, state = run(strategy, params(), bars)
    seen = Observation("BTCUSDT", "1h", bars[-1], bars[-1].close_ns, trigger="book")
    assert strategy.step(params(), state, seen) == (state, None)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"entry": 4, "exit": 5}, "exit"),
        ({"momentum_short": 6}, "momentum_medium"),
        ({"channel_weight": 1.1}, "channel_weight"),
        ({"volatility": 0.0}, "volatility"),
        ({"stop_atr": -1}, "stop_atr"),
        ({"cap": 1.5}, "cap"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ParameterError) as refused:
        params(**values)
    assert refused.value.field == field
