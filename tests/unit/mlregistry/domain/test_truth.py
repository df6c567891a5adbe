"""A filter beside the truth: which bar had which regime, what is counted, and how near the best filter ours comes."""

from __future__ import annotations

import numpy as np
import pytest

from mlregistry.domain.drifting import scored
from mlregistry.domain.truth import UNKNOWN, agreement, true_regimes
from tests.factories.markets import paying_bars, trained_on
from trading.domain.regime.artefact import decode

MINUTE_NS = 60_000_000_000
NAMES = ("calm", "up", "wild")
LABELS = ("calm", "turbulent")


def test_a_bar_has_the_regime_of_its_last_minute() -> None:
    five = np.array([5, 10, 15], dtype=np.int64) * MINUTE_NS - 1_000_000
    told = [(minute * 60_000, minute) for minute in (3, 4, 8, 9)]
    assert true_regimes(five, told).tolist() == [4, 9, UNKNOWN]


def test_states_are_matched_on_the_oldest_third_and_counted_on_the_rest() -> None:
    # 300 rows, regimes in turn; calm and up are named calm, wild turbulent, apart from what is put wrong below.
    truth = np.tile([0, 1, 2], 100)
    named = np.where(truth == 2, 1, 0)
    named[150:180:3] = 1  # ten of the 67 calm rows that are measured (rows 100 to 299)
    filtered = np.where(named[:, None] == [0, 1], 0.8, 0.2)
    found = agreement(filtered, truth, regimes=NAMES, labels=LABELS)
    assert found.matched == {"calm": "calm", "up": "calm", "wild": "turbulent"}
    assert found.rows == 200
    assert found.accuracy == pytest.approx(190 / 200)
    assert found.confusion["calm"] == {"calm": int((truth[100:] == 0).sum()) - 10, "turbulent": 10}
    assert found.recall["wild"] == 1.0
    assert found.always == pytest.approx((truth[100:] != 2).mean())
    assert found.probability == pytest.approx((190 * 0.8 + 10 * 0.2) / 200)


def test_a_filter_that_knows_nothing_is_no_better_than_always_naming_the_commonest() -> None:
    truth = np.repeat([0, 2], [160, 80])[np.random.default_rng(1).permutation(240)]
    filtered = np.tile([0.6, 0.4], (240, 1))
    found = agreement(filtered, truth, regimes=NAMES, labels=LABELS)
    assert found.accuracy == found.always == 1.0
    assert set(found.matched.values()) == {"calm"}


def test_a_regime_goes_by_the_state_of_its_name_however_often_another_one_was_named_at_first() -> None:
    truth = np.tile([0, 1, 2], 100)
    named = np.where(truth == 2, 2, np.where(truth == 0, 0, 1))
    named[:100] = 0  # the oldest third sees calm only
    filtered = np.where(named[:, None] == [0, 1, 2], 0.8, 0.1)
    found = agreement(
        filtered, truth, regimes=("calm", "trend_up", "other"), labels=("calm", "trend", "turbulent")
    )
    assert found.matched == {"calm": "calm", "trend_up": "trend", "other": "calm"}
    assert found.recall == {"calm": 1.0, "trend_up": 1.0, "other": 0.0}


def test_rows_whose_regime_is_not_told_are_left_out_and_too_few_are_refused() -> None:
    truth = np.tile([0, 2, UNKNOWN], 75)
    filtered = np.where((truth == 2)[:, None] == [False, True], 0.9, 0.1)
    assert agreement(filtered, truth, regimes=NAMES, labels=LABELS).accuracy == 1.0
    with pytest.raises(ValueError, match="150 rows with a known regime or more, were 148"):
        agreement(filtered[:-3], truth[:-3], regimes=NAMES, labels=LABELS)
    with pytest.raises(ValueError, match=r"expected \(225, 3\)"):
        agreement(filtered, truth, regimes=NAMES, labels=NAMES)


def test_on_a_planted_market_a_trained_filter_is_within_two_points_of_the_one_with_the_true_numbers() -> None:
    rng, stays, deviations = np.random.default_rng(8), (0.98, 0.95), np.array([0.003, 0.010])
    states, state = [], 0
    for _ in range(4000):
        states.append(state)
        state = state if rng.random() < stays[state] else 1 - state
    truth = np.array(states)
    returns = deviations[truth] * rng.normal(size=4000)
    bars = paying_bars(20_000 * np.exp(np.cumsum(returns)))
    artefact_bytes = trained_on(paying_bars(bars.close[:2000]), states=2)
    artefact = decode(artefact_bytes.document, artefact_bytes.arrays, artefact_bytes.digest)
    rows = scored(artefact, bars)
    later = rows.close_ns > bars.close_ns[1999]
    place = np.searchsorted(bars.close_ns, rows.close_ns[later])
    ours = agreement(rows.states[later], truth[place], regimes=LABELS, labels=artefact.model.labels)
    # The forward recursion with the true numbers, written out.
    matrix = np.array([[stays[0], 1 - stays[0]], [1 - stays[1], stays[1]]])
    law, best = np.array([0.5, 0.5]), []
    for value in returns:
        law = law @ matrix * np.exp(-0.5 * (value / deviations) ** 2) / deviations
        law /= law.sum()
        best.append(law)
    ideal = agreement(np.array(best)[place], truth[place], regimes=LABELS, labels=LABELS)
    assert ours.matched == {"calm": "calm", "turbulent": "turbulent"}
    assert ours.accuracy >= 0.85
    assert ours.accuracy == pytest.approx(ideal.accuracy, abs=0.02)
    assert ours.accuracy > ours.always + 0.1
