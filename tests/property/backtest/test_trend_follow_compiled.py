"""The compiled step of `trend_follow` decides what its Python step decides, at every bar, and earns the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.backtest.markets import perpetual, series
from tests.property.backtest.test_engines_agree import same
from trading.domain.backtest import Assignment, Costs, FillMode, Inputs, Settings, run
from trading.domain.backtest.compiled import run_compiled
from trading.domain.strategies import parse_params
from trading.domain.strategies.base import Bar, Observation
from trading.domain.strategies.trend_follow import TrendFollow, TrendFollowParams
from trading.domain.strategies.trend_step import trend_step

Said = tuple[str, float, float]


@st.composite
def parameters(draw: st.DrawFn) -> TrendFollowParams:
    """Short windows, so that short markets are long enough."""
    entry = draw(st.integers(2, 15))
    backs = sorted(draw(st.lists(st.integers(1, 20), min_size=3, max_size=3)))
    values = {
        "entry": entry, "exit": draw(st.integers(1, entry)),
        "momentum_short": backs[0], "momentum_medium": backs[1], "momentum_long": backs[2],
        "channel_weight": draw(st.sampled_from([0.0, 0.5, 1.0])),
        "volatility": draw(st.sampled_from([0.05, 0.25, 2.0])),
        "volatility_mass": draw(st.sampled_from([1.0, 7.0, 60.0])),
        "cap": draw(st.sampled_from([0.3, 1.0])), "band": draw(st.sampled_from([0.0, 0.1])),
        "atr_window": draw(st.integers(1, 10)), "stop_atr": draw(st.sampled_from([0.0, 0.3, 2.0])),
        "allow_short": draw(st.booleans()),
    }  # fmt: skip
    return parse_params(TrendFollowParams, values)  # type: ignore[no-any-return]


def bars(seed: int, count: int, volatility: float) -> list[Bar]:
    market = series(seed, count, volatility=volatility)
    columns = (market.open_ns, market.close_ns, *market.prices, market.volume)
    return [
        Bar(int(a), int(b), *map(float, rest))
        for a, b, *rest in zip(*(c.tolist() for c in columns), strict=True)
    ]


def decisions(market: list[Bar], params: TrendFollowParams) -> list[Said]:
    strategy = TrendFollow()
    state, said = strategy.initial(params), []
    for bar in market:
        state, desired = strategy.step(params, state, Observation("BTCUSDT", "1m", bar, bar.close_ns))
        stop = 0.0 if desired is None or desired.protection is None else desired.protection.stop or 0.0
        said.append(("", 0.0, 0.0) if desired is None else (desired.reason, desired.target, stop))
    return said


def compiled_decisions(market: list[Bar], params: TrendFollowParams, step: Any = trend_step) -> list[Said]:
    declared = TrendFollow.compiled
    assert declared is not None
    vector = np.array(declared.numbers(params, "1m"))
    state, said = np.zeros(declared.state_size(params)), []
    for bar in market:
        code, target, stop, profit, trail = step(
            vector, state, bar.close_ns, bar.open, bar.high, bar.low, bar.close, bar.volume, 0.0, 0.0, 0.0
        )
        assert profit == trail == 0.0
        said.append(("", 0.0, 0.0) if code == 0 else (declared.reasons[code - 1], target, stop))
    return said


@given(st.integers(0, 10_000), st.integers(1, 160), st.sampled_from([0.0, 0.002, 0.03]), parameters())
@settings(max_examples=150, deadline=None)
def test_both_steps_say_the_same_at_every_bar_to_the_last_digit(
    seed: int, count: int, volatility: float, params: TrendFollowParams
) -> None:
    market = bars(seed, count, volatility)
    assert compiled_decisions(market, params) == decisions(market, params)


def test_machine_code_says_the_same_over_a_long_market() -> None:
    pytest.importorskip("numba", reason="the compiled engine needs numba")
    from trading.domain.backtest.machine import compiled_step

    market, params = bars(11, 4_000, 0.004), TrendFollowParams(allow_short=True)
    said = compiled_decisions(market, params, compiled_step(trend_step))
    assert said == decisions(market, params)
    assert {reason for reason, _, _ in said} >= {"", "TREND_LONG", "TREND_SHORT", "STOPPED_OUT"}


@given(
    st.integers(0, 10_000),
    parameters(),
    st.sampled_from(list(FillMode)),
    st.sampled_from([Decimal(0), Decimal("1.5")]),
    st.booleans(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_both_engines_end_with_the_same_bytes(
    seed: int, params: TrendFollowParams, fill: FillMode, slippage: Decimal, futures: bool
) -> None:
    pytest.importorskip("numba", reason="the compiled engine needs numba")
    market, funding = perpetual(seed, 160) if futures else (series(seed, 160), None)
    assumptions = Settings(fill=fill, costs=Costs(slippage_bps=slippage))
    assigned = [Assignment("BTCUSDT", TrendFollow(), params)]
    inputs = Inputs([market], assigned, assumptions, {"BTCUSDT": funding} if funding is not None else {})
    same(run(inputs), run_compiled(inputs))
