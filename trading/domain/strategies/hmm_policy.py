"""Filtered regime probabilities to target exposure.

With p' = P(s_t+h | x_1..t), the filtered probabilities of a trained model carried h bars ahead:

    method policy   target = sum_k p'_k position_k, positions by the names of the regimes
    method kelly    target = clip(c (mu -+ cost) / var, +-cap), mu and var of the mixture, state means shrunk

A side is taken when the regimes that favour it hold more than `enter` of the probability and left below `leave`;
a change smaller than the band is not traded. There is no exposure while the gate is closed: no observation, an
observation that no regime explains, uncertain regimes, stale features, an expired model, or bars from the
model's own training window.

The model is the forward filter's: nothing here smooths, and the transition matrix is part of every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from trading.domain.strategies.base import Desired, Observation, Strategy
from trading.domain.strategies.compiled import CompiledStep
from trading.domain.strategies.exposure import banded_target, next_side
from trading.domain.strategies.hmm_vector import (
    HMM_REASONS,
    favours_of,
    hmm_state_size,
    hmm_unable,
    hmm_vector,
)
from trading.domain.strategies.parameters import ParameterError, parameter
from trading.domain.strategies.regime_gate import closed_because, positions_of, predicted, return_moments
from trading.domain.strategies.regime_model import ServedModel, model_reads_funding, served_model
from trading.domain.strategies.regime_reading import RegimeView, regime_step

POLICY, KELLY = "policy", "kelly"
LONG_ONLY_POSITIONS: Final = "single:1, calm:1, trend:1, volatile:0.5, turbulent:0"
_BPS: Final = 10_000.0


@dataclass(frozen=True, slots=True)
class HmmPolicyParams:
    """Which model, how its probabilities become a target, and when they may not."""

    model: str = parameter("", help="trained flat model: its digest, the beginning of it, or its folder")
    method: str = parameter(POLICY, help="policy: positions by regime; kelly: mean over variance")
    positions: str = parameter(LONG_ONLY_POSITIONS, help="position of each regime, -1 to 1, by name")
    horizon: int = parameter(1, ge=1, le=1_000, unit="bars", help="how far ahead regimes are predicted")
    kelly_fraction: float = parameter(0.25, ge=0.0, le=0.5, help="part of the full Kelly exposure")
    cap: float = parameter(1.0, ge=0.01, le=1.0, help="largest exposure, fraction of the capital")
    cost_bps: float = parameter(10.0, ge=0.0, le=500.0, unit="bps", help="cost of one change of position")
    hold_bars: float = parameter(
        24.0, ge=1.0, le=10_000.0, unit="bars", help="over which that cost is spread"
    )
    prior_bars: float = parameter(
        1_000.0, ge=0.0, le=1e6, unit="bars", help="shrinks state means by n / (n + this)"
    )
    enter: float = parameter(0.65, ge=0.5, le=1.0, help="probability above which a side is taken")
    leave: float = parameter(0.5, ge=0.0, le=1.0, help="probability below which it is left")
    band: float = parameter(0.1, ge=0.0, le=0.5, help="smaller changes of the target are not traded")
    confidence_floor: float = parameter(
        0.2, ge=0.0, le=1.0, help="least certainty of the regime, 1 - H / ln K, to hold anything"
    )
    stale_limit: int = parameter(0, ge=0, le=100, unit="bars", help="bars without observation it bears")
    longest_gap: int = parameter(
        10, ge=0, le=1_000, unit="bars", help="hole in the bars behind which the filter begins anew"
    )
    refit_days: float = parameter(
        90.0, ge=0.0, le=3_650.0, unit="days", help="age at which the model expires; 0 is never"
    )
    embargo: int = parameter(0, ge=0, le=10_000, unit="bars", help="not traded after the training window")
    allow_short: bool = parameter(False, help="be short, not flat, where regimes say so; futures only")

    def __post_init__(self) -> None:
        if self.method not in (POLICY, KELLY):
            raise ParameterError("method", f"expected {POLICY} or {KELLY}, was {self.method!r}")
        if self.leave > self.enter:
            raise ParameterError(
                "leave", f"expected leave of at most enter, were {self.leave} and {self.enter}"
            )
        positions_of(self.positions, (), "positions")
        if self.model:
            _favours(served_model(self.model), self)


class HmmPolicy(Strategy):
    """Hold what the filtered regime justifies, and nothing while that is in doubt."""

    name: ClassVar[str] = "hmm_policy"
    Params: ClassVar[type] = HmmPolicyParams
    compiled: ClassVar[CompiledStep | None] = CompiledStep(
        "trading.domain.strategies.hmm_step:hmm_step",
        hmm_vector,
        hmm_state_size,
        HMM_REASONS,
        unable=hmm_unable,
    )

    def warmup(self, params: HmmPolicyParams) -> int:
        """Return the bars until the first full row of the model's features; 1 while no model is named."""
        return served_model(params.model).flat().features.warmup if params.model else 1

    def reads_funding(self, params: HmmPolicyParams) -> bool:
        """Return whether the model's features have the funding rate."""
        return model_reads_funding(params.model)

    def initial(self, params: HmmPolicyParams) -> dict[str, Any]:
        """Return a filter that has seen nothing.

        Raises
        ------
        ParameterError : no model, or one that cannot serve.
        """
        _favours(served_model(params.model), params)
        return {"filter": None, "side": 0, "target": 0.0}

    def step(
        self, params: HmmPolicyParams, state: dict[str, Any], observation: Observation
    ) -> tuple[dict[str, Any], Desired | None]:
        """Decide at a closed bar; other triggers, and a bar already taken, change nothing.

        Raises
        ------
        ParameterError : no such model, or bars of another interval than it was trained on.
        """
        if observation.trigger != "bar":
            return state, None
        served = served_model(params.model)
        stored, view = regime_step(served, state["filter"], observation, params.longest_gap)
        if view is None:
            return state, None
        reason = closed_because(
            view,
            served,
            observation.now_ns,
            certainty_floor=params.confidence_floor,
            stale_limit=params.stale_limit,
            refit_days=params.refit_days,
            embargo=params.embargo,
            interval_ns=served.flat().interval_ns,
        )
        features = regime_features(served, view)
        if reason:
            return {"filter": stored, "side": 0, "target": 0.0}, Desired(0.0, 0.0, reason, features=features)
        ahead = predicted(view.posterior, served, params.horizon)
        favours = _favours(served, params)
        up = sum(p for p, favour in zip(ahead, favours, strict=True) if favour > 0)
        down = sum(p for p, favour in zip(ahead, favours, strict=True) if favour < 0)
        side = next_side(int(state["side"]), up, down, params.enter, params.leave)
        wanted, moments = _wanted(served, params, ahead)
        if wanted * side <= 0.0 or (side < 0 and not params.allow_short):
            wanted = 0.0
        target = banded_target(float(state["target"]), wanted, params.band)
        features |= {"up": up, "down": down, "wanted": wanted, **moments}
        reason = "REGIME_LONG" if target > 0 else "REGIME_SHORT" if target < 0 else "REGIME_FLAT"
        return (
            {"filter": stored, "side": side, "target": target},
            Desired(target, min(1.0, features["certainty"]), reason, features=features),
        )


