"""Moving averages and regimes fused by signed, calibrated log-odds.

Each member says how likely the next bar rises: the averages from their gap in standard deviations, the regimes from
the predicted mixture of normals. Platt's map calibrates each, and the pool is

    logit p = bias + w_ma logit p_ma + w_hmm logit p_hmm

so that members who disagree cancel: the edge 2 p - 1 and the confidence |2 p - 1| fall together. A side is taken
when p (or 1 - p) passes `enter`, left below `leave`; the size grows with the edge up to `full_edge`.

While regimes are silent (the filter warms up, or is uncertain) the averages may decide alone. What closes the gate
for other reasons - an observation no regime explains, stale features, an expired model, bars of the training
window - leaves no exposure whatever the averages say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from trading.domain.strategies.base import Desired, Observation, Strategy
from trading.domain.strategies.compiled import CompiledStep
from trading.domain.strategies.ensemble_members import average_gap, calibrated, rise_log_odds
from trading.domain.strategies.exposure import banded_target, next_side
from trading.domain.strategies.hmm_policy import regime_features
from trading.domain.strategies.hmm_vector import (
    ENSEMBLE_REASONS,
    ensemble_state_size,
    ensemble_vector,
    hmm_unable,
)
from trading.domain.strategies.moving_average import MovingAverage, MovingAverageParams
from trading.domain.strategies.parameters import ParameterError, parameter
from trading.domain.strategies.regime_gate import closed_because, predicted, return_moments
from trading.domain.strategies.regime_model import ServedModel, model_reads_funding, served_model
from trading.domain.strategies.regime_reading import WARMING, RegimeView, regime_step

BOTH, MA, HMM = "both", "ma", "hmm"
_SILENT: Final = frozenset({WARMING, "LOW_CONFIDENCE"})


@dataclass(frozen=True, slots=True)
class EnsembleParams:
    """The members, their calibration, the pool, and when it acts.

    The calibration's defaults are a prior: fit slopes, offsets, weights and bias on walk-forward folds.
    """

    model: str = parameter("", help="trained flat model: its digest, the beginning of it, or its folder")
    members: str = parameter(BOTH, help="both, ma or hmm: who votes, for an ablation")
    fast: int = parameter(9, ge=1, le=1_000, unit="bars", help="length of the fast average")
    slow: int = parameter(21, ge=2, le=5_000, unit="bars", help="length of the slow average")
    ma_slope: float = parameter(1.0, ge=-10.0, le=10.0, help="log-odds per standard deviation of the gap")
    ma_offset: float = parameter(0.0, ge=-5.0, le=5.0, help="log-odds of the averages at a gap of zero")
    ma_weight: float = parameter(0.5, ge=0.0, le=5.0, help="weight of the averages in the pool")
    hmm_slope: float = parameter(1.0, ge=-50.0, le=50.0, help="log-odds per log-odds of the regimes")
    hmm_offset: float = parameter(0.0, ge=-5.0, le=5.0, help="log-odds of the regimes at no opinion")
    hmm_weight: float = parameter(0.5, ge=0.0, le=5.0, help="weight of the regimes in the pool")
    bias: float = parameter(0.0, ge=-5.0, le=5.0, help="log-odds of the pool at no opinion")
    prior_bars: float = parameter(
        1_000.0, ge=0.0, le=1e6, unit="bars", help="shrinks state means by n / (n + this)"
    )
    enter: float = parameter(0.6, ge=0.5, le=1.0, help="probability from which a side is taken")
    leave: float = parameter(0.5, ge=0.0, le=1.0, help="probability below which it is left")
    full_edge: float = parameter(0.2, ge=0.001, le=1.0, help="edge 2 p - 1 at which it is fully invested")
    band: float = parameter(0.1, ge=0.0, le=0.5, help="smaller changes of the target are not traded")
    ma_alone: bool = parameter(True, help="the averages may decide while the regimes are silent")
    confidence_floor: float = parameter(0.2, ge=0.0, le=1.0, help="least certainty, 1 - H / ln K, to vote")
    stale_limit: int = parameter(0, ge=0, le=100, unit="bars", help="bars without observation it bears")
    longest_gap: int = parameter(
        10, ge=0, le=1_000, unit="bars", help="hole in the bars behind which the filter begins anew"
    )
    refit_days: float = parameter(
        90.0, ge=0.0, le=3_650.0, unit="days", help="age at which the model expires; 0 is never"
    )
    embargo: int = parameter(0, ge=0, le=10_000, unit="bars", help="not traded after the training window")
    allow_short: bool = parameter(False, help="be short, not flat, on a falling opinion; futures only")

    def __post_init__(self) -> None:
        if self.fast >= self.slow:
            raise ParameterError("fast", f"expected fast below slow, were {self.fast} and {self.slow}")
        if self.members not in (BOTH, MA, HMM):
            raise ParameterError("members", f"expected {BOTH}, {MA} or {HMM}, was {self.members!r}")
        if self.leave > self.enter:
            raise ParameterError(
                "leave", f"expected leave of at most enter, were {self.leave} and {self.enter}"
            )
        if self.model:
            return_moments(served_model(self.model), self.prior_bars)


class MaHmmEnsemble(Strategy):
    """Moving averages and regimes, each with its calibrated say."""

    name: ClassVar[str] = "ma_hmm_ensemble"
    Params: ClassVar[type] = EnsembleParams
    compiled: ClassVar[CompiledStep | None] = CompiledStep(
        "trading.domain.strategies.ensemble_step:ensemble_step",
        ensemble_vector,
        ensemble_state_size,
        ENSEMBLE_REASONS,
        unable=hmm_unable,
    )

    def warmup(self, params: EnsembleParams) -> int:
        """Return the bars until both members can speak; of the averages alone while no model is named."""
        regimes = served_model(params.model).flat().features.warmup if params.model else 0
        return max(params.slow, regimes)

    def reads_funding(self, params: EnsembleParams) -> bool:
        """Return whether the model's features have the funding rate."""
        return model_reads_funding(params.model)

    def initial(self, params: EnsembleParams) -> dict[str, Any]:
        """Return members that have seen nothing.

        Raises
        ------
        ParameterError : no model, or one that cannot serve.
        """
        return_moments(served_model(params.model), params.prior_bars)
        return {"closes": (), "filter": None, "side": 0, "target": 0.0}

    def step(
        self, params: EnsembleParams, state: dict[str, Any], observation: Observation
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
        averages = MovingAverageParams(params.fast, params.slow)
        closes, said = MovingAverage().step(averages, state["closes"], observation)
        kept = {"closes": closes, "filter": stored, "side": 0, "target": 0.0}
        silent = closed_because(
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
        if len(closes) < params.slow:
            return kept, None
        if silent and (silent not in _SILENT or params.members == HMM or not params.ma_alone):
            return kept, Desired(0.0, 0.0, silent, features=features)
        gap = average_gap(**said.features) if said is not None else 0.0
        p_ma = calibrated(gap, params.ma_slope, params.ma_offset)
        p_hmm = None if silent else _regimes_say(served, params, view)
        p = _pooled(params, p_ma, p_hmm)
        side = next_side(int(state["side"]), p, 1.0 - p, params.enter, params.leave)
        if side < 0 and not params.allow_short:
            side = 0
        edge = 2.0 * p - 1.0
        wanted = side * min(1.0, abs(edge) / params.full_edge) if side * edge > 0.0 else 0.0
        target = banded_target(float(state["target"]), wanted, params.band)
        features |= {"gap": gap, "p_ma": p_ma, "p": p, "wanted": wanted}
        if p_hmm is not None:
            features["p_hmm"] = p_hmm
        reason = "ENSEMBLE_LONG" if target > 0 else "ENSEMBLE_SHORT" if target < 0 else "NO_EDGE"
        return kept | {"side": side, "target": target}, Desired(target, abs(edge), reason, features=features)


def _regimes_say(served: ServedModel, params: EnsembleParams, view: RegimeView) -> float:
    means, variances = return_moments(served, params.prior_bars)
    score = rise_log_odds(predicted(view.posterior, served, 1), means, variances)
    return calibrated(score, params.hmm_slope, params.hmm_offset)


def _pooled(params: EnsembleParams, p_ma: float, p_hmm: float | None) -> float:
    import numpy as np

    from trading.domain.regime.posterior import log_odds_pool

    if params.members == MA or p_hmm is None:
        return log_odds_pool(np.array([p_ma]), np.ones(1), params.bias)
    if params.members == HMM:
        return log_odds_pool(np.array([p_hmm]), np.ones(1), params.bias)
    weights = np.array([params.ma_weight, params.hmm_weight])
    return log_odds_pool(np.array([p_ma, p_hmm]), weights, params.bias)
