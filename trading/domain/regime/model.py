"""The flat regime model: a Gaussian HMM over standardised features, in canonical state order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trading.domain.regime.arrays import FloatArray, probabilities
from trading.domain.regime.features import FeatureSpec
from trading.domain.regime.gaussian import GaussianEmission, gaussian_free_parameters
from trading.domain.regime.scaler import Scaler


@dataclass(frozen=True, slots=True, eq=False)
class GaussianHmm:
    """A Markov chain with Gaussian emissions.

    Attributes
    ----------
    start : (K,), P(s_1).  transition : (K, K), row i is P(s_t | s_t-1 = i).
    """

    start: FloatArray
    transition: FloatArray
    emission: GaussianEmission

    def __post_init__(self) -> None:
        states = self.emission.states
        object.__setattr__(self, "start", probabilities("start", self.start, (states,)))
        object.__setattr__(self, "transition", probabilities("transition", self.transition, (states, states)))

    @property
    def states(self) -> int:
        return self.emission.states

    def free_parameters(self) -> int:
        return gaussian_free_parameters(self.states, self.emission.features, self.emission.kind)

    def expected_durations(self) -> FloatArray:
        """Return (K,) expected bars in each state once entered, 1 / (1 - P_kk); inf for an absorbing one."""
        return expected_durations(self.transition)

    def stationary(self) -> FloatArray:
        """Return (K,) the stationary law; where there are several, one of them."""
        return stationary_law(self.transition)

    def permuted(self, order: tuple[int, ...]) -> GaussianHmm:
        """Return the same model with state `order[i]` in place i."""
        picked = list(order)
        return GaussianHmm(
            self.start[picked], self.transition[np.ix_(picked, picked)], self.emission.permuted(order)
        )


@dataclass(frozen=True, slots=True, eq=False)
class RegimeModel:
    """All that serving needs: features, scaler, chain, and the names of the states.

    Attributes
    ----------
    labels : (K,) names such as calm, trend, turbulent, in the order of the states.
    interval_ns : the bar it was trained on; bars of another length are refused.
    """

    hmm: GaussianHmm
    scaler: Scaler
    features: FeatureSpec
    labels: tuple[str, ...]
    interval_ns: int

    def __post_init__(self) -> None:
        width = self.features.width
        if self.hmm.emission.features != width or self.scaler.center.shape != (width,):
            raise ValueError(
                f"expected {width} features throughout, emission has {self.hmm.emission.features} "
                f"and scaler {self.scaler.center.shape[0]}"
            )
        if len(self.labels) != self.hmm.states or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"expected {self.hmm.states} different labels, was {self.labels}")
        if self.interval_ns <= 0:
            raise ValueError(f"expected a positive interval, was {self.interval_ns} ns")

    @property
    def states(self) -> int:
        return self.hmm.states


def expected_durations(transition: FloatArray) -> FloatArray:
    """Return (K,) expected steps in each state once entered, 1 / (1 - P_kk); inf for an absorbing one."""
    leaving = 1.0 - np.diagonal(transition)
    return np.asarray(np.divide(1.0, leaving, out=np.full(len(leaving), np.inf), where=leaving > 0))


def stationary_law(transition: FloatArray) -> FloatArray:
    """Return (K,) p with p P = p, sum 1: least squares on the balance equations, clipped at 0."""
    states = transition.shape[0]
    equations = np.vstack([transition.T - np.eye(states), np.ones(states)])
    right = np.append(np.zeros(states), 1.0)
    solution = np.clip(np.linalg.lstsq(equations, right, rcond=None)[0], 0.0, None)
    return np.asarray(solution / solution.sum())
