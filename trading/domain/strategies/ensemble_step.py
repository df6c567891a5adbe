"""`ma_hmm_ensemble` in the subset that compiles.

Imported when it is compiled or run, because the kernels come with numpy.
"""

from __future__ import annotations

import math
from typing import Any

from trading.domain.strategies.compiled import numeric
from trading.domain.strategies.ensemble_members import CLIP, average_gap, calibrated, rise_log_odds
from trading.domain.strategies.exposure import banded_target, next_side
from trading.domain.strategies.moving_average import EQUAL_WITHIN, exact_sums
from trading.domain.strategies.regime_step import regime_ahead, regime_columns, regime_seen


@numeric
def pooled(first: float, weight: float, second: float, other_weight: float, bias: float) -> float:
    """Return `log_odds_pool` of two members."""
    total = bias
    p = min(CLIP[1], max(CLIP[0], first))
    total += weight * math.log(p / (1.0 - p))
    p = min(CLIP[1], max(CLIP[0], second))
    total += other_weight * math.log(p / (1.0 - p))
    if total >= 0.0:
        return 1.0 / (1.0 + math.exp(-total))
    grown = math.exp(total)
    return grown / (1.0 + grown)


@numeric
def gap_of(closes: Any, fast: int, slow: int) -> float:
    """Return the gap of the averages of (slow,) closes, oldest first, in standard deviations of them, 0.0 if equal."""
    fast_sum, slow_sum = exact_sums(closes, slow - 1, fast, slow)
    fast_mean, slow_mean = fast_sum / fast, slow_sum / slow
    if abs(fast_mean - slow_mean) <= EQUAL_WITHIN * abs(slow_mean):
        return 0.0
    total = rest = 0.0
    for k in range(slow):
        away = (closes[k] - slow_mean) * (closes[k] - slow_mean)
        after = total + away
        back = after - total
        rest += (total - (after - back)) + (away - back)
        total = after + rest
        rest -= total - after
    return average_gap(fast_mean, slow_mean, math.sqrt(total / slow))


def ensemble_step(
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
    """Decide as `MaHmmEnsemble.step`; `params` as `ensemble_vector` gives them, its own at their end.

    At the end of the state: how many closes there are, and the last `slow` of them, oldest first.
    """
    own = params[len(params) - 16 :]
    fast, slow, members = int(own[0]), int(own[1]), own[2]
    code = regime_seen(params, state, now_ns, high, low, close, volume)
    if code < 0:
        return 0, 0.0, 0.0, 0.0, 0.0
    closes = state[len(state) - slow :]
    place = len(state) - slow - 1
    count = int(state[place])
    for k in range(slow - 1):
        closes[k] = closes[k + 1]
    closes[slow - 1] = close
    state[place] = min(count + 1, slow)
    held, side = state[4], int(state[3])
    state[3], state[4] = 0.0, 0.0
    if count + 1 < slow:
        return 0, 0.0, 0.0, 0.0, 0.0
    # The averages may decide alone while the filter warms up (4) or is uncertain (8).
    if code != 0 and ((code != 4 and code != 8) or members == 2.0 or own[15] == 0.0):
        return code, 0.0, 0.0, 0.0, 0.0
    p_ma = calibrated(gap_of(closes, fast, slow), own[3], own[4])
    p_hmm = 0.5
    if code == 0:
        states, at = int(params[0]), regime_ahead(params, state, 1)
        ahead = state[at : at + states]
        at = regime_columns(params) + states
        score = rise_log_odds(ahead, params[at : at + states], params[at + states : at + 2 * states])
        p_hmm = calibrated(score, own[6], own[7])
    if members == 1.0 or code != 0:
        p = pooled(p_ma, 1.0, 0.5, 0.0, own[9])
    elif members == 2.0:
        p = pooled(p_hmm, 1.0, 0.5, 0.0, own[9])
    else:
        p = pooled(p_ma, own[5], p_hmm, own[8], own[9])
    side = next_side(side, p, 1.0 - p, own[10], own[11])
    if side < 0 and own[14] == 0.0:
        side = 0
    edge = 2.0 * p - 1.0
    wanted = side * min(1.0, abs(edge) / own[12]) if side * edge > 0.0 else 0.0
    target = banded_target(held, wanted, own[13])
    state[3], state[4] = side, target
    if target > 0.0:
        return 1, target, 0.0, 0.0, 0.0
    return (2 if target < 0.0 else 3), target, 0.0, 0.0, 0.0
