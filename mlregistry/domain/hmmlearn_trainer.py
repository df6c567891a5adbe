"""The reference trainer: hmmlearn's Baum-Welch, given the same start, priors and stopping rule as ours."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.em import EmSettings, Fit, log_prior
from trading.domain.regime.errors import FitRefused
from trading.domain.regime.gaussian import Covariance, GaussianEmission, expand_covariances
from trading.domain.regime.model import GaussianHmm


@dataclass(frozen=True, slots=True)
class HmmlearnTrainer:
    """Fits with hmmlearn 0.3.3 in log space."""

    name: str = "hmmlearn"

    def fit(
        self,
        x: FloatArray,
        begin: GaussianHmm,
        settings: EmSettings,
        *,
        lengths: tuple[int, ...] | None = None,
        progress: Callable[[int, float], None] | None = None,
    ) -> Fit:
        if x.shape[0] <= begin.states:
            raise FitRefused(f"expected more rows than states, was {x.shape[0]} for {begin.states}")
        if not np.isfinite(x).all():
            raise FitRefused("expected finite features; a NaN or infinity is among them")
        kappa = settings.sticky(begin.states, x.shape[0])
        spans = list(lengths or (x.shape[0],))
        likelihoods: list[float] = []

        def report(log_likelihood: float) -> None:
            if not math.isfinite(log_likelihood):
                raise ValueError(f"log likelihood {log_likelihood}")
            likelihoods.append(log_likelihood)
            if progress is not None:
                progress(len(likelihoods) - 1, log_likelihood)

        learner = reference_model(begin, settings, kappa, report)
        learner.monitor_.tol = settings.tolerance * max(1.0, abs(float(learner.score(x, spans))))
        # It warns on its logger about what the monitor's history already says.
        logger = logging.getLogger("hmmlearn.base")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            learner.fit(x, spans)
            fitted = read_reference(learner, begin.emission.kind)
            posterior = learner.predict_proba(x, spans)
            likelihoods.append(float(learner.score(x, spans)))
        except ValueError as error:
            raise FitRefused(f"hmmlearn gave up: {error}") from error
        finally:
            logger.setLevel(level)
        # Each report is of the parameters before a maximisation; those after the last one are ours to add.
        objective = likelihoods[-1] + log_prior(fitted, kappa, settings.covariance_prior)
        trace = (*learner.monitor_.history, objective)
        # Its own `converged` is true as well when the iterations ran out.
        converged = learner.monitor_.iter < settings.iterations
        return Fit(
            fitted, likelihoods[-1], posterior.sum(axis=0), trace, converged, x.shape[0], tuple(likelihoods)
        )


def reference_model(
    begin: GaussianHmm, settings: EmSettings, kappa: float, report: Callable[[float], None] | None = None
) -> Any:
    """Return an hmmlearn GaussianHMM that starts at `begin` and maximises the same objective as `fit_em`.

    Parameters
    ----------
    report : called with the log likelihood of each iteration.
    """
    from hmmlearn.hmm import GaussianHMM

    class Penalised(GaussianHMM):
        """Watches the objective it maximises; hmmlearn leaves the priors out and may see the likelihood fall."""

        def _compute_lower_bound(self, log_prob: float) -> float:
            if report is not None:
                report(float(log_prob))
            return float(log_prob) + log_prior(read_reference(self, kind), kappa, settings.covariance_prior)

    kind, width = begin.emission.kind, begin.emission.features
    # A scalar covariance prior is added to every entry of a full matrix; ours belongs on the diagonal.
    prior: Any = settings.covariance_prior
    if kind in ("full", "tied"):
        prior = prior * np.eye(width)
    learner = Penalised(
        begin.states,
        kind,
        n_iter=settings.iterations,
        tol=0.0,
        init_params="",
        implementation="log",
        covars_prior=prior,
        transmat_prior=1.0 + kappa * np.eye(begin.states),
    )
    learner.startprob_, learner.transmat_ = begin.start.copy(), begin.transition.copy()
    learner.means_, learner.covars_ = begin.emission.means.copy(), _native(kind, begin.emission.covariances)
    learner.n_features = width
    return learner


def read_reference(learner: Any, kind: Covariance) -> GaussianHmm:
    """Return what an hmmlearn model has learned.

    Raises
    ------
    ValueError : it is not a valid model.
    """
    states, width = learner.means_.shape
    native = np.asarray(learner._covars_)
    if kind == "spherical":
        native = native.reshape(states, -1)[:, 0]
    covariances = expand_covariances(kind, native, states, width)
    return GaussianHmm(
        learner.startprob_, learner.transmat_, GaussianEmission(kind, learner.means_, covariances)
    )


def _native(kind: Covariance, covariances: FloatArray) -> FloatArray:
    diagonal = np.diagonal(covariances, axis1=1, axis2=2)
    shapes = {"full": covariances, "diag": diagonal, "spherical": diagonal[:, 0], "tied": covariances[0]}
    return np.array(shapes[kind])
