"""The regime of a bar in the subset that compiles: features, forward filter and gate as functions of numbers.

Imported when it is compiled or run, because the kernels come with numpy.
"""

from __future__ import annotations

import math
from typing import Any

from trading.domain.regime import feature_steps, posterior, steps
from trading.domain.regime.feature_steps import feature_step
from trading.domain.regime.posterior import confidence, gate, predict
from trading.domain.regime.steps import filter_skip, filter_step
from trading.domain.strategies.compiled import numeric

for _module in (feature_steps, steps, posterior):
    for _kernel in list(vars(_module).values()):
        if getattr(_kernel, "__module__", None) == _module.__name__ and hasattr(_kernel, "__code__"):
            numeric(_kernel)


@numeric
def share_of(ahead: Any, favours: Any, side: float) -> float:
    """Return the probability of the states that favour a side."""
    total = 0.0
    for k in range(ahead.shape[0]):
        if favours[k] * side > 0.0:
            total += ahead[k]
    return total


@numeric
def regime_taken(
    spec: Any,
    model: Any,
    features: Any,
    chain: Any,
    row: Any,
    high: float,
    low: float,
    close: float,
    volume: float,
) -> tuple[int, float]:
    """Take a bar into features and filter; return the problem (0 none, else its place in `HMM_REASONS`) and the score.

    Whatever is wrong with a bar, the chain moves on and only the observation is missing.
    """
    status = feature_step(spec, features, high, low, close, volume, 0.0, 0.0, row)
    if status == 0:
        score = filter_step(model, chain, row)
        if -math.inf < score < math.inf:
            return 0, score
    filter_skip(model, chain)
    if status == 1:
        return 4, 0.0
    for i in range(features.shape[0]):
        features[i] = 0.0
    return (6 if status == 0 else 5), 0.0


@numeric
def regime_seen(
    params: Any, state: Any, now_ns: int, high: float, low: float, close: float, volume: float
) -> int:
    """Take a closed bar; return the code that closes the gate, 0 where it is open, -1 for a bar already taken.

    Where it is open the filtered probabilities are in the state and `regime_ahead` carries them on.

    `params` as `regime_numbers` of `hmm_vector.py` gives them. `state`: close of the last bar in ms (whole ones,
    which a float holds exactly), age, log score, two numbers of the strategy's own; then the features' windows, the
    filter's chain, and work space.
    """
    states, width = int(params[0]), int(params[1])
    spec_size, model_size, ring = int(params[2]), int(params[3]), int(params[4])
    at = 23
    spec = params[at : at + spec_size]
    model = params[at + spec_size : at + spec_size + model_size]
    at = 5
    features = state[at : at + ring]
    at += ring
    chain = state[at : at + 1 + 3 * states + width]
    at += 1 + 3 * states + width
    row = state[at : at + width]
    at += width
    filtered = state[at : at + states]

    now = float(now_ns // 1_000_000)
    interval = params[5]
    age, score = state[1], state[2]
    if state[0] == 0.0:
        score = -math.inf
    else:
        if now <= state[0]:
            return -1
        passed = now - state[0]
        if passed % interval != 0.0 or passed / interval - 1.0 > params[6]:
            for i in range(features.shape[0]):
                features[i] = 0.0
            for i in range(chain.shape[0]):
                chain[i] = 0.0
            age, score = 0.0, -math.inf
        else:
            for _ in range(int(passed / interval) - 1):
                filter_skip(model, chain)
                for i in range(features.shape[0]):
                    features[i] = 0.0
                age += 1.0
    problem, told = regime_taken(spec, model, features, chain, row, high, low, close, volume)
    if problem == 0:
        age, score = 0.0, told
    else:
        age += 1.0
    state[0], state[1], state[2] = now, age, score

    observed = chain[0] != 0.0
    code = 0
    if not observed:
        code = problem if problem != 0 else 4
    else:
        for k in range(states):
            filtered[k] = math.exp(chain[1 + k])
        if now <= params[7] + params[8] * interval:
            code = 7
        elif problem == 6:
            code = 6
        else:
            verdict = gate(
                confidence(filtered),
                params[9],
                score,
                params[10],
                age,
                params[11],
                (now - params[7]) / 86_400_000.0,
                params[12],
            )
            if verdict != 0:
                if problem != 0 and age > params[11]:
                    code = problem
                elif verdict == 1:
                    code = 8
                elif verdict == 2:
                    code = 6
                else:
                    code = 9 if verdict == 3 else 10
    return code


@numeric
def regime_ahead(params: Any, state: Any, bars: int) -> int:
    """Write P(s_t+bars | x_1..t), (K,), into the work space of the state; return its place."""
    states, width = int(params[0]), int(params[1])
    start = 23 + int(params[2]) + int(params[3])
    transition = params[start : start + states * states]
    at = 5 + int(params[4]) + 1 + 3 * states + 2 * width
    filtered = state[at : at + states]
    ahead = state[at + states : at + 2 * states]
    predict(filtered, transition, bars, ahead, state[at + 2 * states : at + 3 * states])
    return at + states


@numeric
def regime_columns(params: Any) -> int:
    """Return the place of three (K,) columns: what each regime favours, its mean return, and its variance."""
    states = int(params[0])
    return 23 + int(params[2]) + int(params[3]) + states * states
