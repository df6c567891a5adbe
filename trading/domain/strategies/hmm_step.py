"""`hmm_policy` in the subset that compiles.

Imported when it is compiled or run, because the kernels come with numpy.
"""

from __future__ import annotations

from typing import Any

from trading.domain.regime.posterior import kelly_target, mixture_moments, policy_target
from trading.domain.strategies.exposure import banded_target, next_side
from trading.domain.strategies.regime_step import regime_ahead, regime_columns, regime_seen, share_of


def hmm_step(
    params: Any,
    state: Any,
    now_ns: int,
    open_price: float,
    high: float,
    low: float,
    close: float,
    volume: float,
    position: float,
    average_price: float,
    unrealized: float,
) -> tuple[int, float, float, float, float]:
    """Decide as `HmmPolicy.step`; `params` as `hmm_vector` gives them."""
    code = regime_seen(params, state, now_ns, high, low, close, volume)
    if code < 0:
        return 0, 0.0, 0.0, 0.0, 0.0
    if code != 0:
        state[3], state[4] = 0.0, 0.0
        return code, 0.0, 0.0, 0.0, 0.0
    states, place, at = int(params[0]), regime_ahead(params, state, int(params[13])), regime_columns(params)
    ahead, favours = state[place : place + states], params[at : at + states]
    up, down = share_of(ahead, favours, 1.0), share_of(ahead, favours, -1.0)
    side = next_side(int(state[3]), up, down, params[14], params[15])
    cap = params[16]
    if params[17] == 0.0:
        wanted = max(-cap, min(cap, policy_target(ahead, favours)))
    else:
        mean, variance = mixture_moments(
            ahead, params[at + states : at + 2 * states], params[at + 2 * states : at + 3 * states]
        )
        wanted = kelly_target(mean, variance, params[18], cap, params[19])
    if wanted * side <= 0.0 or (side < 0 and params[20] == 0.0):
        wanted = 0.0
    target = banded_target(state[4], wanted, params[21])
    state[3], state[4] = side, target
    if target > 0.0:
        return 1, target, 0.0, 0.0, 0.0
    return (2 if target < 0.0 else 3), target, 0.0, 0.0, 0.0
