from __future__ import annotations

import numpy as np
import pytest

from tests.unit.trading.domain.regime.test_two_clock import CHAIN, TRUTH, market
from tests.unit.trading.domain.regime.test_two_clock_filter import ALIGNED, MODEL
from trading.domain.regime.compiled import compiled
from trading.domain.regime.scaler import Scaler
from trading.domain.regime.two_clock_packed import (
    STATE_HEADER,
    initial_two_clock_state,
    pack_two_clock,
    two_clock_step,
)

PLAIN = Scaler(np.zeros(1), np.ones(1))


def test_flat_vectors_step_like_the_series_filter_with_holes_and_in_machine_code() -> None:
    series = MODEL.hmm.filter(
        MODEL.scaler.apply(ALIGNED.fast),
        MODEL.slow_scaler.apply(ALIGNED.slow),
        ALIGNED.closes,
        ALIGNED.fast_seen,
        ALIGNED.slow_seen,
    )
    model = pack_two_clock(MODEL.hmm, MODEL.scaler, MODEL.slow_scaler)
    states = [initial_two_clock_state(MODEL.hmm), initial_two_clock_state(MODEL.hmm)]
    closed, total = 0, 0.0
    for t in range(len(ALIGNED.fast)):
        closes = bool(ALIGNED.closes[t])
        at = min(closed, len(ALIGNED.slow) - 1)
        scores = [
            step(
                model, state, ALIGNED.fast[t], bool(ALIGNED.fast_seen[t]), ALIGNED.slow[at], closes,
                bool(ALIGNED.slow_seen[at]),
            )
            for step, state in zip((two_clock_step, compiled(two_clock_step)), states, strict=True)
        ]  # fmt: skip
        closed += closes
        total += scores[0]
        assert scores[0] == scores[1]
        law = np.exp(states[0][STATE_HEADER : STATE_HEADER + 4]).reshape(2, 2)
        assert law.sum(axis=1) == pytest.approx(series.macro[t], abs=1e-10)
        assert law.sum(axis=0) == pytest.approx(series.micro[t], abs=1e-10)
    assert np.array_equal(states[0], states[1])
    assert total == pytest.approx(series.log_likelihood, rel=1e-10)


def test_nothing_moves_before_the_first_fast_row() -> None:
    model, state = pack_two_clock(TRUTH, PLAIN, PLAIN), initial_two_clock_state(TRUTH)
    before = state.copy()
    assert two_clock_step(model, state, np.zeros(1), False, np.zeros(1), True, False) == 0.0
    assert np.array_equal(state, before)


def test_a_fast_row_that_is_not_seen_moves_the_chain_alone() -> None:
    fast, _, _, _ = market(7, 1)
    model, state = pack_two_clock(TRUTH, PLAIN, PLAIN), initial_two_clock_state(TRUTH)
    two_clock_step(model, state, fast[0], True, np.zeros(1), False, False)
    law = np.exp(state[STATE_HEADER : STATE_HEADER + 4]).reshape(2, 2)
    two_clock_step(model, state, np.full(1, np.nan), False, np.zeros(1), False, False)
    expected = np.einsum("km,kmn->kn", law, CHAIN.micro_transition)
    assert np.exp(state[STATE_HEADER : STATE_HEADER + 4]).reshape(2, 2) == pytest.approx(expected, rel=1e-12)
