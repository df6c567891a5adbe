"""The feature kernel: one closed bar in, one row of features out; the same for training, backtest and live.

Every window ends at the bar and is summed anew from its ring in time order, so a value depends on the last
`window` bars alone: not on when the stream began, nor on anything after the bar.
"""

from __future__ import annotations

import math

from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.compiled import kernel

LOG_RETURN, VOLATILITY, VOLUME, RANGE, IMBALANCE, FUNDING = 0, 1, 2, 3, 4, 5
READY, WARMING, BAD_PRICE, BAD_VOLUME, NO_VOLUME, FLAT_VOLUME, BAD_FLOW, BAD_FUNDING = 0, 1, 2, 3, 4, 5, 6, 7

SPEC_HEADER = 4
"""Packed specification: volatility window, volume window, epsilon, how many features; then their codes."""
STATE_HEADER = 2
"""Packed state: bars seen, previous close; then the ring of squared returns and that of log volumes."""

_FLAT = 1e-12


@kernel
def feature_step(
    spec: FloatArray,
    state: FloatArray,
    high: float,
    low: float,
    close: float,
    volume: float,
    taker_base: float,
    funding: float,
    out: FloatArray,
) -> int:
    """Take one closed bar; write its (D,) features into `out` once every window is full.

    Parameters
    ----------
    spec, state : packed by `pack_spec` and `initial_feature_state`; the state changes in place.
    high, low, close : quote currency.  volume, taker_base : base.  funding : the rate in force, a fraction.

    Returns
    -------
    READY (0) when `out` was written, WARMING (1) while windows fill; anything above says what is wrong with
    the bar, and then nothing was changed. FLAT_VOLUME is the exception: a window of equal volumes has no
    z-score, but the bar itself is good and was taken.
    """
    count = int(spec[3])
    volatility_window, volume_window = int(spec[0]), int(spec[1])
    uses_volume, uses_flow, uses_funding = False, False, False
    needed = 1
    for i in range(count):
        code = int(spec[SPEC_HEADER + i])
        if code == VOLATILITY and volatility_window + 1 > needed:
            needed = volatility_window + 1
        elif code == VOLUME:
            uses_volume = True
            if volume_window > needed:
                needed = volume_window
        elif code == LOG_RETURN and needed < 2:
            needed = 2
        elif code == IMBALANCE:
            uses_flow = True
        elif code == FUNDING:
            uses_funding = True
    # Written so that NaN fails too.
    if not (0.0 < low <= close <= high < math.inf):
        return BAD_PRICE
    if not 0.0 <= volume < math.inf:
        return BAD_VOLUME
    if (uses_volume or uses_flow) and volume == 0.0:
        return NO_VOLUME
    if uses_flow and not 0.0 <= taker_base <= volume:
        return BAD_FLOW
    if uses_funding and not -1.0 < funding < 1.0:
        return BAD_FUNDING

    seen = int(state[0])
    change = 0.0
    if seen > 0:
        change = math.log(close / state[1])
        # The first return belongs to the second bar, so the ring of returns runs one behind the count.
        state[STATE_HEADER + (seen - 1) % volatility_window] = change * change
    ring = STATE_HEADER + volatility_window
    if uses_volume:
        state[ring + seen % volume_window] = math.log(volume)
    state[0] = seen + 1.0
    state[1] = close
    if seen + 1 < needed:
        return WARMING

    for i in range(count):
        code = int(spec[SPEC_HEADER + i])
        if code == LOG_RETURN:
            out[i] = change
        elif code == VOLATILITY:
            total = 0.0
            for n in range(volatility_window):
                total += state[STATE_HEADER + (seen + n) % volatility_window]
            out[i] = math.log(math.sqrt(total / volatility_window) + spec[2])
        elif code == VOLUME:
            mean = 0.0
            for n in range(volume_window):
                mean += state[ring + (seen + 1 + n) % volume_window]
            mean /= volume_window
            square = 0.0
            for n in range(volume_window):
                distance = state[ring + (seen + 1 + n) % volume_window] - mean
                square += distance * distance
            deviation = math.sqrt(square / volume_window)
            if deviation <= _FLAT * (1.0 + abs(mean)):
                return FLAT_VOLUME
            out[i] = (state[ring + seen % volume_window] - mean) / deviation
        elif code == RANGE:
            out[i] = math.log(high / low)
        elif code == IMBALANCE:
            out[i] = 2.0 * taker_base / volume - 1.0
        else:
            out[i] = funding
    return READY


@kernel
def feature_rows(
    spec: FloatArray,
    state: FloatArray,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    taker_base: FloatArray,
    funding: FloatArray,
    restarts: FloatArray,
    out: FloatArray,
    status: FloatArray,
) -> None:
    """Run `feature_step` over T bars; fill (T, D) features and (T,) codes.

    The windows start anew where `restarts` is not zero, and after a bar in which nothing was traded (the venue
    makes such bars while it is closed) or whose funding rate is not known: they are holes with a price.
    """
    for t in range(close.shape[0]):
        if restarts[t] != 0.0:
            state[0] = 0.0
        status[t] = feature_step(
            spec, state, high[t], low[t], close[t], volume[t], taker_base[t], funding[t], out[t]
        )
        if status[t] == NO_VOLUME or status[t] == BAD_FUNDING:
            state[0] = 0.0
