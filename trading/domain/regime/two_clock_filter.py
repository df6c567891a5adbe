"""The two-clock model at work: fast bars in, a slow bar with every B-th, macro and micro probabilities out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trading.domain.regime import feature_steps, steps, two_clock_steps
from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.errors import FeaturesRefused, RegimeError, StateRefused
from trading.domain.regime.features import PROBLEMS, FeatureSpec, initial_feature_state, pack_spec
from trading.domain.regime.filter import ClosedBar
from trading.domain.regime.gaussian import GaussianEmission
from trading.domain.regime.scaler import Scaler
from trading.domain.regime.two_clock import JointFilter, TwoClockHmm


@dataclass(frozen=True, slots=True, eq=False)
class TwoClockModel:
    """All that serving needs of a two-clock model.

    Attributes
    ----------
    labels : (K,) names of the macro states.  micro_labels : (M,).
    interval_ns, slow_interval_ns : bar lengths; the slow one is a whole multiple of the fast one.
    """

    hmm: TwoClockHmm
    scaler: Scaler
    features: FeatureSpec
    slow_scaler: Scaler
    slow_features: FeatureSpec
    labels: tuple[str, ...]
    micro_labels: tuple[str, ...]
    interval_ns: int
    slow_interval_ns: int

    def __post_init__(self) -> None:
        for what, emission, scaler, spec in (
            ("fast", self.hmm.fast, self.scaler, self.features),
            ("slow", self.hmm.slow, self.slow_scaler, self.slow_features),
        ):
            if emission.features != spec.width or scaler.center.shape != (spec.width,):
                raise ValueError(f"{what}: expected {spec.width} features in emission and scaler")
        for names, count in (
            (self.labels, self.hmm.chain.macros),
            (self.micro_labels, self.hmm.chain.micros),
        ):
            if len(names) != count or len(set(names)) != count:
                raise ValueError(f"expected {count} different labels, was {names}")
        if not 0 < self.interval_ns < self.slow_interval_ns or self.slow_interval_ns % self.interval_ns:
            raise ValueError(
                f"expected a slow interval that is a multiple of {self.interval_ns} ns, was {self.slow_interval_ns}"
            )


@dataclass(frozen=True, slots=True)
class TwoClockReading:
    """What the filter says at one closed fast bar; `log_score` includes the slow bar's where one closed."""

    close_ns: int
    macro: tuple[float, ...]
    micro: tuple[float, ...]
    log_score: float
    slow_closed: bool


