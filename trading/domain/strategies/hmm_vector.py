"""What the compiled steps of regime strategies are given: their parameters and the model, as one vector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from trading.domain.strategies.parameters import ParameterError
from trading.domain.strategies.regime_gate import positions_of, return_moments
from trading.domain.strategies.regime_model import ServedModel, served_model

if TYPE_CHECKING:
    from trading.domain.strategies.hmm_policy import HmmPolicyParams
    from trading.domain.strategies.ma_hmm_ensemble import EnsembleParams

_MS: Final = 1_000_000
HMM_REASONS: Final = (
    "REGIME_LONG", "REGIME_SHORT", "REGIME_FLAT", "REGIME_WARMING", "UNUSABLE_BAR", "UNEXPLAINED_OBSERVATION",
    "MODEL_FROM_THE_FUTURE", "LOW_CONFIDENCE", "STALE_FEATURES", "MODEL_EXPIRED",
)  # fmt: skip
"""What the codes of the compiled step mean."""
ENSEMBLE_REASONS: Final = ("ENSEMBLE_LONG", "ENSEMBLE_SHORT", "NO_EDGE", *HMM_REASONS[3:])


class GateParams(Protocol):
    """What every strategy of a flat model says about its gate."""

    @property
    def model(self) -> str: ...

    @property
    def confidence_floor(self) -> float: ...

    @property
    def stale_limit(self) -> int: ...

    @property
    def longest_gap(self) -> int: ...

    @property
    def refit_days(self) -> float: ...

    @property
    def embargo(self) -> int: ...


def hmm_vector(params: HmmPolicyParams) -> tuple[float, ...]:
    """Return the parameters of `hmm_policy` as its step gets them.

    Raises
    ------
    ParameterError : no model, or one that cannot serve.
    """
    served = served_model(params.model)
    states = served.flat().states
    favours = favours_of(served, params.method, params.positions, params.prior_bars)
    kelly = params.method == "kelly"
    none = (0.0,) * states
    means, variances = return_moments(served, params.prior_bars) if kelly else (none, none)
    own = (
        float(params.horizon), params.enter, params.leave, params.cap, float(kelly), params.kelly_fraction,
        params.cost_bps / 10_000.0 / params.hold_bars, float(params.allow_short), params.band,
    )  # fmt: skip
    return (*regime_numbers(params, own), *favours, *means, *variances)


def ensemble_vector(params: EnsembleParams) -> tuple[float, ...]:
    """Return the parameters of `ma_hmm_ensemble` as its step gets them: its own sixteen at the end.

    Raises
    ------
    ParameterError : no model, or one that cannot serve.
    """
    means, variances = return_moments(served_model(params.model), params.prior_bars)
    own = (
        float(params.fast), float(params.slow), float(("both", "ma", "hmm").index(params.members)),
        params.ma_slope, params.ma_offset, params.ma_weight, params.hmm_slope, params.hmm_offset,
        params.hmm_weight, params.bias, params.enter, params.leave, params.full_edge, params.band,
        float(params.allow_short), float(params.ma_alone),
    )  # fmt: skip
    return (*regime_numbers(params, ()), *(0.0,) * len(means), *means, *variances, *own)


def ensemble_state_size(params: EnsembleParams) -> int:
    """Return how many numbers the step remembers: those of the regime, and the last closes with their count."""
    return hmm_state_size(params) + 1 + params.slow


def regime_numbers(params: GateParams, own: Sequence[float]) -> tuple[float, ...]:
    """Return sizes, filter and gate numbers, room for ten of the strategy's own, then specification, model and
    transition. Favours, means and variances of the regimes follow.
    """
    from trading.domain.regime.features import initial_feature_state, pack_spec
    from trading.domain.regime.packed import pack_model

    served = served_model(params.model)
    model = served.flat()
    spec, packed = pack_spec(model.features), pack_model(model.hmm, model.scaler)
    return (
        float(model.states),
        float(model.features.width),
        float(len(spec)),
        float(len(packed)),
        float(len(initial_feature_state(model.features))),
        float(model.interval_ns // _MS),
        float(params.longest_gap),
        float(served.train_end_ns // _MS),
        float(params.embargo),
        params.confidence_floor,
        served.artefact.reference.floor,
        float(params.stale_limit),
        params.refit_days or math.inf,
        *own,
        *(0.0,) * (10 - len(own)),
        *(float(value) for value in spec),
        *(float(value) for value in packed),
        *(float(value) for value in model.hmm.transition.ravel()),
    )


def hmm_state_size(params: GateParams) -> int:
    """Return how many numbers the step remembers: its own, the features', the filter's, and work space."""
    from trading.domain.regime.features import initial_feature_state

    model = served_model(params.model).flat()
    width, states = model.features.width, model.states
    return 5 + len(initial_feature_state(model.features)) + (1 + 3 * states + width) + width + 3 * states


def hmm_unable(params: GateParams, interval: str) -> str:
    """Return why a model cannot be compiled: its features need what the step is not given. Empty where it can."""
    from trading.domain.clock import interval_ns

    model = served_model(params.model).flat()
    missing = sorted({"imbalance", "funding"}.intersection(model.features.names))
    if missing:
        return f"its model's features need {', '.join(missing)}"
    if interval_ns(interval) != model.interval_ns:
        return "its model was trained on bars of another interval"
    return ""


def favours_of(served: ServedModel, method: str, positions: str, prior_bars: float) -> tuple[float, ...]:
    """Return what each regime speaks for: its position in the table, or the sign of its shrunk mean.

    Raises
    ------
    ParameterError : a label without a position, or a model without the log return.
    """
    if method == "policy":
        return positions_of(positions, served.flat().labels, "positions")
    if method != "kelly":
        raise ParameterError("method", f"expected policy or kelly, was {method!r}")
    return return_moments(served, prior_bars)[0]
