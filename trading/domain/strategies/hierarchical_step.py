"""`hierarchical_hmm` in the subset that compiles: both clocks, the gate and the policy as functions of numbers.

Imported when it is compiled or run, because the kernels come with numpy.
"""

from __future__ import annotations

import math
from typing import Any

from trading.domain.regime import two_clock_packed, two_clock_steps
from trading.domain.regime.feature_steps import feature_step
from trading.domain.regime.posterior import confidence, policy_target, predict
from trading.domain.regime.two_clock_packed import two_clock_step
from trading.domain.regime.two_clock_steps import joint_marginals
from trading.domain.strategies.compiled import numeric
from trading.domain.strategies.exposure import banded_target, next_side
from trading.domain.strategies.macro_mixture import mixed_transition
from trading.domain.strategies.regime_step import share_of

for _module in (two_clock_steps, two_clock_packed):
    for _kernel in ("log_sum", "normalise", "joint_predict", "joint_fast", "joint_slow", "joint_marginals",
                    "two_clock_step", "scale_row", "gaussian_log_densities"):  # fmt: skip
        if hasattr(_module, _kernel):
            numeric(getattr(_module, _kernel))


@numeric
def grown(
    state: Any, end_ms: int, fast_ms: int, slow_ms: int, high: float, low: float, volume: float
) -> bool:
    """Let the slow bar grow by a fast one that ends at `end_ms`; tell whether it is whole now. As `slow_bar.grow`."""
    number = (end_ms - 1) // slow_ms
    if int(state[5]) == number + 1:
        state[6] += 1.0
        state[7], state[8], state[9] = max(state[7], high), min(state[8], low), state[9] + volume
    else:
        state[5], state[6], state[7], state[8], state[9] = number + 1, 1.0, high, low, volume
    return end_ms % slow_ms == 0 and int(state[6]) == slow_ms // fast_ms


@numeric
def cleared(values: Any) -> None:
    """Write zeros."""
    for i in range(values.shape[0]):
        values[i] = 0.0


def hierarchical_step(
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
    """Decide as `HierarchicalHmm.step`; `params` as `hierarchical_vector` gives them.

    `state`: close of the last fast and of the last slow bar in ms, slow bars seen, side, target, the slow bar that
    grows (number + 1, bars, high, low, volume); then both feature windows, the joint law, and work space.
    """
    macros, micros, fast_width, slow_width = int(params[0]), int(params[1]), int(params[2]), int(params[3])
    pairs = macros * micros
    at = 25
    fast_spec = params[at : at + int(params[4])]
    at += int(params[4])
    slow_spec = params[at : at + int(params[5])]
    at += int(params[5])
    model = params[at : at + int(params[6])]
    at += int(params[6])
    positions = params[at : at + macros]
    at += macros
    scales = params[at : at + micros]
    at += micros
    transitions = params[at : at + pairs * micros]
    at = 10
    fast = state[at : at + int(params[7])]
    at += int(params[7])
    slow = state[at : at + int(params[8])]
    at += int(params[8])
    slow_before = state[at : at + int(params[8])]
    at += int(params[8])
    joint = state[at : at + int(params[9])]
    at += int(params[9])
    law_before = state[at : at + pairs]
    at += pairs
    row = state[at : at + fast_width]
    at += fast_width
    slow_row = state[at : at + slow_width]
    at += slow_width
    macro = state[at : at + macros]
    at += macros
    micro = state[at : at + micros]
    at += micros
    mixed = state[at : at + micros * micros]
    at += micros * micros
    ahead = state[at : at + micros]
    at += micros
    scratch = state[at : at + micros]

    now, interval, slow_interval = float(now_ns // 1_000_000), params[10], params[11]
    if state[0] != 0.0:
        if now <= state[0]:
            return 0, 0.0, 0.0, 0.0, 0.0
        passed = now - state[0]
        if passed % interval != 0.0 or passed / interval - 1.0 > params[12]:
            cleared(fast)
            cleared(slow)
            cleared(joint)
            state[0], state[1], state[2], state[5] = 0.0, 0.0, 0.0, 0.0
        else:
            for _ in range(int(passed / interval) - 1):
                state[0] += interval
                due = state[1] != 0.0 and state[0] - state[1] == slow_interval
                two_clock_step(model, joint, row, False, slow_row, due, False)
                cleared(fast)
                if due:
                    cleared(slow)
                    state[1] = state[0]
    fast_ms, slow_ms = int(interval), int(slow_interval)
    end_ms = -(-(now_ns // 1_000_000) // fast_ms) * fast_ms
    whole = grown(state, end_ms, fast_ms, slow_ms, high, low, volume)
    due = state[1] != 0.0 and now - state[1] == slow_interval
    for i in range(slow.shape[0]):
        slow_before[i] = slow[i]
    for i in range(pairs):
        law_before[i] = joint[1 + i]
    phase = joint[0]

    problem, score, seen = 0, 0.0, False
    status = feature_step(fast_spec, fast, high, low, close, volume, 0.0, 0.0, row)
    if status > 1:
        problem = 5
    else:
        seen, slow_seen = status == 0, False
        if whole:
            status = feature_step(slow_spec, slow, state[7], state[8], close, state[9], 0.0, 0.0, slow_row)
            slow_seen = status == 0
            if status > 1:
                problem = 5
        if problem == 0:
            score = two_clock_step(model, joint, row, seen, slow_row, whole or due, slow_seen)
            if not -math.inf < score < math.inf:
                problem = 6
    state[0] = now
    if problem != 0:
        # The filter goes back to where it was, and lets the bar pass.
        for i in range(slow.shape[0]):
            slow[i] = slow_before[i]
        for i in range(pairs):
            joint[1 + i] = law_before[i]
        joint[0] = phase
        two_clock_step(model, joint, row, False, slow_row, due, False)
        cleared(fast)
        if due:
            cleared(slow)
            state[1] = now
    else:
        if whole or due:
            state[1] = now
            if not whole:
                cleared(slow)
        if whole:
            state[2] += 1.0
        if not seen or joint[0] == 0.0:
            problem = 4
    code = problem
    if code == 0:
        joint_marginals(macros, micros, joint[1 : 1 + pairs], macro, micro)
        if state[2] < params[18]:
            code = 9
        elif now <= params[13] + params[14] * interval:
            code = 7
        elif now - params[13] > params[15]:
            code = 10
        elif not whole and not score >= params[16]:
            code = 6
        elif confidence(macro) < params[17]:
            code = 8
    if code != 0:
        state[3], state[4] = 0.0, 0.0
        return code, 0.0, 0.0, 0.0, 0.0
    up, down = share_of(macro, positions, 1.0), share_of(macro, positions, -1.0)
    side = next_side(int(state[3]), up, down, params[21], params[22])
    mixed_transition(macro, transitions, mixed)
    predict(micro, mixed, int(params[19]), ahead, scratch)
    wanted = policy_target(macro, positions) * policy_target(ahead, scales)
    wanted = max(-params[20], min(params[20], wanted))
    if wanted * side <= 0.0 or (side < 0 and params[24] == 0.0):
        wanted = 0.0
    target = banded_target(state[4], wanted, params[23])
    state[3], state[4] = side, target
    if target > 0.0:
        return 1, target, 0.0, 0.0, 0.0
    return (2 if target < 0.0 else 3), target, 0.0, 0.0, 0.0
