from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.trading.domain.regime.simulated import HOUR_NS, bars
from tests.unit.trading.domain.regime.test_two_clock import CHAIN
from trading.domain.regime.errors import FeaturesRefused, StateRefused
from trading.domain.regime.features import BarColumns, FeatureMatrix, FeatureSpec, feature_matrix
from trading.domain.regime.filter import ClosedBar
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.resample import align_clocks, slow_bars
from trading.domain.regime.scaler import Scaling
from trading.domain.regime.two_clock import TwoClockHmm
from trading.domain.regime.two_clock_filter import (
    TwoClockFilter,
    TwoClockModel,
    TwoClockReading,
    TwoClockState,
)

SLOW_NS = 4 * HOUR_NS
FAST_SPEC, SLOW_SPEC = FeatureSpec(("log_return", "volume"), 5, 6), FeatureSpec(("volatility",), 3, 4)
FAST = bars(200, seed=9)  # the first bar opens at 23:00, so a slow bar closes with it but is not complete
SLOW = slow_bars(FAST, SLOW_NS)
FAST_ROWS, SLOW_ROWS = feature_matrix(FAST, FAST_SPEC), feature_matrix(SLOW, SLOW_SPEC)
ALIGNED = align_clocks(FAST_ROWS, SLOW_ROWS, HOUR_NS, SLOW_NS)
DIGEST = "a" * 64
MODEL = TwoClockModel(
    TwoClockHmm(
        CHAIN,
        GaussianEmission(
            "diag", np.array([[0.0, -0.3], [0.1, 0.4]]), np.array([0.4 * np.eye(2), 1.9 * np.eye(2)])
        ),
        GaussianEmission("diag", np.array([[-0.8], [0.8]]), np.array([[[0.5]], [[0.5]]])),
        power=0.5,
    ),
    Scaling().fit(FAST_ROWS.x, FAST_SPEC.names),
    FAST_SPEC,
    Scaling().fit(SLOW_ROWS.x, SLOW_SPEC.names),
    SLOW_SPEC,
    ("calm", "turbulent"),
    ("micro_calm", "micro_turbulent"),
    HOUR_NS,
    SLOW_NS,
)


def bar(columns: BarColumns, t: int) -> ClosedBar:
    return ClosedBar(
        int(columns.close_ns[t]),
        *(float(column[t]) for column in (columns.high, columns.low, columns.close, columns.volume)),
    )


def slow_of(t: int) -> ClosedBar | None:
    at = np.flatnonzero(SLOW.close_ns == FAST.close_ns[t])
    return bar(SLOW, int(at[0])) if at.size else None


def run(running: TwoClockFilter, start: int, stop: int) -> list[TwoClockReading | None]:
    return [running.step(bar(FAST, t), slow_of(t)) for t in range(start, stop)]


def test_a_stream_of_both_clocks_says_what_the_batch_says() -> None:
    readings = [reading for reading in run(TwoClockFilter(MODEL, DIGEST), 0, 200) if reading is not None]
    series = MODEL.hmm.filter(
        MODEL.scaler.apply(ALIGNED.fast),
        MODEL.slow_scaler.apply(ALIGNED.slow),
        ALIGNED.closes,
        ALIGNED.fast_seen,
        ALIGNED.slow_seen,
    )
    assert len(readings) == len(series.macro) == 195
    assert np.array([reading.macro for reading in readings]) == pytest.approx(series.macro, abs=1e-10)
    assert np.array([reading.micro for reading in readings]) == pytest.approx(series.micro, abs=1e-10)
    assert sum(reading.log_score for reading in readings) == pytest.approx(series.log_likelihood, rel=1e-10)
    assert [reading.slow_closed for reading in readings] == [bool(mark) for mark in ALIGNED.closes]


def test_a_filter_restored_at_any_bar_continues_to_the_bit() -> None:
    whole = run(TwoClockFilter(MODEL, DIGEST), 0, 200)
    for stop in (3, 100, 101, 102, 103, 104):
        running = TwoClockFilter(MODEL, DIGEST)
        run(running, 0, stop)
        stored = json.loads(json.dumps(running.state().members(), allow_nan=False))
        restored = TwoClockFilter.restored(MODEL, DIGEST, TwoClockState.parse(stored))
        assert run(restored, stop, 200) == whole[stop:]


def test_a_state_of_another_model_or_shape_is_refused() -> None:
    running = TwoClockFilter(MODEL, DIGEST)
    run(running, 0, 50)
    with pytest.raises(StateRefused, match="belongs to model"):
        TwoClockFilter.restored(MODEL, "b" * 64, running.state())
    members = running.state().members()
    for name, value in (
        ("log_joint", [0.0]),
        ("phase", 7),
        ("slow_features", None),
        ("log_joint", [0.0] * 4),
    ):
        with pytest.raises(StateRefused):
            TwoClockFilter.restored(MODEL, DIGEST, TwoClockState.parse(members | {name: value}))


