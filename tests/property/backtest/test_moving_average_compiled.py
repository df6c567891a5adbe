"""The compiled step of `moving_average` decides what its Python step decides, at every bar."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain.strategies.base import Bar, Observation
from trading.domain.strategies.moving_average import MovingAverage, MovingAverageParams, crossing_step

PRICE = st.integers(1, 2_000_000).map(lambda ticks: ticks / 100)
# Few different prices, so that averages tie often.
TIED = st.sampled_from([100.01, 100.02, 100.03])
CLOSES = st.one_of(st.lists(TIED, min_size=1, max_size=150), st.lists(PRICE, min_size=1, max_size=80))


def decisions(closes: list[float], params: MovingAverageParams) -> list[tuple[str, float]]:
    strategy = MovingAverage()
    state, said = strategy.initial(params), []
    observation = Observation("BTCUSDT", "1m", Bar(0, 1, 1.0, 1.0, 1.0, 1.0, 0.0), 1)
    for close in closes:
        observation.bar = Bar(0, 1, close, close, close, close, 0.0)
        state, desired = strategy.step(params, state, observation)
        said.append(("", 0.0) if desired is None else (desired.reason, desired.target))
    return said


def compiled_decisions(closes: list[float], params: MovingAverageParams) -> list[tuple[str, float]]:
    declared = MovingAverage.compiled
    assert declared is not None
    assert declared.step is crossing_step
    vector, state = declared.vector(params), [0.0] * declared.state_size(params)
    said = []
    for close in closes:
        code, target, *_ = crossing_step(vector, state, 0, close, close, close, close, 0.0, 0.0, 0.0, 0.0)
        said.append(("", 0.0) if code == 0 else (declared.reasons[code - 1], target))
    return said


@given(CLOSES, st.integers(1, 8), st.integers(1, 12), st.booleans())
@settings(max_examples=300)
def test_both_steps_say_the_same_at_every_bar(
    closes: list[float], fast: int, more: int, allow_short: bool
) -> None:
    params = MovingAverageParams(fast, fast + more, allow_short)
    assert compiled_decisions(closes, params) == decisions(closes, params)


@pytest.mark.parametrize(("fast", "slow"), [(1, 2), (9, 21), (20, 50)])
def test_they_still_agree_after_many_turns_of_the_running_sums(fast: int, slow: int) -> None:
    rng = np.random.default_rng(3)
    walk = np.round(30_000 + np.cumsum(rng.integers(-1, 2, 12_000)) * 0.01, 2).tolist()
    params = MovingAverageParams(fast, slow)
    assert compiled_decisions(walk, params) == decisions(walk, params)
