"""Which bars the compiled engine passes over, and the sums of closes that whole-column signals get."""

from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import accumulate

import numpy as np
import pytest

from tests.unit.trading.domain.backtest.bars import flat_bars
from trading.domain.backtest import Assignment, Inputs, Settings, SizeRule, run, series
from trading.domain.backtest.compiled import run_compiled
from trading.domain.strategies import parameter
from trading.domain.strategies.compiled import ArrayStrategy, CompiledStep
from trading.domain.strategies.moving_average import MovingAverage, MovingAverageParams


@dataclass(frozen=True)
class OnceParams:
    """Which bar it speaks at, and whether it says the same at every bar after it."""

    at: int = parameter(0)
    again: bool = parameter(False)


def once(params, state, now_ns, open_price, high, low, close, volume, position, average_price, unrealized):
    """Count the bars; be long from one of them on."""
    at = state[0]
    state[0] = at + 1.0
    speaks = at == params[0] or (params[1] > 0.0 and at > params[0])
    return (1 if speaks else 0), 1.0, 0.0, 0.0, 0.0


def once_signals(params, open_price, high, low, close, volume, sums, codes):
    """Say the same for all bars."""
    for i in range(len(close)):
        speaks = i == int(params[0]) or (params[1] > 0.0 and i > int(params[0]))
        codes[i] = 1 if speaks else 0


class Once(ArrayStrategy):
    """Speaks at one bar, or from it on."""

    name = "once"
    Params = OnceParams
    compiled = CompiledStep(
        once,
        lambda p: (float(p.at), float(p.again)),
        lambda p: 1,
        ("NOW",),
        once_signals,
        lambda p: (1.0,),
    )

    def warmup(self, params):
        """It needs nothing."""
        return 0


def walk(size):
    rng = np.random.default_rng(5)
    return flat_bars((1_000 + np.cumsum(rng.integers(-3, 4, size))).tolist())


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("size", [7, 8, 9, 63, 64, 65])
@pytest.mark.parametrize("at", [0, 1, 6, 7, 8, 9, 15, 16, 57, 63])
def test_what_is_said_anew_at_one_bar_is_traded_after_it_wherever_it_lies_among_the_eights(at, size, again):
    fixed = Settings(size=SizeRule.quantity, size_amount=Decimal(1))
    inputs = Inputs([walk(size)], [Assignment("BTCUSDT", Once(), OnceParams(at, again))], fixed)
    result = run_compiled(inputs)
    assert result.ledger.fills[:, 3].tolist() == ([at + 1] if at + 1 < size else [])
    assert result.canonical_bytes() == run(inputs).canonical_bytes()
    assert result.canonical_bytes() == run_compiled(inputs, interpreted=True).canonical_bytes()


def test_sums_of_closes_are_exact_or_not_there(monkeypatch):
    bars = walk(500)
    assert bars.close_sums.tolist() == list(accumulate(bars.close.tolist(), initial=0))
    assert series.LARGEST_EXACT == 2**53
    most = bars.highest * 500
    for bound, there in ((most + 1, True), (most, False)):
        monkeypatch.setattr(series, "LARGEST_EXACT", bound)
        assert (replace(bars).close_sums is not None) == there


def test_without_exact_sums_the_step_is_asked_and_the_result_is_the_same(monkeypatch):
    bars = walk(500)
    inputs = Inputs([bars], [Assignment("BTCUSDT", MovingAverage(), MovingAverageParams(3, 9))])
    expected = run_compiled(inputs)
    assert len(expected.ledger.fills) > 10
    monkeypatch.setattr(series, "LARGEST_EXACT", 1)
    again = replace(inputs, series=[replace(bars)])
    assert again.series[0].close_sums is None
    assert run_compiled(again).canonical_bytes() == expected.canonical_bytes()
