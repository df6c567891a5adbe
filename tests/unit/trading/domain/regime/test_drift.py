from __future__ import annotations

import numpy as np
import pytest

from trading.domain.regime.drift import (
    Drift,
    ScoreReference,
    average_run_length,
    bin_counts,
    count_alarms,
    cusum,
    population_stability,
    psi_bins,
    psi_verdict,
    score_reference,
)


@pytest.mark.parametrize(
    ("threshold", "shift", "bars"),
    [
        (4, 0.0, 335.4), (4, 0.25, 77.1), (4, 0.5, 26.7), (4, 1.0, 8.38), (4, 2.0, 3.34),
        (5, 0.0, 930.9), (5, 0.25, 141.7), (5, 0.5, 38.0), (5, 1.0, 10.38), (5, 2.0, 4.01),
        (8, 0.0, 18962), (8, 0.25, 736.7), (8, 0.5, 84.0), (8, 1.0, 16.37), (8, 2.0, 6.01),
    ],
)  # fmt: skip
def test_mean_time_to_alarm_agrees_with_the_standard_tables(
    threshold: float, shift: float, bars: float
) -> None:
    # Half a unit of the last digit printed, as a part of the value.
    assert average_run_length(0.5, threshold, shift) == pytest.approx(bars, rel=2e-3)


def test_the_calibrated_threshold_gives_the_wanted_time_between_alarms() -> None:
    rng = np.random.default_rng(0)
    # Skewed and autocorrelated, as log scores are.
    noise = rng.gamma(2.0, size=20_100)
    scores = -np.convolve(noise, [0.5, 0.3, 0.2], mode="valid")[:20_000]
    reference = score_reference(scores, bars_between_alarms=500.0, seed=1)
    fresh = -np.convolve(rng.gamma(2.0, size=200_002), [0.5, 0.3, 0.2], mode="valid")
    alarms = count_alarms(
        np.array([reference.standardised(c) for c in fresh]), reference.slack, reference.threshold
    )
    # 400 alarms are expected; the bootstrap itself knows the mean time within about 16 %.
    assert len(fresh) / alarms == pytest.approx(500.0, rel=0.35)
    normal = 0.5 * np.log(500.0)  # the iid normal threshold would be near 4.4: far too low here
    assert reference.threshold > normal


def test_an_independent_normal_series_gets_the_threshold_of_the_tables() -> None:
    scores = np.random.default_rng(3).normal(size=50_000)
    reference = score_reference(scores, bars_between_alarms=930.9)
    assert average_run_length(0.5, reference.threshold) == pytest.approx(930.9, rel=0.4)


def test_the_reference_keeps_mean_deviation_and_floor_of_the_training_scores() -> None:
    scores = np.random.default_rng(4).normal(-3.0, 2.0, size=10_000)
    reference = score_reference(scores)
    assert reference.mean == pytest.approx(scores.mean())
    assert reference.deviation == pytest.approx(scores.std())
    assert (scores < reference.floor).sum() == 10
    assert reference.standardised(reference.mean - 2 * reference.deviation) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (np.zeros(99), "at least 100"),
        (np.zeros(200), "do not vary"),
        (np.full(200, np.nan), "finite"),
    ],
)
def test_scores_that_calibrate_nothing_are_refused(scores: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        score_reference(scores)


def test_the_alarm_is_the_first_level_above_the_threshold_not_at_it() -> None:
    assert cusum(np.array([4.5]), 0.5, 4.0)[1] is None
    assert cusum(np.array([4.5, 0.6]), 0.5, 4.0)[1] == 1


def test_after_an_alarm_counting_starts_from_zero() -> None:
    assert count_alarms(np.full(10, 1.5), 0.5, 2.5) == 3


def test_training_rows_fill_their_own_bins_equally() -> None:
    x = np.random.default_rng(5).normal(size=1000)
    edges = psi_bins(x)
    assert list(bin_counts(x, edges)) == [100.0] * 10
    assert population_stability(bin_counts(x, edges), bin_counts(x, edges)) == 0.0


def test_an_empty_bin_is_floored_and_a_shift_alarms() -> None:
    x = np.random.default_rng(6).normal(size=5000)
    edges = psi_bins(x)
    shifted = population_stability(bin_counts(x, edges), bin_counts(x + 3.0, edges))
    assert np.isfinite(shifted)
    assert psi_verdict(shifted) is Drift.ALARM


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (0.0999, Drift.STABLE),
        (0.1, Drift.WATCH),
        (0.25, Drift.WATCH),
        (0.2501, Drift.ALARM),
        (float("nan"), Drift.ALARM),
    ],
)
def test_verdicts_of_the_stability_index(value: float, verdict: Drift) -> None:
    assert psi_verdict(value) is verdict


@pytest.mark.parametrize(("expected", "actual"), [([0.0, 0.0], [1.0, 1.0]), ([1.0, -1.0], [1.0, 1.0])])
def test_impossible_histograms_are_refused(expected: list[float], actual: list[float]) -> None:
    with pytest.raises(ValueError, match="histograms"):
        population_stability(np.array(expected), np.array(actual))


def test_a_reference_without_spread_is_refused() -> None:
    with pytest.raises(ValueError, match="positive deviation"):
        ScoreReference(0.0, 0.0, -1.0, 0.5, 5.0)