def regime_features(served: ServedModel, view: RegimeView) -> dict[str, float]:
    """Return what a decision's record says about the regime: probabilities by name, certainty, log score."""
    import numpy as np

    from trading.domain.regime.posterior import confidence

    if not view.posterior:
        return {"age_bars": float(view.age_bars)}
    told = {f"p_{name}": p for name, p in zip(served.flat().labels, view.posterior, strict=True)}
    told |= {"certainty": float(confidence(np.array(view.posterior))), "age_bars": float(view.age_bars)}
    if view.age_bars == 0:
        told["log_score"] = view.log_score
    return told


def _favours(served: ServedModel, params: HmmPolicyParams) -> tuple[float, ...]:
    return favours_of(served, params.method, params.positions, params.prior_bars)


def _wanted(
    served: ServedModel, params: HmmPolicyParams, ahead: Sequence[float]
) -> tuple[float, dict[str, float]]:
    import numpy as np

    from trading.domain.regime.posterior import kelly_target, mixture_moments, policy_target

    weights = np.array(ahead)
    if params.method == POLICY:
        target = float(policy_target(weights, np.array(_favours(served, params))))
        return max(-params.cap, min(params.cap, target)), {}
    means, variances = return_moments(served, params.prior_bars)
    mean, variance = mixture_moments(weights, np.array(means), np.array(variances))
    cost = params.cost_bps / _BPS / params.hold_bars
    target = kelly_target(mean, variance, params.kelly_fraction, params.cap, cost)
    return float(target), {"mean": float(mean), "variance": float(variance)}
