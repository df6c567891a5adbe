"""What a strategy says for whole columns is what its step says bar by bar; what looks ahead is refused."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.backtest.markets import perpetual, series
from tests.property.backtest.test_engines_agree import runs
from tests.property.backtest.test_moving_average_compiled import CLOSES, compiled_decisions
from trading.domain.backtest import Assignment, Costs, Inputs, Settings, SizeRule, run
from trading.domain.backtest.compiled import run_compiled
from trading.domain.strategies.compiled import CompiledStep
from trading.domain.strategies.moving_average import MovingAverage, MovingAverageParams, crossing_signals

DECLARED = MovingAverage.compiled
assert DECLARED is not None


def signals_of(closes: Any, params: MovingAverageParams) -> list[tuple[str, float]]:
    column = np.asarray(closes, dtype=np.float64)
    codes = np.empty(len(column), np.int8)
    ticks = np.round(column * 1e6)
    sums = np.concatenate(([0.0], np.cumsum(ticks)))
    crossing_signals(DECLARED.vector(params), column, column, column, column, column, sums, codes)
    assert DECLARED.targets is not None
    targets = DECLARED.targets(params)
    return [("", 0.0) if code == 0 else (DECLARED.reasons[code - 1], targets[code - 1]) for code in codes]


@given(CLOSES, st.integers(1, 8), st.integers(1, 12), st.booleans())
@settings(max_examples=300)
def test_columns_say_what_the_step_says(closes: list[float], fast: int, more: int, allow_short: bool) -> None:
    params = MovingAverageParams(fast, fast + more, allow_short)
    assert signals_of(closes, params) == compiled_decisions(closes, params)


@pytest.mark.parametrize(("fast", "slow"), [(1, 2), (9, 21), (20, 50)])
def test_they_still_agree_when_the_sums_were_taken_afresh(fast: int, slow: int) -> None:
    rng = np.random.default_rng(3)
    walk = np.round(30_000 + np.cumsum(rng.integers(-1, 2, 12_000)) * 0.01, 2).tolist()
    params = MovingAverageParams(fast, slow)
    assert signals_of(walk, params) == compiled_decisions(walk, params)


@given(runs(), st.integers(1, 4), st.integers(1, 9), st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_engines_agree_to_the_byte_when_bars_are_passed_over(
    asked: Inputs, fast: int, more: int, allow_short: bool
) -> None:
    """Whatever the size rule, costs, limits, latency, market; liquidations included."""
    (given_to,) = asked.assignments
    params = MovingAverageParams(fast, fast + more, allow_short)
    inputs = replace(
        asked, assignments=[Assignment(given_to.symbol, MovingAverage(), params, given_to.share)]
    )
    expected = run(inputs).canonical_bytes()
    assert run_compiled(inputs).canonical_bytes() == expected
    assert run_compiled(inputs, interpreted=True).canonical_bytes() == expected


def looking_ahead(
    params: Any, o: Any, h: Any, low: Any, close: Any, volume: Any, sums: Any, codes: Any
) -> None:
    """Say which way the next bar goes."""
    for i in range(len(close)):
        up = close[i + 1] > close[i] if i + 1 < len(close) else True
        codes[i] = 1 if up else 2


class Prophet(MovingAverage):
    """The step of the averages, beside columns that know tomorrow."""

    compiled: ClassVar[CompiledStep | None] = replace(DECLARED, signals=looking_ahead)


@pytest.mark.parametrize("interpreted", [True, False])
def test_columns_that_look_ahead_are_refused(interpreted: bool) -> None:
    bars = series(1, 200)
    inputs = Inputs([bars], [Assignment(bars.symbol, Prophet(), MovingAverageParams(2, 5))])
    with pytest.raises(ValueError, match="is not what its step says at bar 0"):
        run_compiled(inputs, interpreted=interpreted)


def test_a_liquidated_position_is_taken_again_by_what_is_said_at_every_bar() -> None:
    bars, funding = perpetual(5, 400)
    params = MovingAverageParams(1, 3, allow_short=True)
    assumptions = Settings(
        cash=Decimal(3_000),
        leverage=Decimal(100),
        size=SizeRule.quantity,
        size_amount=Decimal(5),
        costs=Costs(taker_bps=Decimal(0), maintenance_bps=Decimal(50)),
    )
    inputs = Inputs(
        [bars], [Assignment(bars.symbol, MovingAverage(), params)], assumptions, {bars.symbol: funding}
    )
    expected = run(inputs)
    assert expected.liquidations > 0
    assert run_compiled(inputs).canonical_bytes() == expected.canonical_bytes()
