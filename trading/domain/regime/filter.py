"""The forward filter: the only source of probabilities that trade, and its state between processes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trading.domain.regime import feature_steps, steps
from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.compiled import compiled, fastest
from trading.domain.regime.errors import DegenerateFilter, FeaturesRefused, StateRefused
from trading.domain.regime.features import PROBLEMS, initial_feature_state, pack_spec
from trading.domain.regime.model import GaussianHmm, RegimeModel
from trading.domain.regime.packed import initial_state, log_posterior_of, log_probabilities, pack_model
from trading.domain.regime.scaler import Scaler


@dataclass(frozen=True, slots=True)
class ClosedBar:
    """What the features need of one closed bar; prices in quote currency, volumes in base.

    Attributes
    ----------
    funding : the rate in force at the close, a fraction; NaN where none is known, and a model that reads it refuses
        the bar.
    """

    close_ns: int
    high: float
    low: float
    close: float
    volume: float
    taker_base: float = 0.0
    funding: float = math.nan


@dataclass(frozen=True, slots=True)
class Reading:
    """What the filter says at one closed bar.

    Attributes
    ----------
    posterior : (K,) P(s_t | x_1..t), in the model's canonical order.
    log_score : c_t = ln p(x_t | x_1..t-1), of the standardised features.
    features : (D,) before standardising.
    """

    close_ns: int
    posterior: tuple[float, ...]
    log_score: float
    features: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FilterState:
    """A filter between two bars, as it is stored.

    Attributes
    ----------
    model_digest : of the model it belongs to; a state never continues under another model.
    close_ns : market time of the last bar it has taken, 0 before the first.
    features, chain : the packed states; floats keep every bit through JSON.
    """

    model_digest: str
    close_ns: int
    features: tuple[float, ...]
    chain: tuple[float, ...]

    def members(self) -> dict[str, Any]:
        """Return it as JSON members; -inf (an impossible state) is written as null."""
        return {
            "model_digest": self.model_digest,
            "close_ns": self.close_ns,
            "features": list(self.features),
            "chain": [None if value == -math.inf else value for value in self.chain],
        }

    @classmethod
    def parse(cls, members: Mapping[str, Any]) -> FilterState:
        """Read what `members` wrote.

        Raises
        ------
        StateRefused : a member is missing or of another type.
        """
        try:
            return cls(
                str(members["model_digest"]),
                int(members["close_ns"]),
                tuple(float(value) for value in members["features"]),
                tuple(-math.inf if value is None else float(value) for value in members["chain"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StateRefused(f"not a stored filter state: {error!r}") from error


class RegimeFilter:
    """A model at work: bars in, readings out, one O(K^2) update each.

    Parameters
    ----------
    digest : of the model artefact; stored with the state and compared on restore.
    machine_code : step through compiled kernels; the numbers are the same to the bit.
    """

    def __init__(self, model: RegimeModel, digest: str, *, machine_code: bool = False) -> None:
        self.model = model
        self.digest = digest
        self._packed = pack_model(model.hmm, model.scaler)
        self._spec = pack_spec(model.features)
        self._features = initial_feature_state(model.features)
        self._chain = initial_state(model.hmm)
        self._row = np.zeros(model.features.width)
        self._close_ns = 0
        self._feature_step = (
            compiled(feature_steps.feature_step) if machine_code else feature_steps.feature_step
        )
        self._filter_step = compiled(steps.filter_step) if machine_code else steps.filter_step

    @classmethod
    def restored(
        cls, model: RegimeModel, digest: str, state: FilterState, *, machine_code: bool = False
    ) -> RegimeFilter:
        """Continue a stored state; feed it every bar that closed since, in order.

        Raises
        ------
        StateRefused : the state belongs to another model, or is not one of this model's shape.
        """
        if state.model_digest != digest:
            raise StateRefused(f"the state belongs to model {state.model_digest[:12]}, not {digest[:12]}")
        running = cls(model, digest, machine_code=machine_code)
        for name, target, values in (
            ("features", running._features, state.features),
            ("chain", running._chain, state.chain),
        ):
            if len(values) != target.shape[0]:
                raise StateRefused(f"{name}: expected {target.shape[0]} numbers, was {len(values)}")
            if any(math.isnan(value) or value == math.inf for value in values):
                raise StateRefused(f"{name}: NaN or infinity in a stored state")
            target[:] = values
        posterior = running.posterior
        if posterior is not None:
            total = math.fsum(posterior)
            if abs(total - 1.0) > 1e-9:
                raise StateRefused(f"the stored probabilities sum to {total}")
        running._close_ns = state.close_ns
        return running

    @property
    def close_ns(self) -> int:
        """Market time of the last bar taken, 0 before the first."""
        return self._close_ns

    @property
    def posterior(self) -> tuple[float, ...] | None:
        """P(s_t | x_1..t), (K,); None before the first full row of features."""
        if self._chain[0] == 0:
            return None
        return tuple(math.exp(value) for value in log_posterior_of(self._chain, self.model.states))

    def state(self) -> FilterState:
        """Return what has to be stored to continue in another process."""
        return FilterState(
            self.digest,
            self._close_ns,
            tuple(float(value) for value in self._features),
            tuple(float(value) for value in self._chain),
        )

    def step(self, bar: ClosedBar) -> Reading | None:
        """Take the next closed bar; None while the windows fill.

        Raises
        ------
        StateRefused : the bar was taken before, or bars are missing between it and the last one: replay
            them, or `skip` those the venue never made.
        FeaturesRefused : the bar is unusable.
        DegenerateFilter : no state explains it.
            After any of these the filter is where it was before.
        """
        self._require_next(bar.close_ns)
        before = self._features.copy()
        status = self._feature_step(
            self._spec, self._features, bar.high, bar.low, bar.close, bar.volume, bar.taker_base, bar.funding,
            self._row,
        )  # fmt: skip
        if status > feature_steps.WARMING:
            self._features[:] = before
            raise FeaturesRefused(f"bar that closed at {bar.close_ns} ns: {PROBLEMS[status]}")
        if status == feature_steps.WARMING:
            # Windows that refill after a gap: the chain moves on, only the observation is missing.
            steps.filter_skip(self._packed, self._chain)
            self._close_ns = bar.close_ns
            return None
        score = self._filter_step(self._packed, self._chain, self._row)
        if not math.isfinite(score):
            self._features[:] = before
            raise DegenerateFilter(f"no state explains the bar that closed at {bar.close_ns} ns")
        self._close_ns = bar.close_ns
        probabilities = tuple(math.exp(value) for value in log_posterior_of(self._chain, self.model.states))
        return Reading(bar.close_ns, probabilities, float(score), tuple(float(value) for value in self._row))

    def skip(self, close_ns: int) -> None:
        """Let a bar pass that does not exist or cannot be used: predict, observe nothing, refill the windows.

        Raises
        ------
        StateRefused : not the bar that comes next.
        """
        self._require_next(close_ns)
        steps.filter_skip(self._packed, self._chain)
        self._features[:] = 0.0
        self._close_ns = close_ns

    def missing(self, close_ns: int) -> int:
        """Return how many bars lie between the last one taken and the bar that closes at `close_ns`."""
        if self._close_ns == 0:
            return 0
        return (close_ns - self._close_ns) // self.model.interval_ns - 1

    def _require_next(self, close_ns: int) -> None:
        if self._close_ns == 0:
            return
        if close_ns <= self._close_ns:
            raise StateRefused(
                f"bar {close_ns} ns was taken already; the last one closed at {self._close_ns} ns"
            )
        if close_ns - self._close_ns != self.model.interval_ns:
            raise StateRefused(
                f"{self.missing(close_ns)} bars are missing between {self._close_ns} ns and {close_ns} ns"
            )


def filter_log_densities(
    start: FloatArray, transition: FloatArray, log_density: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Filter a series whose densities are known.

    Parameters
    ----------
    start : (K,).  transition : (K, K).  log_density : (T, K), ln p(x_t | s_t = k).

    Returns
    -------
    (T, K) filtered probabilities and (T,) log scores c_t; their sum is the log likelihood.

    Raises
    ------
    DegenerateFilter : no state explains a row.
    """
    states = start.shape[0]
    log_start, log_transition = log_probabilities(start), log_probabilities(transition).ravel()
    current, scratch = np.empty(states), np.empty(states)
    filtered, scores = np.empty(log_density.shape), np.empty(log_density.shape[0])
    for t in range(log_density.shape[0]):
        row = np.ascontiguousarray(log_density[t])
        if t == 0:
            scores[t] = steps.forward_first(log_start, row, current, scratch)
        else:
            scores[t] = steps.forward_step(log_transition, row, current, scratch)
        if not math.isfinite(scores[t]):
            raise DegenerateFilter(f"no state explains row {t}")
        filtered[t] = [math.exp(value) for value in current]
    return filtered, scores


def filter_series(
    hmm: GaussianHmm,
    x: FloatArray,
    lengths: tuple[int, ...] | None = None,
    *,
    scaler: Scaler | None = None,
    machine_code: bool = False,
) -> tuple[FloatArray, FloatArray]:
    """Filter (T, D) rows, beginning anew at each stretch of `lengths`.

    Returns
    -------
    (T, K) filtered probabilities and (T,) log scores.

    Raises
    ------
    DegenerateFilter : no state explains a row.
    """
    run = fastest(steps.filter_rows) if machine_code else steps.filter_rows
    packed = pack_model(hmm, scaler)
    posterior, scores = np.empty((x.shape[0], hmm.states)), np.empty(x.shape[0])
    rows = np.ascontiguousarray(x, dtype=np.float64)
    at = 0
    for length in (x.shape[0],) if lengths is None else lengths:
        stop = at + length
        taken = run(packed, initial_state(hmm), rows[at:stop], posterior[at:stop], scores[at:stop])
        if taken < length:
            raise DegenerateFilter(f"no state explains row {at + taken}")
        at = stop
    return posterior, scores
