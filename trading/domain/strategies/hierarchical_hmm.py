"""A slow macro regime gates a fast micro regime: the two-clock HMM, filtered exactly.

    target = (sum_k P(macro k) position_k) * (sum_m P(micro m in h bars) scale_m)

with both posteriors filtered at the close of the fast bar, and the micro one carried h bars ahead by the transitions
of the macro regimes, weighted by their probability: a rough patch that will be over before it pays for two trades
is not traded. A slow bar speaks only at its close and is made of the
fast bars seen here. The side is taken and left by the macro posterior with a hysteresis; a change smaller than the
band is not traded; there is no exposure while the macro regime is uncertain, before the first slow bars, on bars
that no state explains, in the model's own training window, or past its refit limit.

The model must have beaten the flat one on bars neither had seen (its lineage says so) before it may trade.

Source: the two-clock filter of `trading.domain.regime.two_clock`; hierarchical HMMs go back to Fine, Singer & Tishby
(1998), Machine Learning 32, 41-62.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from trading.domain.strategies.base import Desired, Observation, Strategy
from trading.domain.strategies.compiled import CompiledStep
from trading.domain.strategies.exposure import banded_target, next_side
from trading.domain.strategies.hierarchical_vector import (
    HIERARCHICAL_REASONS,
    hierarchical_state_size,
    hierarchical_unable,
    hierarchical_vector,
)
from trading.domain.strategies.macro_mixture import mixed_transition
from trading.domain.strategies.parameters import ParameterError, parameter
from trading.domain.strategies.regime_gate import DAY_NS, positions_of
from trading.domain.strategies.regime_model import ServedModel, model_reads_funding, served_model
from trading.domain.strategies.regime_reading import FROM_THE_FUTURE, UNEXPLAINED
from trading.domain.strategies.two_clock_reading import TwoClockView, two_clock_step


@dataclass(frozen=True, slots=True)
class HierarchicalHmmParams:
    """Which model, what its regimes are worth, and when they may not trade."""

    model: str = parameter("", help="trained two-clock model: its digest, the beginning of it, or its folder")
    macro_positions: str = parameter(
        "single:1, calm:1, trend:1, volatile:0.5, turbulent:0", help="position of each macro regime, by name"
    )
    micro_scales: str = parameter(
        "micro_single:1, micro_calm:1, micro_trend:1, micro_volatile:0.75, micro_turbulent:0.5",
        help="factor of each micro regime, 0 to 1, by name",
    )
    horizon: int = parameter(
        24, ge=0, le=1_000, unit="bars", help="how far ahead the micro regime is predicted"
    )
    cap: float = parameter(1.0, ge=0.01, le=1.0, help="largest exposure, fraction of the capital")
    enter: float = parameter(0.65, ge=0.5, le=1.0, help="macro probability above which a side is taken")
    leave: float = parameter(0.5, ge=0.0, le=1.0, help="macro probability below which it is left")
    band: float = parameter(0.1, ge=0.0, le=0.5, help="smaller changes of the target are not traded")
    confidence_floor: float = parameter(
        0.2, ge=0.0, le=1.0, help="least certainty of the macro regime, 1 - H / ln K, to hold anything"
    )
    least_slow_bars: int = parameter(
        2, ge=1, le=1_000, unit="slow bars", help="observed before anything is held"
    )
    longest_gap: int = parameter(
        10, ge=0, le=1_000, unit="bars", help="hole in the bars behind which the filter begins anew"
    )
    refit_days: float = parameter(
        90.0, ge=0.0, le=3_650.0, unit="days", help="age at which the model expires; 0 is never"
    )
    embargo: int = parameter(0, ge=0, le=10_000, unit="bars", help="not traded after the training window")
    require_gain: bool = parameter(
        True, help="refuse a model that did not beat the flat one on held-out bars"
    )
    allow_short: bool = parameter(False, help="be short, not flat, where regimes say so; futures only")

    def __post_init__(self) -> None:
        if self.leave > self.enter:
            raise ParameterError(
                "leave", f"expected leave of at most enter, were {self.leave} and {self.enter}"
            )
        positions_of(self.macro_positions, (), "macro_positions")
        positions_of(self.micro_scales, (), "micro_scales")
        if self.model:
            _tables(_admitted(self), self)


class HierarchicalHmm(Strategy):
    """Hold what the slow regime justifies, less where the fast one is rough."""

    name: ClassVar[str] = "hierarchical_hmm"
    Params: ClassVar[type] = HierarchicalHmmParams
    compiled: ClassVar[CompiledStep | None] = CompiledStep(
        "trading.domain.strategies.hierarchical_step:hierarchical_step",
        hierarchical_vector,
        hierarchical_state_size,
        HIERARCHICAL_REASONS,
        unable=hierarchical_unable,
    )

    def warmup(self, params: HierarchicalHmmParams) -> int:
        """Return the bars until both clocks have spoken; 1 while no model is named."""
        if not params.model:
            return 1
        model = served_model(params.model).two_clock()
        per_slow = model.slow_interval_ns // model.interval_ns
        # One slow bar more, because the first one begun is seldom whole.
        slow = (model.slow_features.warmup + params.least_slow_bars) * per_slow
        return max(model.features.warmup, slow)

    def reads_funding(self, params: HierarchicalHmmParams) -> bool:
        """Return whether the model's features have the funding rate."""
        return model_reads_funding(params.model)

    def initial(self, params: HierarchicalHmmParams) -> dict[str, Any]:
        """Return a filter that has seen nothing.

        Raises
        ------
        ParameterError : no model, or one that may not serve.
        """
        _tables(_admitted(params), params)
        return {"filter": None, "side": 0, "target": 0.0}

    def step(
        self, params: HierarchicalHmmParams, state: dict[str, Any], observation: Observation
    ) -> tuple[dict[str, Any], Desired | None]:
        """Decide at a closed bar; other triggers, and a bar already taken, change nothing.

        Raises
        ------
        ParameterError : no such model, or bars of another interval than it was trained on.
        """
        if observation.trigger != "bar":
            return state, None
        served = served_model(params.model)
        stored, view = two_clock_step(served, state["filter"], observation, params.longest_gap)
        if view is None:
            return state, None
        certainty, features = _features(served, view)
        reason = _closed_because(served, params, view, certainty, observation.now_ns)
        if reason:
            return {"filter": stored, "side": 0, "target": 0.0}, Desired(0.0, 0.0, reason, features=features)
        positions, scales = _tables(served, params)
        up = sum(p for p, position in zip(view.macro, positions, strict=True) if position > 0)
        down = sum(p for p, position in zip(view.macro, positions, strict=True) if position < 0)
        side = next_side(int(state["side"]), up, down, params.enter, params.leave)
        micro = _micro_ahead(served, view, params.horizon)
        scale = sum(p * factor for p, factor in zip(micro, scales, strict=True))
        gross = sum(p * position for p, position in zip(view.macro, positions, strict=True))
        wanted = max(-params.cap, min(params.cap, gross * scale))
        if wanted * side <= 0.0 or (side < 0 and not params.allow_short):
            wanted = 0.0
        target = banded_target(float(state["target"]), wanted, params.band)
        features |= {"up": up, "down": down, "scale": scale, "wanted": wanted}
        reason = "REGIME_LONG" if target > 0 else "REGIME_SHORT" if target < 0 else "REGIME_FLAT"
        return (
            {"filter": stored, "side": side, "target": target},
            Desired(target, min(1.0, certainty), reason, features=features),
        )


