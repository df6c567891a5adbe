from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.unit.trading.domain.regime.simulated import HOUR_NS, THREE, bars, simulate
from trading.domain.regime.errors import DegenerateFilter, FeaturesRefused, StateRefused
from trading.domain.regime.features import BarColumns, FeatureSpec, feature_matrix
from trading.domain.regime.filter import (
    ClosedBar,
    FilterState,
    Reading,
    RegimeFilter,
    filter_log_densities,
    filter_series,
)
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.model import GaussianHmm, RegimeModel
from trading.domain.regime.scaler import Scaling

SPEC = FeatureSpec(("log_return", "volatility", "volume"), 5, 8)
COLUMNS = bars(150, seed=3)
MATRIX = feature_matrix(COLUMNS, SPEC)
DIGEST = "d" * 64
MODEL = RegimeModel(
    GaussianHmm(
        np.array([0.6, 0.4]),
        np.array([[0.95, 0.05], [0.10, 0.90]]),
        GaussianEmission(
            "full",
            np.array([[0.0, -0.7, 0.0], [0.0, 0.9, 0.1]]),
            np.array([np.diag([0.4, 0.5, 1.0]), np.diag([1.7, 0.4, 1.1])]),
        ),
    ),
    Scaling().fit(MATRIX.x, SPEC.names),
    SPEC,
    ("calm", "turbulent"),
    HOUR_NS,
)


def bar(columns: BarColumns, t: int) -> ClosedBar:
    return ClosedBar(
        int(columns.close_ns[t]),
        *(float(column[t]) for column in (columns.high, columns.low, columns.close, columns.volume)),
    )


def run(running: RegimeFilter, start: int, stop: int) -> list[Reading | None]:
    return [running.step(bar(COLUMNS, t)) for t in range(start, stop)]


def test_a_stream_of_bars_says_what_the_batch_says() -> None:
    readings = [reading for reading in run(RegimeFilter(MODEL, DIGEST), 0, 150) if reading is not None]
    filtered, scores = filter_series(MODEL.hmm, MATRIX.x, scaler=MODEL.scaler)
    assert [reading.close_ns for reading in readings] == list(MATRIX.close_ns)
    assert np.array_equal(np.array([reading.posterior for reading in readings]), filtered)
    assert [reading.log_score for reading in readings] == list(scores)


def test_machine_code_serves_the_same_bits() -> None:
    interpreted = run(RegimeFilter(MODEL, DIGEST), 0, 150)
    assert run(RegimeFilter(MODEL, DIGEST, machine_code=True), 0, 150) == interpreted


def test_a_filter_restored_in_another_process_continues_to_the_bit() -> None:
    running = RegimeFilter(MODEL, DIGEST)
    run(running, 0, 90)
    stored = json.dumps(running.state().members(), allow_nan=False)
    restored = RegimeFilter.restored(MODEL, DIGEST, FilterState.parse(json.loads(stored)))
    assert restored.close_ns == COLUMNS.close_ns[89]
    assert run(restored, 90, 150) == run(running, 90, 150)


def test_a_state_with_an_impossible_regime_survives_storage() -> None:
    chain = GaussianHmm(np.array([1.0, 0.0]), np.eye(2), MODEL.hmm.emission)
    model = RegimeModel(chain, MODEL.scaler, SPEC, MODEL.labels, HOUR_NS)
    running = RegimeFilter(model, DIGEST)
    run(running, 0, 60)
    state = FilterState.parse(json.loads(json.dumps(running.state().members(), allow_nan=False)))
    assert RegimeFilter.restored(model, DIGEST, state).posterior == (1.0, 0.0)


def test_a_state_of_another_model_is_refused() -> None:
    running = RegimeFilter(MODEL, DIGEST)
    run(running, 0, 20)
    with pytest.raises(StateRefused, match="belongs to model dddddddddddd"):
        RegimeFilter.restored(MODEL, "e" * 64, running.state())


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("chain", []),
        ("features", [1.0]),
        ("chain", None),
        ("close_ns", "soon"),
        ("features", [float("nan")] * 15),
    ],
)
def test_a_damaged_state_is_refused(member: str, value: object) -> None:
    running = RegimeFilter(MODEL, DIGEST)
    run(running, 0, 20)
    members = running.state().members() | {member: value}
    with pytest.raises(StateRefused):
        RegimeFilter.restored(MODEL, DIGEST, FilterState.parse(members))


def test_stored_probabilities_that_do_not_sum_to_one_are_refused() -> None:
    running = RegimeFilter(MODEL, DIGEST)
    run(running, 0, 20)
    members = running.state().members()
    members["chain"][1] = 0.5
    with pytest.raises(StateRefused, match="sum to"):
        RegimeFilter.restored(MODEL, DIGEST, FilterState.parse(members))