def test_an_unusable_slow_bar_leaves_the_filter_where_it_was() -> None:
    running = TwoClockFilter(MODEL, DIGEST)
    at = next(t for t in range(100, 110) if slow_of(t) is not None)
    run(running, 0, at)
    before = running.state()
    good = slow_of(at)
    assert good is not None
    with pytest.raises(FeaturesRefused, match="slow bar"):
        running.step(bar(FAST, at), replace(good, close=float("nan")))
    assert running.state() == before
    assert run(running, at, 200) == run(TwoClockFilter(MODEL, DIGEST), 0, 200)[at:]


def test_a_slow_bar_out_of_step_is_refused() -> None:
    running = TwoClockFilter(MODEL, DIGEST)
    at = next(t for t in range(100, 110) if slow_of(t) is not None)
    run(running, 0, at + 1)
    with pytest.raises(StateRefused, match="closed at"):
        running.step(bar(FAST, at + 1), slow_of(at))
    with pytest.raises(StateRefused, match="no slow bar is due"):
        running.step(bar(FAST, at + 1), replace(bar(SLOW, 1), close_ns=int(FAST.close_ns[at + 1])))
    with pytest.raises(StateRefused, match="expected the bar that closes at"):
        running.step(bar(FAST, at + 2))


def test_a_slow_bar_that_is_missing_moves_the_macro_chain_without_evidence() -> None:
    at = next(t for t in range(100, 110) if slow_of(t) is not None)
    running = TwoClockFilter(MODEL, DIGEST)
    run(running, 0, at)
    reading = running.step(bar(FAST, at), None)
    assert reading is not None
    assert reading.slow_closed
    spoken = run(TwoClockFilter(MODEL, DIGEST), 0, at + 1)[-1]
    assert spoken is not None
    assert spoken.macro != reading.macro
    # The chain still moved: its law before the next fast bar is the reading propagated by S.
    after = running.step(bar(FAST, at + 1), None)
    assert after is not None
    assert not after.slow_closed


def test_a_skipped_bar_predicts_and_refills_the_windows() -> None:
    running = TwoClockFilter(MODEL, DIGEST)
    run(running, 0, 101)
    running.skip(int(FAST.close_ns[101]))
    following = [running.step(bar(FAST, t), slow_of(t)) for t in range(102, 115)]
    assert following[: FAST_SPEC.warmup - 1] == [None] * (FAST_SPEC.warmup - 1)
    assert all(reading is not None for reading in following[FAST_SPEC.warmup - 1 :])
    assert all(abs(sum(reading.macro) - 1) < 1e-12 for reading in following if reading is not None)


def test_slow_bars_are_what_the_venue_makes_of_the_fast_ones() -> None:
    group = np.flatnonzero((FAST.close_ns > SLOW.close_ns[3]) & (FAST.close_ns <= SLOW.close_ns[4]))
    assert len(group) == 4
    assert SLOW.high[4] == FAST.high[group].max()
    assert SLOW.low[4] == FAST.low[group].min()
    assert SLOW.close[4] == FAST.close[group[-1]]
    assert SLOW.volume[4] == pytest.approx(FAST.volume[group].sum())
    assert (SLOW.close_ns + 1_000_000) % SLOW_NS == pytest.approx(0)


def test_a_slow_bar_with_a_hole_is_left_out() -> None:
    keep = np.ones(200, dtype=bool)
    keep[50] = False
    fields = (FAST.high, FAST.low, FAST.close, FAST.volume, FAST.taker_base, FAST.funding)
    holed = BarColumns(FAST.close_ns[keep], HOUR_NS, *(column[keep] for column in fields))
    assert len(slow_bars(holed, SLOW_NS)) == len(SLOW) - 1


@pytest.mark.parametrize("slow_ns", [HOUR_NS, HOUR_NS * 5 // 2, 48 * HOUR_NS])
def test_slow_intervals_that_do_not_fit_are_refused(slow_ns: int) -> None:
    with pytest.raises(FeaturesRefused, match="slow interval"):
        slow_bars(FAST, slow_ns)


def test_a_grid_keeps_its_holes() -> None:
    keep = np.ones(200, dtype=bool)
    keep[90] = False
    fields = (FAST.high, FAST.low, FAST.close, FAST.volume, FAST.taker_base, FAST.funding)
    holed = BarColumns(FAST.close_ns[keep], HOUR_NS, *(column[keep] for column in fields))
    rows = align_clocks(
        feature_matrix(holed, FAST_SPEC),
        feature_matrix(slow_bars(holed, SLOW_NS), SLOW_SPEC),
        HOUR_NS,
        SLOW_NS,
    )
    assert len(rows.fast) == 195
    assert list(np.flatnonzero(~rows.fast_seen)) == list(range(85, 85 + FAST_SPEC.warmup))
    assert rows.closes.sum() == len(rows.slow) == len(rows.slow_seen)


def test_a_grid_of_many_bars_reaches_its_last() -> None:
    # At 4,097 bars a grid counted in floats begins to lose the last one.
    count = 4_097
    close_ns = int(FAST.close_ns[0]) + HOUR_NS * np.arange(count, dtype=np.int64)
    fast = FeatureMatrix(np.zeros((count, 1)), close_ns, (count,))
    slow = FeatureMatrix(np.zeros((1, 1)), close_ns[:1], (1,))
    assert len(align_clocks(fast, slow, HOUR_NS, SLOW_NS).fast) == count
