"""Whether regime probabilities may carry exposure, and what they predict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from trading.domain.clock import NS_PER_S
from trading.domain.strategies.parameters import ParameterError
from trading.domain.strategies.regime_model import ServedModel
from trading.domain.strategies.regime_reading import FROM_THE_FUTURE, UNEXPLAINED, WARMING, RegimeView

DAY_NS: Final = 86_400 * NS_PER_S


def closed_because(
    view: RegimeView,
    served: ServedModel,
    now_ns: int,
    *,
    certainty_floor: float,
    stale_limit: int,
    refit_days: float,
    embargo: int,
    interval_ns: int,
) -> str:
    """Return the reason code against exposure, "" when there is none.

    Parameters
    ----------
    certainty_floor : least 1 - H(p) / ln K.  stale_limit : bars without an observation that are borne.
    refit_days : age of the training window's end beyond which the model has expired; 0 is no limit.
    embargo : bars after the training window that are not traded; nor is anything inside it, where the model knows
        what comes next.
    """
    import numpy as np

    from trading.domain.regime.posterior import GATE_REASONS, OPEN, confidence, gate

    if not view.posterior:
        return view.problem or WARMING
    if now_ns <= served.train_end_ns + embargo * interval_ns:
        return FROM_THE_FUTURE
    if view.problem == UNEXPLAINED:
        return UNEXPLAINED
    verdict = gate(
        confidence(np.array(view.posterior)),
        certainty_floor,
        view.log_score,
        served.artefact.reference.floor,
        float(view.age_bars),
        float(stale_limit),
        (now_ns - served.train_end_ns) / DAY_NS,
        refit_days or math.inf,
    )
    if verdict == OPEN:
        return ""
    return view.problem if view.problem and view.age_bars > stale_limit else GATE_REASONS[verdict]


def predicted(posterior: Sequence[float], served: ServedModel, bars: int) -> tuple[float, ...]:
    """Return (K,) P(s_t+bars | x_1..t) of filtered (K,) probabilities."""
    import numpy as np

    from trading.domain.regime.posterior import predict

    states = len(posterior)
    ahead, scratch = np.empty(states), np.empty(states)
    predict(np.array(posterior), served.flat().hmm.transition.ravel(), bars, ahead, scratch)
    return tuple(float(p) for p in ahead)


def return_moments(served: ServedModel, prior_bars: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return (K,) means and (K,) variances of the log return of a bar in each state, in its own units.

    Means are shrunk by n_k / (n_k + prior_bars): they need thousands of bars where variances need hundreds.

    Raises
    ------
    ParameterError : the log return is not among the model's features, or visits are not one per state.
    """
    from trading.domain.regime.posterior import shrunk_mean

    model = served.flat()
    if "log_return" not in model.features.names:
        raise ParameterError("model", f"{served.digest[:12]} has no log return among its features")
    if len(served.visits) != model.states:
        raise ParameterError("model", f"{served.digest[:12]} counts visits of other states than it has")
    at = model.features.names.index("log_return")
    center, scale = float(model.scaler.center[at]), float(model.scaler.scale[at])
    means = tuple(
        shrunk_mean(center + scale * float(model.hmm.emission.means[k, at]), served.visits[k], prior_bars)
        for k in range(model.states)
    )
    covariances = model.hmm.emission.covariances
    variances = tuple(scale * scale * float(covariances[k, at, at]) for k in range(model.states))
    return means, variances


def positions_of(text: str, labels: Sequence[str], field: str) -> tuple[float, ...]:
    """Return the position of each label out of text such as "calm:1, turbulent:0".

    Raises
    ------
    ParameterError : not of that form, a position outside -1 to 1, a name twice, or a label without a position: a
        policy made for other regimes must not be carried over silently.
    """
    table: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, colon, number = (word.strip() for word in part.partition(":"))
        try:
            position = float(number)
        except ValueError:
            position = math.nan
        if not colon or not name or name in table or not -1.0 <= position <= 1.0:
            raise ParameterError(field, f"expected name:position with -1 to 1, each name once; was {part!r}")
        table[name] = position
    missing = [label for label in labels if label not in table]
    if missing:
        raise ParameterError(field, f"no position for {', '.join(missing)}")
    return tuple(table[label] for label in labels)