def _admitted(params: HierarchicalHmmParams) -> ServedModel:
    served = served_model(params.model)
    served.two_clock()
    if params.require_gain:
        try:
            gain = float(served.artefact.lineage["held_out"]["gain"])
        except (KeyError, TypeError, ValueError) as error:
            raise ParameterError(
                "model", f"{served.digest[:12]} was never compared with a flat model: {error!r}"
            ) from error
        if not gain > 0.0:
            raise ParameterError(
                "model",
                f"{served.digest[:12]} does not beat the flat model on held-out bars "
                f"({gain:+.2f} nats per 1000 bars)",
            )
    return served


def _tables(
    served: ServedModel, params: HierarchicalHmmParams
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    model = served.two_clock()
    scales = positions_of(params.micro_scales, model.micro_labels, "micro_scales")
    if min(scales) < 0.0:
        raise ParameterError("micro_scales", "expected factors of 0 to 1")
    return positions_of(params.macro_positions, model.labels, "macro_positions"), scales


def _micro_ahead(served: ServedModel, view: TwoClockView, bars: int) -> tuple[float, ...]:
    import numpy as np

    from trading.domain.regime.posterior import predict

    chain = served.two_clock().hmm.chain
    transition = np.empty(chain.micros * chain.micros)
    mixed_transition(np.array(view.macro), chain.micro_transition.ravel(), transition)
    ahead, scratch = np.empty(chain.micros), np.empty(chain.micros)
    predict(np.array(view.micro), transition, bars, ahead, scratch)
    return tuple(float(p) for p in ahead)


def _closed_because(
    served: ServedModel, params: HierarchicalHmmParams, view: TwoClockView, certainty: float, now_ns: int
) -> str:
    if view.problem:
        return view.problem
    if view.slow_bars < params.least_slow_bars:
        return "SLOW_CLOCK_WARMING"
    if now_ns <= served.train_end_ns + params.embargo * served.two_clock().interval_ns:
        return FROM_THE_FUTURE
    if params.refit_days and now_ns - served.train_end_ns > params.refit_days * DAY_NS:
        return "MODEL_EXPIRED"
    # The floor was taken from fast bars alone: with a slow bar in it the score is not comparable.
    if not view.slow_closed and not view.log_score >= served.artefact.reference.floor:
        return UNEXPLAINED
    return "LOW_CONFIDENCE" if certainty < params.confidence_floor else ""


def _features(served: ServedModel, view: TwoClockView) -> tuple[float, dict[str, float]]:
    import numpy as np

    from trading.domain.regime.posterior import confidence

    if not view.macro:
        return 0.0, {}
    model = served.two_clock()
    told = {f"p_{name}": p for name, p in zip(model.labels, view.macro, strict=True)}
    told |= {f"p_{name}": p for name, p in zip(model.micro_labels, view.micro, strict=True)}
    certainty = float(confidence(np.array(view.macro)))
    return certainty, told | {"certainty": certainty, "log_score": view.log_score}