def test_a_missing_bar_is_noticed_and_nothing_is_taken() -> None:
    running = RegimeFilter(MODEL, DIGEST)
    run(running, 0, 50)
    before = running.state()
    with pytest.raises(StateRefused, match="2 bars are missing"):
        running.step(bar(COLUMNS, 52))
    assert running.missing(int(COLUMNS.close_ns[52])) == 2
    assert running.state() == before
    assert run(running, 50, 150) == run(RegimeFilter(MODEL, DIGEST), 0, 150)[50:]


def test_a_bar_is_not_taken_twice() -> None:
    running = RegimeFilter(MODEL, DIGEST)
    run(running, 0, 50)
    with pytest.raises(StateRefused, match="taken already"):
        running.step(bar(COLUMNS, 49))


def test_a_bar_the_venue_never_made_moves_the_chain_without_evidence_and_refills_the_windows() -> None:
    running = RegimeFilter(MODEL, DIGEST)
    run(running, 0, 50)
    known = np.array(running.posterior)
    running.skip(int(COLUMNS.close_ns[50]))
    assert running.posterior == pytest.approx(known @ MODEL.hmm.transition, rel=1e-12)
    refilling = run(running, 51, 51 + SPEC.warmup - 1)
    assert refilling == [None] * (SPEC.warmup - 1)
    expected = known @ np.linalg.matrix_power(MODEL.hmm.transition, SPEC.warmup)
    assert running.posterior == pytest.approx(expected, rel=1e-12)
    assert running.step(bar(COLUMNS, 50 + SPEC.warmup)) is not None


def test_an_unusable_bar_leaves_the_filter_where_it_was() -> None:
    running = RegimeFilter(MODEL, DIGEST)
    run(running, 0, 50)
    before = running.state()
    good = bar(COLUMNS, 50)
    with pytest.raises(FeaturesRefused, match="nothing was traded"):
        running.step(ClosedBar(good.close_ns, good.high, good.low, good.close, 0.0))
    assert running.state() == before
    assert running.step(good) is not None


def test_a_bar_no_state_explains_leaves_the_filter_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    # A normal density explains everything a little, so the kernel's answer is put in its mouth.
    running = RegimeFilter(MODEL, DIGEST)
    run(running, 0, 50)
    before = running.state()
    with monkeypatch.context() as patched:
        patched.setattr(running, "_filter_step", lambda *_: math.nan)
        with pytest.raises(DegenerateFilter, match="no state explains the bar"):
            running.step(bar(COLUMNS, 50))
    assert running.state() == before


def test_an_observation_no_state_explains_is_an_error_and_changes_nothing() -> None:
    start, transition = np.array([1.0, 0.0]), np.eye(2)
    with pytest.raises(DegenerateFilter, match="row 1"):
        filter_log_densities(start, transition, np.array([[-1.0, -1.0], [-np.inf, -1.0]]))
    with pytest.raises(DegenerateFilter, match="row 0"):
        filter_log_densities(start, transition, np.array([[np.nan, -1.0]]))


def test_a_regime_that_has_become_almost_impossible_comes_back() -> None:
    # In linear arithmetic the second state's probability underflows to 0 after two such rows and never returns.
    transition = np.array([[1.0, 0.0], [0.0, 1.0]])
    density = np.array([[0.0, -500.0]] * 4 + [[-900.0, 0.0]] * 4)
    filtered, _ = filter_log_densities(np.array([0.5, 0.5]), transition, density)
    assert filtered[3, 1] == 0.0
    assert filtered[-1, 1] == pytest.approx(1.0)


def test_the_filter_restarts_at_every_stretch() -> None:
    x, _ = simulate(THREE, 60, seed=4)
    joined, _ = filter_series(THREE, x, (20, 40))
    assert np.array_equal(joined[20:], filter_series(THREE, x[20:])[0])


def test_a_model_needs_as_many_labels_as_states_and_features_throughout() -> None:
    with pytest.raises(ValueError, match="2 different labels"):
        RegimeModel(MODEL.hmm, MODEL.scaler, SPEC, ("calm",), HOUR_NS)
    with pytest.raises(ValueError, match="expected 1 features throughout"):
        RegimeModel(MODEL.hmm, MODEL.scaler, FeatureSpec(("range",)), MODEL.labels, HOUR_NS)


def test_expected_durations_and_the_stationary_law_follow_from_the_transition_matrix() -> None:
    assert MODEL.hmm.expected_durations() == pytest.approx([20.0, 10.0])
    assert MODEL.hmm.stationary() == pytest.approx([2 / 3, 1 / 3])
    absorbing = GaussianHmm(np.array([1.0, 0.0]), np.eye(2), MODEL.hmm.emission)
    assert list(absorbing.expected_durations()) == [math.inf, math.inf]
