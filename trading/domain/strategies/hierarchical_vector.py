"""What the compiled step of `hierarchical_hmm` is given: its parameters and the two-clock model, as one vector."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from trading.domain.strategies.regime_gate import positions_of
from trading.domain.strategies.regime_model import served_model

if TYPE_CHECKING:
    from trading.domain.strategies.hierarchical_hmm import HierarchicalHmmParams

_MS: Final = 1_000_000
HIERARCHICAL_REASONS: Final = (
    "REGIME_LONG", "REGIME_SHORT", "REGIME_FLAT", "REGIME_WARMING", "UNUSABLE_BAR", "UNEXPLAINED_OBSERVATION",
    "MODEL_FROM_THE_FUTURE", "LOW_CONFIDENCE", "SLOW_CLOCK_WARMING", "MODEL_EXPIRED",
)  # fmt: skip
"""What the codes of the compiled step mean."""


def hierarchical_vector(params: HierarchicalHmmParams) -> tuple[float, ...]:
    """Return sizes, clocks, gate and policy numbers, then specifications, model, positions, scales and transitions.

    Raises
    ------
    ParameterError : no model, or one that cannot serve.
    """
    from trading.domain.regime.features import initial_feature_state, pack_spec
    from trading.domain.regime.two_clock_packed import initial_two_clock_state, pack_two_clock

    served = served_model(params.model)
    model = served.two_clock()
    chain = model.hmm.chain
    fast, slow = pack_spec(model.features), pack_spec(model.slow_features)
    packed = pack_two_clock(model.hmm, model.scaler, model.slow_scaler)
    numbers = (
        chain.macros, chain.micros, model.features.width, model.slow_features.width, len(fast), len(slow),
        len(packed), len(initial_feature_state(model.features)),
        len(initial_feature_state(model.slow_features)), len(initial_two_clock_state(model.hmm)),
        model.interval_ns // _MS, model.slow_interval_ns // _MS, params.longest_gap,
        served.train_end_ns // _MS, params.embargo, params.refit_days * 86_400_000.0 or math.inf,
        served.artefact.reference.floor, params.confidence_floor, params.least_slow_bars, params.horizon,
        params.cap, params.enter, params.leave, params.band, params.allow_short,
    )  # fmt: skip
    return (
        *(float(number) for number in numbers),
        *(float(value) for value in fast),
        *(float(value) for value in slow),
        *(float(value) for value in packed),
        *positions_of(params.macro_positions, model.labels, "macro_positions"),
        *positions_of(params.micro_scales, model.micro_labels, "micro_scales"),
        *(float(value) for value in chain.micro_transition.ravel()),
    )


def hierarchical_state_size(params: HierarchicalHmmParams) -> int:
    """Return how many numbers the step remembers: its own, both windows, the joint law, and work space."""
    from trading.domain.regime.features import initial_feature_state
    from trading.domain.regime.two_clock_packed import initial_two_clock_state

    model = served_model(params.model).two_clock()
    macros, micros = model.hmm.chain.macros, model.hmm.chain.micros
    fast, slow = initial_feature_state(model.features), initial_feature_state(model.slow_features)
    work = macros * micros + model.features.width + model.slow_features.width
    work += macros + 3 * micros + micros * micros
    return 10 + len(fast) + 2 * len(slow) + len(initial_two_clock_state(model.hmm)) + work


def hierarchical_unable(params: HierarchicalHmmParams, interval: str) -> str:
    """Return why a model cannot be compiled, empty where it can."""
    from trading.domain.clock import interval_ns

    model = served_model(params.model).two_clock()
    names = {*model.features.names, *model.slow_features.names}
    missing = sorted({"imbalance", "funding"}.intersection(names))
    if missing:
        return f"its model's features need {', '.join(missing)}"
    if interval_ns(interval) != model.interval_ns:
        return "its model was trained on bars of another interval"
    return ""