@dataclass(frozen=True, slots=True)
class TwoClockState:
    """A two-clock filter between two bars, as it is stored; times are market time of the last closes taken."""

    model_digest: str
    close_ns: int
    slow_close_ns: int
    phase: int
    features: tuple[float, ...]
    slow_features: tuple[float, ...]
    log_joint: tuple[float, ...]

    def members(self) -> dict[str, Any]:
        """Return it as JSON members; -inf (an impossible state) is written as null."""
        return {
            "model_digest": self.model_digest,
            "close_ns": self.close_ns,
            "slow_close_ns": self.slow_close_ns,
            "phase": self.phase,
            "features": list(self.features),
            "slow_features": list(self.slow_features),
            "log_joint": [None if value == -math.inf else value for value in self.log_joint],
        }

    @classmethod
    def parse(cls, members: Mapping[str, Any]) -> TwoClockState:
        """Read what `members` wrote.

        Raises
        ------
        StateRefused : a member is missing or of another type.
        """
        try:
            return cls(
                str(members["model_digest"]),
                int(members["close_ns"]),
                int(members["slow_close_ns"]),
                int(members["phase"]),
                tuple(float(value) for value in members["features"]),
                tuple(float(value) for value in members["slow_features"]),
                tuple(-math.inf if value is None else float(value) for value in members["log_joint"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StateRefused(f"not a stored two-clock state: {error!r}") from error


class _Eye:
    """One stream of bars, its features and its densities."""

    def __init__(self, spec: FeatureSpec, scaler: Scaler, emission: GaussianEmission) -> None:
        whiten, log_norm = emission.whitening()
        self._spec, self._scaler = pack_spec(spec), scaler
        self._parts = (emission.means.ravel(), whiten.ravel(), log_norm)
        self._row, self._z = np.zeros(spec.width), np.zeros(spec.width)
        self.state = initial_feature_state(spec)
        self.density = np.zeros(emission.states)

    def look(self, bar: ClosedBar, which: str) -> bool:
        """Take a bar; say whether `density` now holds its log densities.

        Raises
        ------
        FeaturesRefused : the bar is unusable.
        """
        status = feature_steps.feature_step(
            self._spec, self.state, bar.high, bar.low, bar.close, bar.volume, bar.taker_base, bar.funding,
            self._row,
        )  # fmt: skip
        if status > feature_steps.WARMING:
            raise FeaturesRefused(f"{which} bar that closed at {bar.close_ns} ns: {PROBLEMS[status]}")
        if status == feature_steps.WARMING:
            return False
        steps.scale_row(self._scaler.center, self._scaler.scale, self._scaler.clip, self._row, self._z)
        steps.gaussian_log_densities(*self._parts, self._z, self.density)
        return True


class TwoClockFilter:
    """Steps the exact joint filter with every closed fast bar.

    Probabilities start with the first full row of fast features. A slow bar whose windows are not full yet, or
    that is missing, moves the macro chain without evidence.
    """

    def __init__(self, model: TwoClockModel, digest: str) -> None:
        self.model = model
        self.digest = digest
        self._joint = JointFilter(model.hmm.chain, model.hmm.power)
        self._fast = _Eye(model.features, model.scaler, model.hmm.fast)
        self._slow = _Eye(model.slow_features, model.slow_scaler, model.hmm.slow)
        self._close_ns = self._slow_close_ns = 0

    @classmethod
    def restored(cls, model: TwoClockModel, digest: str, state: TwoClockState) -> TwoClockFilter:
        """Continue a stored state; feed it every bar that closed since, in order.

        Raises
        ------
        StateRefused : the state belongs to another model, or is not one of this model's shape.
        """
        if state.model_digest != digest:
            raise StateRefused(f"the state belongs to model {state.model_digest[:12]}, not {digest[:12]}")
        running = cls(model, digest)
        for name, target, values in (
            ("features", running._fast.state, state.features),
            ("slow_features", running._slow.state, state.slow_features),
            ("log_joint", running._joint.log_joint, state.log_joint),
        ):
            if len(values) != target.shape[0] or any(math.isnan(v) or v == math.inf for v in values):
                raise StateRefused(f"{name}: expected {target.shape[0]} numbers")
            target[:] = values
        if state.phase not in (two_clock_steps.FIRST, two_clock_steps.WITHIN, two_clock_steps.CLOSED):
            raise StateRefused(f"phase: expected 0, 1 or 2, was {state.phase}")
        running._joint.phase = state.phase
        if state.phase != two_clock_steps.FIRST:
            total = float(running._joint.marginals()[0].sum())
            if abs(total - 1.0) > 1e-9:
                raise StateRefused(f"the stored probabilities sum to {total}")
        running._close_ns, running._slow_close_ns = state.close_ns, state.slow_close_ns
        return running

    @property
    def close_ns(self) -> int:
        """Market time of the last fast bar taken, 0 before the first."""
        return self._close_ns

    def state(self) -> TwoClockState:
        """Return what has to be stored to continue in another process."""
        return TwoClockState(
            self.digest, self._close_ns, self._slow_close_ns, self._joint.phase,
            _floats(self._fast.state), _floats(self._slow.state), _floats(self._joint.log_joint),
        )  # fmt: skip

    def step(self, bar: ClosedBar, slow_bar: ClosedBar | None = None) -> TwoClockReading | None:
        """Take the next fast bar, and the slow bar that closes with it; None until the first full row.

        Raises
        ------
        StateRefused : not the bar that comes next, or a slow bar that does not close with it.
        FeaturesRefused : a bar is unusable.
        DegenerateFilter : no state explains it.
            After any of these the filter is where it was before.
        """
        self._require_next(bar.close_ns)
        slow_due = self._slow_closes_at(bar.close_ns, slow_bar)
        before = self.state()
        try:
            seen = self._fast.look(bar, "fast")
            slow_seen = slow_bar is not None and self._slow.look(slow_bar, "slow")
            score = 0.0
            if seen or self._joint.phase != two_clock_steps.FIRST:
                self._joint.predict()
                if seen:
                    score += self._joint.observe_fast(self._fast.density)
                if slow_seen:
                    score += self._joint.observe_slow(self._slow.density)
                elif slow_due:
                    self._joint.close_slow()
        except RegimeError:
            self._put_back(before)
            raise
        self._close_ns = bar.close_ns
        if slow_due:
            self._slow_close_ns = bar.close_ns
            if slow_bar is None:
                self._slow.state[:] = 0.0
        if not seen or self._joint.phase == two_clock_steps.FIRST:
            return None
        macro, micro = self._joint.marginals()
        return TwoClockReading(bar.close_ns, _floats(macro), _floats(micro), score, slow_due)

    def skip(self, close_ns: int) -> None:
        """Let a fast bar pass that does not exist: predict, observe nothing, refill the windows.

        Raises
        ------
        StateRefused : not the bar that comes next.
        """
        self._require_next(close_ns)
        if self._joint.phase != two_clock_steps.FIRST:
            self._joint.predict()
        self._fast.state[:] = 0.0
        self._close_ns = close_ns
        if self._slow_close_ns and close_ns - self._slow_close_ns == self.model.slow_interval_ns:
            # A slow bar with a hole in it would show a volume and a range that never were.
            if self._joint.phase != two_clock_steps.FIRST:
                self._joint.close_slow()
            self._slow.state[:] = 0.0
            self._slow_close_ns = close_ns

    def _slow_closes_at(self, close_ns: int, slow_bar: ClosedBar | None) -> bool:
        due = bool(self._slow_close_ns) and close_ns - self._slow_close_ns == self.model.slow_interval_ns
        if slow_bar is None:
            return due
        if slow_bar.close_ns != close_ns:
            raise StateRefused(
                f"the slow bar closed at {slow_bar.close_ns} ns, the fast one at {close_ns} ns"
            )
        if self._slow_close_ns and not due:
            raise StateRefused(
                f"no slow bar is due at {close_ns} ns; the last one closed at {self._slow_close_ns} ns"
            )
        return True

    def _require_next(self, close_ns: int) -> None:
        if self._close_ns and close_ns - self._close_ns != self.model.interval_ns:
            raise StateRefused(
                f"expected the bar that closes at {self._close_ns + self.model.interval_ns} ns, was {close_ns} ns"
            )

    def _put_back(self, state: TwoClockState) -> None:
        self._fast.state[:] = state.features
        self._slow.state[:] = state.slow_features
        self._joint.log_joint[:] = state.log_joint
        self._joint.phase = state.phase


def _floats(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
