"""The two-clock model: definition, and its exact filter over a series."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trading.domain.regime import two_clock_steps as steps
from trading.domain.regime.arrays import BoolArray, FloatArray, probabilities
from trading.domain.regime.compiled import fastest
from trading.domain.regime.errors import DegenerateFilter
from trading.domain.regime.filter import filter_log_densities
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.packed import log_probabilities


@dataclass(frozen=True, slots=True, eq=False)
class TwoClockChain:
    """K macro states that move when a slow bar closes, M micro states that move every fast bar.

    Attributes
    ----------
    macro_start : (K,) p0.  macro_transition : (K, K) S.
    micro_start : (M,) f0.  micro_transition : (K, M, M) A^(k), one matrix for each macro state.
    """

    macro_start: FloatArray
    macro_transition: FloatArray
    micro_start: FloatArray
    micro_transition: FloatArray

    def __post_init__(self) -> None:
        macros, micros = len(self.macro_start), len(self.micro_start)
        for name, shape in (
            ("macro_start", (macros,)),
            ("macro_transition", (macros, macros)),
            ("micro_start", (micros,)),
            ("micro_transition", (macros, micros, micros)),
        ):
            object.__setattr__(self, name, probabilities(name, getattr(self, name), shape))

    @property
    def macros(self) -> int:
        return int(self.macro_start.shape[0])

    @property
    def micros(self) -> int:
        return int(self.micro_start.shape[0])

    def free_parameters(self) -> int:
        """Return the free parameters of the chain, without its emissions."""
        k, m = self.macros, self.micros
        return (k - 1) + k * (k - 1) + (m - 1) + k * m * (m - 1)

    def permuted(self, macro_order: tuple[int, ...], micro_order: tuple[int, ...]) -> TwoClockChain:
        """Return the same chain with macro state `macro_order[i]` in place i, micro states likewise."""
        macro, micro = list(macro_order), list(micro_order)
        return TwoClockChain(
            self.macro_start[macro],
            self.macro_transition[np.ix_(macro, macro)],
            self.micro_start[micro],
            self.micro_transition[np.ix_(macro, micro, micro)],
        )


@dataclass(frozen=True, slots=True, eq=False)
class TwoClockSeries:
    """What the exact filter says at each fast bar.

    Attributes
    ----------
    macro : (T, K).  micro : (T, M), both given everything up to and including the bar.
    fast_scores : (T,) ln p(x_t | everything before).  slow_scores : (J,) of each slow bar at its close, the
        slow density raised to the model's power.
    """

    macro: FloatArray
    micro: FloatArray
    fast_scores: FloatArray
    slow_scores: FloatArray

    @property
    def log_likelihood(self) -> float:
        return float(self.fast_scores.sum() + self.slow_scores.sum())


class JointFilter:
    """The filtered law over (macro, micro), one fast bar at a time.

    `predict`, `observe_fast` and, where a slow bar closes with it, `observe_slow` or `close_slow` follow each
    other; after these the marginals are the ones to trade on. The macro chain moves before the next fast bar.
    """

    def __init__(self, chain: TwoClockChain, power: float = 1.0) -> None:
        if not 0 < power <= 1:
            raise ValueError(f"expected a power of the slow evidence above 0 and at most 1, was {power}")
        self.chain = chain
        self.power = power
        self.phase = steps.FIRST
        self.log_joint = np.zeros(chain.macros * chain.micros)
        self._logs = _logs(chain)
        self._scratch = np.zeros(chain.macros * chain.micros)
        self._terms = np.zeros(max(chain.macros, chain.micros))

    def predict(self) -> None:
        """Move both chains to the next fast bar without looking at it."""
        steps.joint_predict(
            self.chain.macros,
            self.chain.micros,
            self.phase,
            *self._logs,
            self.log_joint,
            self._scratch,
            self._terms,
        )
        self.phase = steps.WITHIN

    def observe_fast(self, log_density: FloatArray) -> float:
        """Take the fast bar's log densities (M,); return its log score.

        Raises
        ------
        DegenerateFilter : no state explains it; the law stays the predicted one.
        """
        return self._finite(steps.joint_fast(log_density, self.log_joint, self._scratch), "fast")

    def observe_slow(self, log_density: FloatArray) -> float:
        """Take the closed slow bar's log densities (K,); return its log score.

        Raises
        ------
        DegenerateFilter : no state explains it; nothing was changed.
        """
        score = self._finite(steps.joint_slow(log_density, self.power, self.log_joint, self._scratch), "slow")
        self.phase = steps.CLOSED
        return score

    def close_slow(self) -> None:
        """Let a slow bar close without an observation."""
        self.phase = steps.CLOSED

    def marginals(self) -> tuple[FloatArray, FloatArray]:
        """Return macro (K,) and micro (M,) probabilities."""
        macro, micro = np.empty(self.chain.macros), np.empty(self.chain.micros)
        steps.joint_marginals(self.chain.macros, self.chain.micros, self.log_joint, macro, micro)
        return macro, micro

    @staticmethod
    def _finite(score: float, which: str) -> float:
        if not math.isfinite(score):
            raise DegenerateFilter(f"no state explains the {which} bar")
        return score


def two_clock_series(
    chain: TwoClockChain,
    fast_log_density: FloatArray,
    slow_log_density: FloatArray,
    closes: FloatArray,
    *,
    power: float = 1.0,
) -> TwoClockSeries:
    """Filter a series whose densities are known.

    Parameters
    ----------
    fast_log_density : (T, M).  slow_log_density : (J, K), one row for each slow bar.
    closes : (T,) 1 where a slow bar closes with the fast bar, J of them.

    Raises
    ------
    ValueError : the closes do not number J.
    DegenerateFilter : no state explains a bar.
    """
    if int((closes != 0).sum()) != slow_log_density.shape[0]:
        raise ValueError(f"{int((closes != 0).sum())} closes for {slow_log_density.shape[0]} slow bars")
    rows = fast_log_density.shape[0]
    macro, micro = np.empty((rows, chain.macros)), np.empty((rows, chain.micros))
    fast_scores, slow_scores = np.empty(rows), np.empty(slow_log_density.shape[0])
    taken = fastest(steps.joint_rows)(
        chain.macros, chain.micros, power, *_logs(chain),
        np.ascontiguousarray(fast_log_density), np.ascontiguousarray(slow_log_density),
        np.ascontiguousarray(closes, dtype=np.float64), macro, micro, fast_scores, slow_scores,
    )  # fmt: skip
    if taken < rows:
        raise DegenerateFilter(f"no state explains fast bar {taken}")
    return TwoClockSeries(macro, micro, fast_scores, slow_scores)


def soft_switching_series(
    chain: TwoClockChain, fast_log_density: FloatArray, slow_log_density: FloatArray, closes: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Filter with the cheaper variant: an ordinary chain whose matrix is mixed by the slow forecast.

    c is the last closed slow posterior propagated by S (p0 before the first close), A_t = sum c(k) A^(k).

    Returns
    -------
    (T, M) micro probabilities, and (K,) the macro forecast for the bar after the last.

    Raises
    ------
    DegenerateFilter : no state explains a bar.
    """
    slow, _ = filter_log_densities(chain.macro_start, chain.macro_transition, slow_log_density)
    forecast, closed = chain.macro_start, 0
    micro = np.empty(fast_log_density.shape)
    for t in range(fast_log_density.shape[0]):
        prior = chain.micro_start
        if t:
            prior = micro[t - 1] @ np.einsum("k,kmn->mn", forecast, chain.micro_transition)
        row, _ = filter_log_densities(prior, chain.micro_transition[0], fast_log_density[t : t + 1])
        micro[t] = row[0]
        if closes[t]:
            forecast = slow[closed] @ chain.macro_transition
            closed += 1
    return micro, forecast


