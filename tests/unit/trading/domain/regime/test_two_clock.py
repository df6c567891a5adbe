from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

from tests.unit.trading.domain.regime.simulated import THREE, simulate
from trading.domain.regime.checks import Degeneracy
from trading.domain.regime.errors import DegenerateFilter, FitRefused
from trading.domain.regime.filter import filter_log_densities, filter_series
from trading.domain.regime.fitting import FitRecipe, fit_best
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.model import GaussianHmm
from trading.domain.regime.two_clock import JointFilter, TwoClockChain, TwoClockHmm, two_clock_series
from trading.domain.regime.two_clock_em import (
    TwoClockFit,
    TwoClockRecipe,
    begin_two_clock,
    fit_two_clock,
    two_clock_findings,
)

RNG = np.random.default_rng(11)
B = 24
CHAIN = TwoClockChain(
    np.array([2 / 3, 1 / 3]),
    np.array([[0.95, 0.05], [0.10, 0.90]]),
    np.array([0.5, 0.5]),
    np.array([[[0.97, 0.03], [0.40, 0.60]], [[0.60, 0.40], [0.03, 0.97]]]),
)
# Two fast volatilities, two slow means, and opposite fast matrices.
TRUTH = TwoClockHmm(
    CHAIN,
    GaussianEmission("diag", np.zeros((2, 1)), np.array([[[0.25]], [[2.25]]])),
    GaussianEmission("diag", np.array([[-1.0], [1.0]]), np.ones((2, 1, 1))),
    power=1.0,
)


