from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.trading.domain.regime.simulated import THREE, TWO, simulate, standardised
from trading.domain.regime.em import EmSettings, Expectation, Fit, fit_em, log_prior
from trading.domain.regime.em_kernel import expectation_kernel
from trading.domain.regime.errors import FitRefused
from trading.domain.regime.filter import filter_series
from trading.domain.regime.fitting import FitRecipe, fit_best
from trading.domain.regime.gaussian import COVARIANCES, GaussianEmission
from trading.domain.regime.model import GaussianHmm
from trading.domain.regime.smoothing import icl, smoothed
from trading.domain.regime.starts import starts, trailing_volatility, volatility_start

X, _ = simulate(THREE, 1500, seed=1)
Z = np.column_stack([standardised(X), np.random.default_rng(2).normal(size=1500)])
NAMES = ("log_return", "volume")


def two_state_chain(rows: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Likelihood, state probabilities and expected transitions by enumerating every path."""
    hmm = TWO
    density = np.exp(hmm.emission.log_densities(rows))
    count = len(rows)
    total, visits, pairs = 0.0, np.zeros((count, 2)), np.zeros((2, 2))
    for number in range(2**count):
        path = [(number >> t) & 1 for t in range(count)]
        weight = hmm.start[path[0]] * density[0, path[0]]
        for t in range(1, count):
            weight *= hmm.transition[path[t - 1], path[t]] * density[t, path[t]]
        total += weight
        for t in range(count):
            visits[t, path[t]] += weight
            if t:
                pairs[path[t - 1], path[t]] += weight
    return float(np.log(total)), visits / total, pairs / total


def test_the_expectation_step_agrees_with_the_enumeration_of_all_paths() -> None:
    rows, _ = simulate(TWO, 9, seed=5)
    likelihood, visits, pairs = two_state_chain(rows)
    statistics = Expectation(rows, (9,), 2)(TWO)
    assert statistics.log_likelihood == pytest.approx(likelihood, rel=1e-12)
    assert statistics.visits == pytest.approx(visits.sum(axis=0), rel=1e-10)
    assert statistics.transitions == pytest.approx(pairs, rel=1e-9)
    assert statistics.first == pytest.approx(visits[0], rel=1e-10)
    assert statistics.observed[:, 0] == pytest.approx(visits.T @ rows[:, 0], rel=1e-9)
    assert smoothed(rows, TWO) == pytest.approx(visits, rel=1e-9)


def test_machine_code_and_the_interpreter_agree() -> None:
    begin = volatility_start(Z[:200], NAMES, 3, "full", 5)
    compiled_ = Expectation(Z[:200], (120, 80), 3)(begin)
    plain = Expectation(Z[:200], (120, 80), 3, machine_code=False)(begin)
    assert compiled_.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-14)
    assert compiled_.products == pytest.approx(plain.products, rel=1e-10)
    assert compiled_.transitions == pytest.approx(plain.transitions, rel=1e-10)


@pytest.mark.parametrize("kind", COVARIANCES)
@pytest.mark.parametrize("kappa", [0.0, 20.0])
def test_the_objective_never_falls(kind: str, kappa: float) -> None:
    begin = volatility_start(Z, NAMES, 3, kind, 10)  # type: ignore[arg-type]
    fit = fit_em(Z, begin, EmSettings(iterations=60, kappa=kappa), lengths=(700, 500, 300))
    assert len(fit.trace) > 5
    assert min(np.diff(fit.trace)) >= -1e-9 * abs(fit.trace[-1])
    assert fit.trace[-1] == pytest.approx(fit.log_likelihood + log_prior(fit.hmm, kappa, 1e-2), rel=1e-12)


def test_the_likelihood_is_that_of_the_returned_model() -> None:
    fit = fit_em(Z, volatility_start(Z, NAMES, 3, "full", 10), EmSettings())
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(filter_series(fit.hmm, Z)[1].sum(), rel=1e-12)
    assert fit.visits.sum() == pytest.approx(1500)


def test_running_out_of_iterations_is_not_convergence() -> None:
    fit = fit_em(Z, volatility_start(Z, NAMES, 3, "full", 10), EmSettings(iterations=2))
    assert not fit.converged
    assert len(fit.trace) == 3  # the start and after each of the two maximisations


def test_a_long_series_does_not_underflow() -> None:
    # The product of the densities of 200,000 rows is about 1e-90000.
    rows = np.tile(standardised(simulate(TWO, 20_000, seed=6)[0]), (10, 1))
    begin = volatility_start(rows, ("log_return",), 2, "diag", 10)
    fit = fit_em(rows, begin, EmSettings(iterations=3))
    assert fit.log_likelihood == pytest.approx(
        filter_series(fit.hmm, rows, machine_code=True)[1].sum(), rel=1e-10
    )


def test_a_row_far_from_every_state_is_taken_in_log_space() -> None:
    # 60 deviations out: a density of 1e-780, which no float holds.
    emission = GaussianEmission("diag", np.array([[0.0], [0.0]]), np.array([[[0.01]], [[1.0]]]))
    hmm = GaussianHmm(np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.1, 0.9]]), emission)
    rows = np.concatenate([np.linspace(-1, 1, 30), [60.0], np.linspace(-1, 1, 30)])[:, None]
    statistics = Expectation(rows, (61,), 2)(hmm)
    assert statistics.log_likelihood == pytest.approx(filter_series(hmm, rows)[1].sum(), rel=1e-12)
    assert statistics.visits == pytest.approx(smoothed(rows, hmm).sum(axis=0), rel=1e-9)


def test_the_plain_kernel_hands_such_a_row_over_without_touching_the_sums() -> None:
    sums = np.zeros(1), np.zeros((1, 1)), np.zeros((1, 1, 1)), np.zeros((1, 1)), np.zeros(1)
    one = np.ones(1)
    result = expectation_kernel(1, 1, False)(
        np.array([[60.0]]), one, np.ones((1, 1)), np.zeros((1, 1)), np.ones((1, 1, 1)), np.zeros(1),
        np.zeros((1, 1)), np.zeros((1, 1)), *sums,
    )  # fmt: skip
    assert np.isnan(result)
    assert not any(part.any() for part in sums)


def test_a_sticky_prior_lengthens_the_stay_and_is_capped() -> None:
    begin = volatility_start(Z, NAMES, 3, "full", 10)
    loose, sticky = (fit_em(Z, begin, EmSettings(kappa=kappa)) for kappa in (0.0, 50.0))
    assert (np.diagonal(sticky.hmm.transition) > np.diagonal(loose.hmm.transition)).all()
    assert EmSettings(kappa=1e9).sticky(3, 1500) == 50.0
    assert EmSettings(kappa=7.0).sticky(3, 1500) == 7.0


def test_an_impossible_transition_stays_impossible() -> None:
    begin = volatility_start(Z, NAMES, 3, "full", 10)
    ring = np.array([[0.9, 0.1, 0.0], [0.0, 0.9, 0.1], [0.1, 0.0, 0.9]])
    fit = fit_em(Z, GaussianHmm(begin.start, ring, begin.emission), EmSettings(iterations=20, kappa=5))
    assert fit.hmm.transition[0, 2] == fit.hmm.transition[1, 0] == fit.hmm.transition[2, 1] == 0.0


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.full((100, 1), np.nan), "NaN or infinity"),
        (np.zeros((2, 1)), "more rows than states"),
    ],
)
def test_rows_that_cannot_be_fitted_are_refused(rows: np.ndarray, words: str) -> None:
    begin = GaussianHmm(TWO.start, TWO.transition, TWO.emission)
    with pytest.raises(FitRefused, match=words):
        fit_em(rows, begin, EmSettings())


def test_stretches_must_make_up_the_rows() -> None:
    with pytest.raises(FitRefused, match="make up 1500 rows"):
        Expectation(Z, (1000, 499), 3)


@pytest.mark.parametrize("settings", [{"iterations": 0}, {"kappa": -1.0}, {"tolerance": float("nan")}])
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        EmSettings(**settings)  # type: ignore[arg-type]


def test_starts_are_groups_of_trailing_volatility_and_the_same_for_the_same_seed() -> None:
    begins = starts(Z, NAMES, 3, "full", count=5, seed=9)
    assert len(begins) == 5
    for begin in begins:
        assert (np.diff(begin.emission.covariances[:, 0, 0]) > 0).all()  # calm first
        assert np.diagonal(begin.transition) == pytest.approx([0.95] * 3)
    again = starts(Z, NAMES, 3, "full", count=5, seed=9)
    assert all(np.array_equal(a.emission.means, b.emission.means) for a, b in zip(begins, again, strict=True))
    other = starts(Z, NAMES, 3, "full", count=5, seed=10)
    assert not np.array_equal(begins[4].emission.means, other[4].emission.means)


def test_a_start_holds_the_moments_of_its_groups() -> None:
    # Ten quiet rows about 1, then ten wild ones about 5: two groups by trailing volatility, whatever the window.
    rows = np.concatenate([np.tile([0.9, 1.1], 5), np.tile([3.0, 7.0], 5)])[:, None]
    begin = volatility_start(rows, ("log_return",), 2, "diag", 1)
    assert begin.emission.means[:, 0] == pytest.approx([1.0, 5.0])
    assert begin.emission.covariances[:, 0, 0] == pytest.approx([0.01, 4.0], abs=1e-3 + 1e-12)


def test_the_best_fit_is_ordered_as_a_whole() -> None:
    best = fit_best(Z, NAMES, FitRecipe(3, restarts=2))
    assert (np.diff(best.fit.hmm.emission.covariances[:, 0, 0]) > 0).all()
    turned = replace(best.fit, hmm=best.fit.hmm.permuted((2, 0, 1)), visits=best.fit.visits[[2, 0, 1]])

    class Turned:
        name = "turned"

        def fit(self, *_: object, **__: object) -> Fit:
            return turned

    again = fit_best(Z, NAMES, FitRecipe(3, restarts=1), trainer=Turned())
    assert again.order == (1, 2, 0)
    assert np.array_equal(again.fit.hmm.emission.means, best.fit.hmm.emission.means)
    assert np.array_equal(again.fit.visits, best.fit.visits)


def test_trailing_volatility_looks_at_the_rows_up_to_each() -> None:
    rows = np.array([[1.0], [-2.0], [3.0], [4.0]])
    expected = np.sqrt([1.0, 5 / 2, 13 / 2, 25 / 2])
    assert trailing_volatility(rows, ("log_return",), 2) == pytest.approx(expected)
    assert trailing_volatility(rows, ("range",), 2) == pytest.approx([1.0, -0.5, 0.5, 3.5])


def test_information_criteria_follow_their_formulas() -> None:
    fit = fit_em(Z, volatility_start(Z, NAMES, 2, "full", 10), EmSettings())
    parameters = 1 + 2 + 2 * 2 + 2 * 3  # start, transition, means, covariances
    assert fit.bic() == pytest.approx(-2 * fit.log_likelihood + parameters * np.log(1500))
    assert fit.aic() == pytest.approx(-2 * fit.log_likelihood + 2 * parameters)
    posterior = smoothed(Z, fit.hmm)
    entropy = -(posterior * np.log(np.clip(posterior, 1e-300, None))).sum()
    assert icl(Z, fit) == pytest.approx(fit.bic() + 2 * entropy)
