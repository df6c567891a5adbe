"""The funding rate of a perpetual as a bar's close knows it: one function for training, backtest and live."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from trading.domain.clock import NS_PER_S

LONGEST_NS: Final = (8 * 3_600 + 1) * NS_PER_S
"""A contract settles every 8 hours at least; the venue stamps a settlement some milliseconds late."""


def rates_in_force(
    close_ns: npt.NDArray[np.int64], times_ns: npt.NDArray[np.int64], rates: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return (N,) the last rate settled at or before each close, a fraction; NaN where none is known.

    A rate is known at its funding time and not before, whatever the contract's interval; after 8 hours without a
    newer one it is not in force any more: one that should have come is missing.

    Parameters
    ----------
    close_ns : (N,) market time of each bar's close.
    times_ns : (K,) funding times, ascending.  rates : (K,).
    """
    if not len(times_ns):
        return np.full(len(close_ns), np.nan)
    at = np.searchsorted(times_ns, close_ns, side="right") - 1
    known = (at >= 0) & (close_ns - times_ns[np.maximum(at, 0)] <= LONGEST_NS)
    return np.where(known, rates[np.maximum(at, 0)], np.nan)