def market(seed: int, slow_bars: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Fast rows, slow rows, closes, and the macro state of each fast bar."""
    rng = np.random.default_rng(seed)
    macro = np.empty(slow_bars, dtype=int)
    macro[0] = rng.random() > CHAIN.macro_start[0]
    for j in range(1, slow_bars):
        macro[j] = rng.random() > CHAIN.macro_transition[macro[j - 1], 0]
    micro = np.empty(slow_bars * B, dtype=int)
    micro[0] = rng.random() > 0.5
    for t in range(1, slow_bars * B):
        micro[t] = rng.random() > CHAIN.micro_transition[macro[t // B], micro[t - 1], 0]
    fast = rng.normal(0.0, np.where(micro == 0, 0.5, 1.5))[:, None]
    slow = rng.normal(np.where(macro == 0, -1.0, 1.0), 1.0)[:, None]
    return fast, slow, (np.arange(slow_bars * B) % B == B - 1).astype(float), np.repeat(macro, B)


def enumerated(
    chain: TwoClockChain, fast: np.ndarray, slow: np.ndarray, closes: np.ndarray, power: float
) -> tuple[float, np.ndarray]:
    """Log likelihood and the filtered (K, M) law after the last bar, summed over every path."""
    rows, count = len(fast), int(closes.sum())
    total = 0.0
    law = np.zeros((chain.macros, chain.micros))
    segment = np.concatenate(([0], np.cumsum(closes)[:-1])).astype(
        int
    )  # macro state in force at each fast bar
    for macro in product(range(chain.macros), repeat=int(segment[-1]) + 1):
        for micro in product(range(chain.micros), repeat=rows):
            weight = chain.macro_start[macro[0]] * chain.micro_start[micro[0]] * np.exp(fast[0, micro[0]])
            for a, b in pairwise(macro):
                weight *= chain.macro_transition[a, b]
            for t in range(1, rows):
                weight *= chain.micro_transition[macro[segment[t]], micro[t - 1], micro[t]] * np.exp(
                    fast[t, micro[t]]
                )
            for j in range(count):
                weight *= np.exp(power * slow[j, macro[j]])
            total += weight
            law[macro[segment[-1]], micro[-1]] += weight
    return float(np.log(total)), law / total


@pytest.mark.parametrize("closes", [[0, 1, 0, 0, 1, 0], [1, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]])
@pytest.mark.parametrize("power", [1.0, 0.5])
def test_the_exact_filter_agrees_with_the_enumeration_of_all_paths(closes: list[int], power: float) -> None:
    chain = TwoClockChain(
        RNG.dirichlet(np.ones(3)),
        RNG.dirichlet(np.ones(3), size=3),
        RNG.dirichlet(np.ones(2)),
        RNG.dirichlet(np.ones(2), size=(3, 2)),
    )
    marks = np.array(closes, dtype=float)
    fast, slow = RNG.normal(size=(6, 2)) - 1, RNG.normal(size=(int(marks.sum()), 3)) - 1
    likelihood, law = enumerated(chain, fast, slow, marks, power)
    series = two_clock_series(chain, fast, slow, marks, power=power)
    assert series.log_likelihood == pytest.approx(likelihood, rel=1e-10)
    assert series.macro[-1] == pytest.approx(law.sum(axis=1), rel=1e-9)
    assert series.micro[-1] == pytest.approx(law.sum(axis=0), rel=1e-9)


def test_one_macro_state_is_the_plain_filter() -> None:
    x, _ = simulate(THREE, 100, seed=2)
    density = THREE.emission.log_densities(x)
    chain = TwoClockChain(np.ones(1), np.ones((1, 1)), THREE.start, THREE.transition[None])
    closes = (np.arange(100) % 5 == 4).astype(float)
    series = two_clock_series(chain, density, np.zeros((20, 1)), closes)
    filtered, scores = filter_log_densities(THREE.start, THREE.transition, density)
    assert series.micro == pytest.approx(filtered, abs=1e-12)
    assert series.fast_scores == pytest.approx(scores, rel=1e-12)


def test_equal_matrices_and_flat_slow_evidence_are_the_plain_filter() -> None:
    x, _ = simulate(THREE, 100, seed=2)
    density = THREE.emission.log_densities(x)
    equal = TwoClockChain(
        CHAIN.macro_start, CHAIN.macro_transition, THREE.start, np.stack([THREE.transition] * 2)
    )
    closes = (np.arange(100) % 5 == 4).astype(float)
    series = two_clock_series(equal, density, np.full((20, 2), -1.3), closes)
    assert series.micro == pytest.approx(
        filter_log_densities(THREE.start, THREE.transition, density)[0], abs=1e-12
    )


def test_no_probability_depends_on_what_comes_later() -> None:
    fast, slow, closes, _ = market(3, 6)
    whole = TRUTH.filter(fast, slow, closes)
    for rows in (1, B - 1, B, B + 1, 3 * B, 5 * B + 7):
        count = int(closes[:rows].sum())
        part = TRUTH.filter(fast[:rows], slow[:count], closes[:rows])
        assert np.array_equal(part.macro, whole.macro[:rows])
        assert np.array_equal(part.micro, whole.micro[:rows])


def test_a_slow_bar_counts_only_from_its_close() -> None:
    fast, slow, closes, _ = market(3, 3)
    changed = slow.copy()
    changed[1] = -slow[1] * 3
    before, after = TRUTH.filter(fast, slow, closes), TRUTH.filter(fast, changed, closes)
    assert np.array_equal(before.macro[: 2 * B - 1], after.macro[: 2 * B - 1])
    assert not np.array_equal(before.macro[2 * B - 1], after.macro[2 * B - 1])


def test_rows_that_are_not_seen_move_the_chains_without_evidence() -> None:
    fast, slow, closes, _ = market(4, 4)
    seen, slow_seen = np.ones(len(fast), dtype=bool), np.array([True, False, True, True])
    seen[30:50] = False
    spoiled, slow_spoiled = fast.copy(), slow.copy()
    spoiled[30:50], slow_spoiled[1] = 1e3, 1e3
    assert np.array_equal(
        TRUTH.filter(fast, slow, closes, seen, slow_seen).macro,
        TRUTH.filter(spoiled, slow_spoiled, closes, seen, slow_seen).macro,
    )


def test_an_observation_no_pair_explains_is_an_error() -> None:
    joint = JointFilter(CHAIN)
    joint.predict()
    with pytest.raises(DegenerateFilter, match="fast bar"):
        joint.observe_fast(np.full(2, -np.inf))
    fast = np.zeros((3, 2))
    fast[2] = -np.inf
    with pytest.raises(DegenerateFilter, match="fast bar 2"):
        two_clock_series(CHAIN, fast, np.zeros((0, 2)), np.zeros(3))


def test_joint_em_recovers_the_planted_market() -> None:
    train = 400
    gains, accuracies = [], []
    for seed in range(2):
        fast, slow, closes, macro = market(seed, 2 * train)
        rows = train * B
        recipe = TwoClockRecipe(power=1.0)
        names = ("log_return",), ("range",)  # the slow feature is ordered by its mean
        begin = begin_two_clock(fast[:rows], slow[:train], *names, recipe)
        fit = fit_two_clock(fast[:rows], slow[:train], closes[:rows], begin, *names, recipe)
        alone = [
            fit_best(x, name, FitRecipe(2, "diag")).fit.hmm
            for x, name in ((fast[:rows], names[0]), (slow[:train], names[1]))
        ]
        separate = (
            filter_series(alone[0], fast, machine_code=True)[1][rows:].sum()
            + filter_series(alone[1], slow, machine_code=True)[1][train:].sum()
        )
        scores, right = [], []
        for hmm in (TRUTH, fit.hmm):
            series = hmm.filter(fast, slow, closes)
            scores.append(series.fast_scores[rows:].sum() + series.slow_scores[train:].sum() - separate)
            right.append((series.macro[rows:].argmax(axis=1) == macro[rows:]).mean())
        gains.append(scores)
        accuracies.append(right)
        assert min(np.diff(fit.trace)) >= -1e-9 * abs(fit.trace[-1])
        assert np.abs(fit.hmm.chain.micro_transition - CHAIN.micro_transition).max() < 0.1
    true_gain, found_gain = np.array(gains).mean(axis=0)
    assert found_gain >= 0.9 * true_gain
    true_accuracy, found_accuracy = np.array(accuracies).mean(axis=0)
    assert found_accuracy >= true_accuracy - 0.01


def test_a_sound_fit_has_no_findings_and_each_limit_is_noticed() -> None:
    sound = TwoClockFit(
        TRUTH, -100.0, (-120.0, -100.0), False, np.array([200.0, 200.0]), np.array([5e3, 5e3])
    )
    assert two_clock_findings(sound) == ()
    narrow = GaussianEmission("diag", np.zeros((2, 1)), np.array([[[1e-5]], [[1.0]]]))
    restless = TwoClockChain(
        CHAIN.macro_start, np.array([[0.4, 0.6], [0.1, 0.9]]), CHAIN.micro_start, CHAIN.micro_transition
    )
    for change, kind in (
        ({"macro_visits": np.array([371.0, 29.0])}, Degeneracy.VISITS),
        ({"micro_visits": np.array([9901.0, 99.0])}, Degeneracy.VISITS),
        ({"hmm": replace(TRUTH, fast=narrow)}, Degeneracy.VARIANCE),
        ({"hmm": replace(TRUTH, slow=narrow)}, Degeneracy.VARIANCE),
        ({"hmm": replace(TRUTH, chain=restless)}, Degeneracy.SHORT),
        ({"trace": (-100.0, -101.0)}, Degeneracy.FELL),
    ):
        assert [finding.kind for finding in two_clock_findings(replace(sound, **change))] == [kind]  # type: ignore[arg-type]


def test_em_ignores_the_numbers_of_rows_that_are_not_seen() -> None:
    fast, slow, closes, _ = market(5, 40)
    seen, slow_seen = np.ones(len(fast), dtype=bool), np.ones(40, dtype=bool)
    seen[100:140], slow_seen[7] = False, False
    spoiled, slow_spoiled = fast.copy(), slow.copy()
    spoiled[100:140], slow_spoiled[7] = 50.0, 50.0
    recipe = TwoClockRecipe(rounds=5)
    fits = [
        fit_two_clock(
            x, y, closes, TRUTH, ("log_return",), ("range",), recipe, fast_seen=seen, slow_seen=slow_seen
        )
        for x, y in ((fast, slow), (spoiled, slow_spoiled))
    ]
    assert np.array_equal(fits[0].hmm.fast.means, fits[1].hmm.fast.means)
    assert fits[0].trace == fits[1].trace
    assert fits[0].micro_visits.sum() == pytest.approx(len(fast) - 40)
    assert fits[0].macro_visits.sum() == pytest.approx(39)


def test_a_fit_without_matching_closes_is_refused() -> None:
    fast, slow, closes, _ = market(5, 10)
    with pytest.raises(FitRefused, match="expected 9 closes"):
        fit_two_clock(fast, slow[:9], closes, TRUTH, ("log_return",), ("range",), TwoClockRecipe())


def test_chains_that_are_not_stochastic_are_refused() -> None:
    with pytest.raises(ValueError, match="micro_transition"):
        TwoClockChain(
            CHAIN.macro_start, CHAIN.macro_transition, CHAIN.micro_start, CHAIN.micro_transition * 1.1
        )


def test_permuting_states_renames_them_and_changes_nothing_else() -> None:
    fast, slow, closes, _ = market(6, 5)
    swapped = TwoClockHmm(
        CHAIN.permuted((1, 0), (1, 0)), TRUTH.fast.permuted((1, 0)), TRUTH.slow.permuted((1, 0)), 1.0
    )
    plain, other = TRUTH.filter(fast, slow, closes), swapped.filter(fast, slow, closes)
    assert other.macro[:, ::-1] == pytest.approx(plain.macro, abs=1e-12)
    assert other.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-12)


def test_the_flat_model_is_a_two_clock_model_with_one_macro_state() -> None:
    flat = GaussianHmm(THREE.start, THREE.transition, THREE.emission)
    chain = TwoClockChain(np.ones(1), np.ones((1, 1)), flat.start, flat.transition[None])
    assert chain.free_parameters() == 2 + 3 * 2  # start and rows of three states
