"""Baum-Welch for the Gaussian HMM: our own trainer, with a sticky prior on the transitions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from trading.domain.regime.arrays import FloatArray, finite_array
from trading.domain.regime.compiled import compiled
from trading.domain.regime.em_kernel import expectation_kernel
from trading.domain.regime.errors import FitRefused
from trading.domain.regime.gaussian import (
    Covariance,
    GaussianEmission,
    covariances_from_scatter,
    trace_of_inverses,
)
from trading.domain.regime.model import GaussianHmm

Progress = Callable[[int, float], None]
"""(iteration, log likelihood)."""

_FEWEST_VISITS = 1e-6


@dataclass(frozen=True, slots=True)
class EmSettings:
    """How long to iterate, and what is believed beforehand.

    Attributes
    ----------
    tolerance : stop when the objective rises by less than this part of its size.
    kappa : sticky prior, in bars' worth of staying; 0 is none.
    covariance_prior : psi, added to the diagonal of each scatter matrix (standardised units squared).
    """

    iterations: int = 500
    tolerance: float = 1e-8
    kappa: float = 0.0
    covariance_prior: float = 1e-2

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ValueError(f"expected at least one iteration, was {self.iterations}")
        for name in ("tolerance", "kappa", "covariance_prior"):
            value = getattr(self, name)
            # An infinite tolerance or a negative one are asked for by nobody but a mistake.
            if not 0 <= value < math.inf:
                raise ValueError(f"{name}: expected a finite number of zero or more, was {value}")

    def sticky(self, states: int, rows: int) -> float:
        """Return kappa, capped at a tenth of the rows a state gets on average.

        Without the cap a short window's durations would be the prior's, not the data's.
        """
        return min(self.kappa, 0.1 * rows / states)


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """What an expectation step sums up: expected visits (K,), first visits (K,), transitions (K, K),
    weighted sums of x (K, D) and of x x' (K, D, D)."""

    log_likelihood: float
    visits: FloatArray
    first: FloatArray
    transitions: FloatArray
    observed: FloatArray
    products: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A fitted chain.

    Attributes
    ----------
    log_likelihood : of the training rows under `hmm`.  visits : (K,) expected rows in each state.
    trace : the objective (log likelihood plus log prior) of each iteration; it must not fall.
    converged : the rise fell under the tolerance before the iterations ran out.
    """

    hmm: GaussianHmm
    log_likelihood: float
    visits: FloatArray
    trace: tuple[float, ...]
    converged: bool
    rows: int
    likelihoods: tuple[float, ...] = field(default=())

    def bic(self) -> float:
        """Return -2 LL + p ln n; smaller is better."""
        return -2.0 * self.log_likelihood + self.hmm.free_parameters() * math.log(self.rows)

    def aic(self) -> float:
        """Return -2 LL + 2 p; smaller is better."""
        return -2.0 * self.log_likelihood + 2.0 * self.hmm.free_parameters()


class Expectation:
    """The E-step with its work space, which is as large as the data and kept from one iteration to the next."""

    def __init__(
        self, x: FloatArray, lengths: tuple[int, ...], states: int, *, machine_code: bool = True
    ) -> None:
        self.x = finite_array("x", x, (None, None))
        if sum(lengths) != self.x.shape[0] or any(length < 1 for length in lengths):
            raise FitRefused(f"expected stretches that make up {self.x.shape[0]} rows, was {lengths}")
        self.lengths = lengths
        self.alpha = np.empty((self.x.shape[0], states))
        self.weight = np.empty((self.x.shape[0], states))
        self._machine_code = machine_code

    def __call__(self, hmm: GaussianHmm) -> Statistics:
        """Return the statistics of the data under a model.

        Raises
        ------
        FitRefused : no state explains a row.
        """
        states, width = hmm.states, self.x.shape[1]
        whiten, log_norm = hmm.emission.whitening()
        visits, first, pairs = np.zeros(states), np.zeros(states), np.zeros((states, states))
        observed, products = np.zeros((states, width)), np.zeros((states, width, width))
        total, at = 0.0, 0
        for length in self.lengths:
            stop = at + length
            for robust in (False, True):
                run = expectation_kernel(states, width, robust)
                stretch = (compiled(run) if self._machine_code else run)(
                    self.x[at:stop], hmm.start, hmm.transition, hmm.emission.means, whiten, log_norm,
                    self.alpha[at:stop], self.weight[at:stop], visits, observed, products, pairs, first,
                )  # fmt: skip
                if not math.isnan(stretch):
                    break
            total += stretch
            at = stop
        if not (math.isfinite(total) and np.isfinite(visits).all() and np.isfinite(pairs).all()):
            raise FitRefused("no state explains some row of the data")
        products += np.tril(products, -1).transpose(0, 2, 1)
        return Statistics(total, visits, first, pairs * hmm.transition, observed, products)


def fit_em(
    x: FloatArray,
    begin: GaussianHmm,
    settings: EmSettings,
    *,
    lengths: tuple[int, ...] | None = None,
    machine_code: bool = True,
    progress: Progress | None = None,
) -> Fit:
    """Fit by expectation maximisation from a given start.

    Parameters
    ----------
    x : (T, D) standardised features.  lengths : rows of each unbroken stretch.

    Raises
    ------
    FitRefused : too few rows, rows that are not finite, or a state that lost all its rows.
    ValueError : the start has another number of features.
    """
    if x.shape[0] <= begin.states:
        raise FitRefused(f"expected more rows than states, was {x.shape[0]} for {begin.states}")
    if begin.emission.features != x.shape[1]:
        raise ValueError(f"the start has {begin.emission.features} features, the data {x.shape[1]}")
    if not np.isfinite(x).all():
        raise FitRefused("expected finite features; a NaN or infinity is among them")
    kappa = settings.sticky(begin.states, x.shape[0])
    expect = Expectation(x, lengths or (x.shape[0],), begin.states, machine_code=machine_code)
    hmm, trace, likelihoods, converged = begin, [], [], False
    statistics = expect(hmm)
    for iteration in range(settings.iterations + 1):
        objective = statistics.log_likelihood + log_prior(hmm, kappa, settings.covariance_prior)
        trace.append(objective)
        likelihoods.append(statistics.log_likelihood)
        if progress is not None:
            progress(iteration, statistics.log_likelihood)
        if len(trace) > 1 and objective - trace[-2] < settings.tolerance * max(1.0, abs(objective)):
            converged = True
            break
        if iteration == settings.iterations:
            break
        hmm = maximise(statistics, begin.emission.kind, hmm, kappa, settings.covariance_prior)
        statistics = expect(hmm)
    return Fit(
        hmm,
        statistics.log_likelihood,
        statistics.visits,
        tuple(trace),
        converged,
        x.shape[0],
        tuple(likelihoods),
    )


def maximise(
    statistics: Statistics, kind: Covariance, before: GaussianHmm, kappa: float, psi: float
) -> GaussianHmm:
    """Return the model that maximises the expected log likelihood plus log prior.

    P_jk is proportional to expected transitions + kappa [j = k]; a transition that was impossible stays so.
    Sigma_k = (scatter about the new mean + psi I) / visits, and its diagonal, mean diagonal or pooled form.

    Raises
    ------
    FitRefused : a state has no rows left.
    """
    visits = statistics.visits
    if (visits < _FEWEST_VISITS).any():
        raise FitRefused(f"state {int(np.argmin(visits))} lost all its rows")
    states = visits.shape[0]
    counts = np.where(before.transition > 0, statistics.transitions + kappa * np.eye(states), 0.0)
    sums = counts.sum(axis=1, keepdims=True)
    # A state seen only in last rows has no transitions to learn from; it keeps the ones it had.
    transition = np.where(sums > 0, counts / np.where(sums > 0, sums, 1.0), before.transition)
    means = statistics.observed / visits[:, None]
    scatter = statistics.products - visits[:, None, None] * means[:, :, None] * means[:, None, :]
    covariances = covariances_from_scatter(kind, scatter, visits, psi)
    start = statistics.first / statistics.first.sum()
    try:
        return GaussianHmm(start, transition, GaussianEmission(kind, means, covariances))
    except ValueError as error:
        raise FitRefused(f"the fit collapsed: {error}") from error


def log_prior(hmm: GaussianHmm, kappa: float, psi: float) -> float:
    """Return the log prior density of a model, up to a constant.

    kappa sum ln P_kk - psi/2 sum tr(Sigma^-1), the tied matrix counted once.
    """
    staying = 0.0
    if kappa > 0:
        diagonal = np.diagonal(hmm.transition)
        staying = -math.inf if (diagonal <= 0).any() else kappa * float(np.log(diagonal).sum())
    return staying - 0.5 * psi * trace_of_inverses(hmm.emission)
