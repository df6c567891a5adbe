"""EM on the joint chain of the two-clock model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trading.domain.regime.arrays import BoolArray, FloatArray, finite_array
from trading.domain.regime.checks import Finding, duration_findings, emission_findings, trace_findings
from trading.domain.regime.compiled import compiled
from trading.domain.regime.em import EmSettings
from trading.domain.regime.errors import FitRefused
from trading.domain.regime.fitting import FitRecipe, Trainer, fit_best
from trading.domain.regime.gaussian import (
    Covariance,
    GaussianEmission,
    covariances_from_scatter,
    trace_of_inverses,
)
from trading.domain.regime.model import GaussianHmm, expected_durations
from trading.domain.regime.order import canonical_order
from trading.domain.regime.two_clock import TwoClockChain, TwoClockHmm
from trading.domain.regime.two_clock_kernel import two_clock_expectation

TILT = 0.10
"""How far apart the matrices A^(k) begin: the outermost macro states tilt the common matrix by this part."""


@dataclass(frozen=True, slots=True)
class TwoClockRecipe:
    """How a two-clock model is fitted.

    Attributes
    ----------
    rounds : of EM at most.  tolerance : stop when the objective rises by less than this part of its size.
    pseudo_count : added to every expected transition (Dirichlet prior), in bars.
    """

    macros: int = 2
    micros: int = 2
    kind: Covariance = "diag"
    power: float = 0.5
    rounds: int = 30
    tolerance: float = 1e-7
    pseudo_count: float = 1.0
    covariance_prior: float = 1e-2
    restarts: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.macros < 1 or self.micros < 1 or self.rounds < 1:
            raise ValueError("expected at least one macro state, one micro state and one round")
        if not 0 < self.power <= 1:
            raise ValueError(f"expected a power above 0 and at most 1, was {self.power}")
        if self.pseudo_count < 0 or self.covariance_prior < 0 or self.tolerance < 0:
            raise ValueError("expected priors and a tolerance of zero or more")


@dataclass(frozen=True, slots=True, eq=False)
class TwoClockFit:
    """A fitted two-clock model, macro states ordered by the slow emission, micro states by the fast.

    Attributes
    ----------
    trace : penalised log likelihood before each round and after the last; it must not fall.
    macro_visits : (K,) expected slow bars.  micro_visits : (M,) expected fast bars.
    """

    hmm: TwoClockHmm
    log_likelihood: float
    trace: tuple[float, ...]
    converged: bool
    macro_visits: FloatArray
    micro_visits: FloatArray


def two_clock_findings(fit: TwoClockFit) -> tuple[Finding, ...]:
    """Return everything that forbids a fit to serve; empty when it is sound.

    Both emissions are held to the limits of a flat model, macro states also to its durations, in slow bars.
    Micro states may be short: that is what one macro state makes of them. Running out of rounds is no fault.
    """
    slow_rows, fast_rows = float(fit.macro_visits.sum()), float(fit.micro_visits.sum())
    stays = expected_durations(fit.hmm.chain.macro_transition)
    return (
        *emission_findings(fit.hmm.slow, fit.macro_visits, round(slow_rows)),
        *duration_findings(stays, round(slow_rows)),
        *emission_findings(fit.hmm.fast, fit.micro_visits, round(fast_rows)),
        *trace_findings(fit.trace),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    fast: FloatArray
    slow: FloatArray
    closed: FloatArray
    fast_seen: BoolArray
    slow_seen: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    log_likelihood: float
    first: FloatArray
    macro_pairs: FloatArray
    micro_pairs: FloatArray
    micro_weight: FloatArray
    macro_weight: FloatArray


def begin_two_clock(
    fast: FloatArray,
    slow: FloatArray,
    fast_names: tuple[str, ...],
    slow_names: tuple[str, ...],
    recipe: TwoClockRecipe,
    *,
    trainer: Trainer | None = None,
) -> TwoClockHmm:
    """Return the start of EM: S and g of an HMM on slow bars, b and a common A of one on fast bars.

    A^(k) is the common A tilted by 10 % at most, so that the macro states can part.

    Raises
    ------
    FitRefused : either HMM cannot be fitted.
    """

    def alone(x: FloatArray, names: tuple[str, ...], states: int) -> GaussianHmm:
        settings = EmSettings(covariance_prior=recipe.covariance_prior)
        wanted = FitRecipe(states, recipe.kind, recipe.restarts, recipe.seed, settings)
        return fit_best(x, names, wanted, trainer=trainer).fit.hmm

    macro = alone(slow, slow_names, recipe.macros)
    micro = alone(fast, fast_names, recipe.micros)
    lean = _spread(recipe.macros)[:, None] * _spread(recipe.micros)[None, :]
    tilted = micro.transition[None, :, :] * (1.0 + TILT * lean)[:, None, :]
    chain = TwoClockChain(
        np.full(recipe.macros, 1.0 / recipe.macros),
        _mixed(macro.transition),
        np.full(recipe.micros, 1.0 / recipe.micros),
        _mixed(tilted / tilted.sum(axis=2, keepdims=True)),
    )
    return TwoClockHmm(chain, micro.emission, macro.emission, recipe.power)


def fit_two_clock(
    fast: FloatArray,
    slow: FloatArray,
    closes: FloatArray,
    begin: TwoClockHmm,
    fast_names: tuple[str, ...],
    slow_names: tuple[str, ...],
    recipe: TwoClockRecipe,
    *,
    fast_seen: BoolArray | None = None,
    slow_seen: BoolArray | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> TwoClockFit:
    """Fit by EM on the joint chain, then put both kinds of states into canonical order.

    Parameters
    ----------
    fast : (T, D_fast), slow : (J, D_slow), standardised.  closes : (T,) 1 where a slow bar closes.
    fast_seen (T,), slow_seen (J,) : False where a bar exists but says nothing, because it is missing or its
        windows are filling; the chains move on, the row's numbers are not looked at.

    Raises
    ------
    FitRefused : rows that are not finite, closes that do not number J, or a state that lost all its rows.
    """
    try:
        fast, slow = finite_array("fast", fast, (None, None)), finite_array("slow", slow, (None, None))
    except ValueError as error:
        raise FitRefused(str(error)) from error
    marks = closes != 0
    if marks.shape != (fast.shape[0],) or int(marks.sum()) != slow.shape[0]:
        raise FitRefused(
            f"expected {slow.shape[0]} closes among {fast.shape[0]} fast bars, was {int(marks.sum())}"
        )
    data = _Data(
        fast, slow, np.where(marks, np.cumsum(marks) - 1.0, -1.0),
        np.ones(len(fast), bool) if fast_seen is None else fast_seen,
        np.ones(len(slow), bool) if slow_seen is None else slow_seen,
    )  # fmt: skip
    hmm, trace, converged = begin, [], False
    sums = _expect(hmm, data)
    for number in range(recipe.rounds + 1):
        trace.append(sums.log_likelihood + _log_prior(hmm, recipe))
        if progress is not None:
            progress(number, sums.log_likelihood)
        if number and trace[-1] - trace[-2] < recipe.tolerance * max(1.0, abs(trace[-1])):
            converged = True
            break
        if number == recipe.rounds:
            break
        hmm = _maximise(sums, hmm, data, recipe)
        sums = _expect(hmm, data)
    macro_order = canonical_order(hmm.slow, slow_names)
    micro_order = canonical_order(hmm.fast, fast_names)
    ordered = TwoClockHmm(
        hmm.chain.permuted(macro_order, micro_order),
        hmm.fast.permuted(micro_order),
        hmm.slow.permuted(macro_order),
        hmm.power,
    )
    return TwoClockFit(
        ordered, sums.log_likelihood, tuple(trace), converged,
        sums.macro_weight.sum(axis=0)[list(macro_order)], sums.micro_weight.sum(axis=0)[list(micro_order)],
    )  # fmt: skip


def _expect(hmm: TwoClockHmm, data: _Data) -> _Sums:
    chain = hmm.chain
    fast_log = np.where(data.fast_seen[:, None], hmm.fast.log_densities(data.fast), 0.0)
    slow_log = np.where(data.slow_seen[:, None], hmm.power * hmm.slow.log_densities(data.slow), 0.0)
    fast_top, slow_top = fast_log.max(axis=1, keepdims=True), slow_log.max(axis=1, keepdims=True)
    rows, closes = len(fast_log), len(slow_log)
    micro_weight, macro_weight = np.zeros((rows, chain.micros)), np.zeros((closes, chain.macros))
    macro_pairs = np.zeros((chain.macros, chain.macros))
    micro_pairs = np.zeros((chain.macros, chain.micros, chain.micros))
    first = np.zeros((chain.macros, chain.micros))
    total = compiled(two_clock_expectation)(
        chain.macro_start, chain.macro_transition, chain.micro_start, chain.micro_transition,
        np.exp(fast_log - fast_top), np.exp(slow_log - slow_top), data.closed,
        np.empty((rows, chain.macros, chain.micros)), np.empty(rows), micro_weight, macro_weight,
        macro_pairs, micro_pairs, first,
    )  # fmt: skip
    if not math.isfinite(total):
        raise FitRefused("no pair of macro and micro state explains some bar of the data")
    likelihood = total + float(fast_top.sum()) + float(slow_top.sum())
    return _Sums(
        likelihood, first, macro_pairs, micro_pairs,
        micro_weight * data.fast_seen[:, None], macro_weight * data.slow_seen[:, None],
    )  # fmt: skip


def _maximise(sums: _Sums, before: TwoClockHmm, data: _Data, recipe: TwoClockRecipe) -> TwoClockHmm:
    def rows_of(counts: FloatArray) -> FloatArray:
        filled = counts + recipe.pseudo_count
        return np.asarray(filled / filled.sum(axis=-1, keepdims=True))

    try:
        chain = TwoClockChain(
            rows_of(sums.first.sum(axis=1)),
            rows_of(sums.macro_pairs),
            rows_of(sums.first.sum(axis=0)),
            rows_of(sums.micro_pairs),
        )
        return TwoClockHmm(
            chain,
            _weighted(data.fast, sums.micro_weight, before.fast.kind, recipe.covariance_prior),
            _weighted(data.slow, sums.macro_weight, before.slow.kind, recipe.covariance_prior),
            before.power,
        )
    except ValueError as error:
        raise FitRefused(f"the fit collapsed: {error}") from error


def _weighted(x: FloatArray, weights: FloatArray, kind: Covariance, psi: float) -> GaussianEmission:
    total = weights.sum(axis=0)
    if (total < 1e-6).any():
        raise FitRefused(f"state {int(np.argmin(total))} lost all its rows")
    means = weights.T @ x / total[:, None]
    scatter = np.empty((len(total), x.shape[1], x.shape[1]))
    for k in range(len(total)):
        apart = x - means[k]
        scatter[k] = (weights[:, k, None] * apart).T @ apart
    return GaussianEmission(kind, means, covariances_from_scatter(kind, scatter, total, psi))


def _log_prior(hmm: TwoClockHmm, recipe: TwoClockRecipe) -> float:
    chain = hmm.chain
    parts = (chain.macro_start, chain.macro_transition, chain.micro_start, chain.micro_transition)
    counted = 0.0
    if recipe.pseudo_count > 0:
        counted = recipe.pseudo_count * sum(
            float(np.log(part).sum()) if (part > 0).all() else -math.inf for part in parts
        )
    # The slow covariance maximises power * likelihood, so its prior carries the same power.
    shrinkage = trace_of_inverses(hmm.fast) + hmm.power * trace_of_inverses(hmm.slow)
    return counted - 0.5 * recipe.covariance_prior * shrinkage


def _mixed(rows: FloatArray) -> FloatArray:
    # A zero would stay a zero through EM and make the prior's density zero at the start.
    floor = 1e-3 / rows.shape[-1]
    return np.asarray((rows + floor) / (rows + floor).sum(axis=-1, keepdims=True))


def _spread(count: int) -> FloatArray:
    return np.linspace(-1.0, 1.0, count) if count > 1 else np.zeros(1)
