"""What the regime model said at a bar never depends on a later one, and every law is a law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.trading.domain.regime.simulated import HOUR_NS, bars
from trading.domain.regime.features import FEATURES, BarColumns, FeatureSpec, feature_matrix
from trading.domain.regime.filter import filter_series
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.model import GaussianHmm
from trading.domain.regime.scaler import Scaling
from trading.domain.regime.two_clock import TwoClockChain, two_clock_series

SPEC = FeatureSpec(tuple(FEATURES), volatility_window=4, volume_window=6)
ROWS = 90


def random_model(seed: int, states: int, width: int) -> GaussianHmm:
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(states, width, width))
    return GaussianHmm(
        rng.dirichlet(np.ones(states)),
        rng.dirichlet(np.ones(states), size=states),
        GaussianEmission(
            "full",
            rng.normal(size=(states, width)),
            roots @ roots.transpose(0, 2, 1) + 0.2 * np.eye(width),
        ),
    )


def posteriors(columns: BarColumns, model: GaussianHmm, train: int) -> tuple[np.ndarray, np.ndarray]:
    """Filtered probabilities by bar through features, scaler and chain; the scaler sees the first bars only."""
    matrix = feature_matrix(columns, SPEC, machine_code=True)
    scaler = Scaling().fit(matrix.x[:train], SPEC.names)
    filtered, _ = filter_series(model, matrix.x, matrix.lengths, scaler=scaler, machine_code=True)
    return matrix.close_ns, filtered


@given(seed=st.integers(0, 10_000), states=st.integers(1, 4), length=st.integers(40, ROWS))
@settings(deadline=None, max_examples=60)
def test_a_prefix_says_the_same_as_the_whole(seed: int, states: int, length: int) -> None:
    columns, model = bars(ROWS, seed), random_model(seed, states, SPEC.width)
    close_ns, whole = posteriors(columns, model, 30)
    prefix_ns, part = posteriors(columns.prefix(length), model, 30)
    assert np.array_equal(prefix_ns, close_ns[: len(part)])
    assert np.array_equal(part, whole[: len(part)])


def test_every_prefix_of_one_series_says_the_same() -> None:
    columns, model = bars(ROWS, 1), random_model(1, 3, SPEC.width)
    _, whole = posteriors(columns, model, 30)
    for length in range(40, ROWS):
        _, part = posteriors(columns.prefix(length), model, 30)
        assert np.abs(part[-1] - whole[len(part) - 1]).max() <= 1e-9


@given(seed=st.integers(0, 10_000), at=st.integers(40, ROWS - 2), factor=st.floats(0.01, 100.0))
@settings(deadline=None, max_examples=60)
def test_changing_every_later_bar_changes_nothing_before(seed: int, at: int, factor: float) -> None:
    columns, model = bars(ROWS, seed), random_model(seed, 3, SPEC.width)
    later = np.arange(ROWS) > at
    changed = BarColumns(
        columns.close_ns,
        HOUR_NS,
        *(np.where(later, column * factor, column) for column in (columns.high, columns.low, columns.close)),
        np.where(later, columns.volume[::-1], columns.volume),
        np.where(later, 0.0, columns.taker_base),
        np.where(later, -columns.funding, columns.funding),
    )
    close_ns, before = posteriors(columns, model, 30)
    _, after = posteriors(changed, model, 30)
    known = close_ns <= columns.close_ns[at]
    assert np.array_equal(before[known], after[known])


def test_the_test_of_causality_notices_a_scaler_that_saw_the_whole_series() -> None:
    columns, model = bars(ROWS, 1), random_model(1, 3, SPEC.width)
    _, whole = posteriors(columns, model, ROWS)
    _, part = posteriors(columns.prefix(60), model, ROWS)
    assert np.abs(part - whole[: len(part)]).max() > 1e-6


@given(
    seed=st.integers(0, 10_000),
    states=st.integers(1, 5),
    width=st.integers(1, 4),
    spread=st.floats(1e-3, 1e3),
)
@settings(deadline=None, max_examples=80)
def test_probabilities_are_a_law_whatever_is_observed(
    seed: int, states: int, width: int, spread: float
) -> None:
    model = random_model(seed, states, width)
    x = np.random.default_rng(seed + 1).normal(size=(50, width)) * spread
    filtered, scores = filter_series(model, x)
    assert (filtered >= 0).all()
    assert filtered.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert np.isfinite(scores).all()


@given(seed=st.integers(0, 10_000), order=st.permutations(range(3)))
@settings(deadline=None, max_examples=40)
def test_renaming_the_states_renames_the_probabilities(seed: int, order: list[int]) -> None:
    model = random_model(seed, 3, 2)
    x = np.random.default_rng(seed).normal(size=(40, 2))
    plain, scores = filter_series(model, x)
    renamed, same = filter_series(model.permuted(tuple(order)), x)
    assert renamed == pytest.approx(plain[:, order], abs=1e-10)
    assert same == pytest.approx(scores, rel=1e-10)


@given(
    seed=st.integers(0, 10_000),
    macros=st.integers(1, 3),
    micros=st.integers(1, 3),
    per_slow=st.integers(1, 6),
    length=st.integers(1, 29),
)
@settings(deadline=None, max_examples=60)
def test_the_two_clock_filter_is_causal_across_slow_closes(
    seed: int, macros: int, micros: int, per_slow: int, length: int
) -> None:
    rng = np.random.default_rng(seed)
    chain = TwoClockChain(
        rng.dirichlet(np.ones(macros)),
        rng.dirichlet(np.ones(macros), size=macros),
        rng.dirichlet(np.ones(micros)),
        rng.dirichlet(np.ones(micros), size=(macros, micros)),
    )
    closes = (np.arange(30) % per_slow == per_slow - 1).astype(float)
    fast, slow = rng.normal(size=(30, micros)) * 3, rng.normal(size=(int(closes.sum()), macros)) * 3
    whole = two_clock_series(chain, fast, slow, closes)
    part = two_clock_series(chain, fast[:length], slow[: int(closes[:length].sum())], closes[:length])
    assert np.array_equal(part.macro, whole.macro[:length])
    assert np.array_equal(part.micro, whole.micro[:length])
    assert whole.macro.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert whole.micro.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
