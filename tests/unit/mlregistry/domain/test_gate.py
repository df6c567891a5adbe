"""The gate's questions one by one, on returns made for each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlregistry.domain.gate import Criterion, Evidence, Walked, judge
from mlregistry.domain.windows import judged_windows, knows_nothing_of
from trading.domain.statistics.sharpe import expected_maximum

RNG = np.random.default_rng(4)
NOISE = RNG.normal(0.0, 0.01, 250)


def walked(mean: float, noise: Any = NOISE, trades: int = 40) -> Walked:
    periods = mean + noise
    return Walked(periods, (0.1, 0.2, 0.1), trades, float(np.prod(1 + periods) - 1), 0.1)


def evidence(**changes: Any) -> Evidence:
    good, flat = walked(0.004), walked(0.0)
    return replace(Evidence(good, flat, (good, flat), (good, flat), 0, 1.0, None), **changes)


def failed(one: Evidence) -> set[str]:
    return {c.name for c in judge(one).criteria if not c.passed}


def test_a_model_that_is_better_in_every_way_passes() -> None:
    assert judge(evidence()).passed
    assert failed(evidence()) == set()


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"leaks": 1}, {"truncation_leaks"}),
        ({"challenger": walked(0.004, trades=29)}, {"trades"}),
        ({"dearer": (walked(-0.004), walked(-0.005))}, {"dearer_return"}),
        ({"later": (walked(0.001), walked(0.002))}, {"later_difference"}),
        ({"beats_flat": -0.01}, {"beats_flat"}),
    ],
)
def test_each_question_alone_is_enough_to_fail(changes: dict[str, Any], names: set[str]) -> None:
    assert failed(evidence(**changes)) == names


def test_thirty_trades_are_enough_and_no_gain_over_a_flat_model_is_no_loss() -> None:
    assert failed(evidence(challenger=walked(0.004, trades=30), beats_flat=0.0)) == set()


def test_a_model_that_is_the_champion_again_is_not_better() -> None:
    same = walked(0.004)
    verdict = judge(evidence(champion=same))
    (difference,) = (one for one in verdict.criteria if one.name == "difference")
    assert (difference.measured, difference.passed) == (None, False)


def test_the_difference_is_paired_so_common_noise_does_not_hide_a_small_gain() -> None:
    own = RNG.normal(0.0, 0.0005, 250)
    small = walked(0.0042, NOISE + own)
    verdict = judge(evidence(challenger=small, champion=walked(0.004)))
    (difference,) = (one for one in verdict.criteria if one.name == "difference")
    assert difference.measured is not None
    assert difference.measured > 0.99


def test_every_trial_raises_what_luck_alone_would_show() -> None:
    hundred = judge(evidence(trials=100.0))
    # Without known ratios their variance is that of one estimate of no skill, 1 / (n - 1).
    assert hundred.figures["luck_sharpe"] == pytest.approx(expected_maximum(100.0) / np.sqrt(249), rel=1e-12)
    modest = walked(0.0015)
    few, many = (
        judge(evidence(challenger=modest, dearer=(modest, walked(0.0)), trials=n)) for n in (1.0, 500.0)
    )
    measured = [
        next(one.measured for one in verdict.criteria if one.name == "deflated_sharpe")
        for verdict in (few, many)
    ]
    assert measured[0] is not None
    assert measured[1] is not None
    assert measured[0] > 0.95 > measured[1]


def test_too_few_periods_cannot_be_measured_and_do_not_pass() -> None:
    short = walked(0.004, NOISE[:19])
    flat = walked(0.0, NOISE[:19])
    names = failed(evidence(challenger=short, champion=flat, dearer=(short, flat), later=(short, flat)))
    assert {"difference", "deflated_sharpe", "track_record"} <= names


def test_what_is_no_number_does_not_pass() -> None:
    assert not Criterion("x", float("nan"), 0.0, True, "").passed
    assert not Criterion("x", float("inf"), 0.0, True, "").passed
    assert Criterion("x", 0.0, 0.0, True, "").passed
    assert Criterion("x", 0.0, 0.0, False, "").passed


def test_different_periods_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="same periods"):
        judge(evidence(champion=walked(0.0, NOISE[:100])))


def test_tests_follow_training_with_a_gap_of_one_label_and_the_embargo() -> None:
    windows, gap = judged_windows(2000, train=1000, folds=4, warmup=48)
    assert gap == 49
    assert all(window.test_start - window.train_stop == gap for window in windows)
    assert (windows[0].train_start, windows[-1].test_stop) == (0, 2000)
    with pytest.raises(ValueError, match="expected at least 50"):
        judged_windows(1000, train=900, folds=4, warmup=10)


def test_a_model_speaks_in_a_test_only_when_the_gap_lies_behind_its_training() -> None:
    windows, gap = judged_windows(2000, train=1000, folds=4, warmup=48)
    step = 3_600_000_000_000
    close_ns = [step * (n + 1) for n in range(2000)]
    last_allowed = close_ns[windows[0].train_stop - 1]
    assert knows_nothing_of(windows[0], close_ns, last_allowed, gap)
    assert not knows_nothing_of(windows[0], close_ns, last_allowed + step, gap)