@dataclass(frozen=True, slots=True, eq=False)
class TwoClockHmm:
    """A two-clock chain with its emissions.

    Attributes
    ----------
    fast : of each fast bar, by micro state, (M, D_fast).  slow : of each slow bar, by macro state, (K, D_slow).
    power : 0 to 1, to which the slow density is raised, because slow and fast bars share prices and their
        evidence is not independent.
    """

    chain: TwoClockChain
    fast: GaussianEmission
    slow: GaussianEmission
    power: float = 0.5

    def __post_init__(self) -> None:
        if self.fast.states != self.chain.micros or self.slow.states != self.chain.macros:
            raise ValueError(
                f"expected emissions of {self.chain.micros} micro and {self.chain.macros} macro states, "
                f"was {self.fast.states} and {self.slow.states}"
            )
        if not 0 < self.power <= 1:
            raise ValueError(f"expected a power above 0 and at most 1, was {self.power}")

    def free_parameters(self) -> int:
        return self.chain.free_parameters() + self.fast.free_parameters() + self.slow.free_parameters()

    def filter(
        self,
        fast: FloatArray,
        slow: FloatArray,
        closes: FloatArray,
        fast_seen: BoolArray | None = None,
        slow_seen: BoolArray | None = None,
    ) -> TwoClockSeries:
        """Filter (T, D_fast) and (J, D_slow) rows; `closes` (T,) marks the fast bars that close a slow one.

        Where `fast_seen` (T,) or `slow_seen` (J,) is False the chains move on without evidence.
        """
        fast_log, slow_log = self.fast.log_densities(fast), self.slow.log_densities(slow)
        if fast_seen is not None:
            fast_log = np.where(fast_seen[:, None], fast_log, 0.0)
        if slow_seen is not None:
            slow_log = np.where(slow_seen[:, None], slow_log, 0.0)
        return two_clock_series(self.chain, fast_log, slow_log, closes, power=self.power)


def _logs(chain: TwoClockChain) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    return (
        log_probabilities(chain.macro_start),
        log_probabilities(chain.macro_transition).ravel(),
        log_probabilities(chain.micro_start),
        log_probabilities(chain.micro_transition).ravel(),
    )
