"""Drawing less than there is without hiding anything: extremes are kept, sums are summed."""

from __future__ import annotations

import numpy as np

from trading.domain.report.run import Candles
from trading.domain.statistics.figures import FloatArray, IntArray

MOST_POINTS = 4_000
MOST_CANDLES = 6_000


def thin_rows(values: FloatArray, most: int = MOST_POINTS) -> IntArray:
    """Return at most about `most` row numbers: first, lowest, highest and last of equal buckets."""
    n = len(values)
    if n <= most:
        return np.arange(n, dtype=np.int64)
    size = -(-n // (most // 4))
    kept = []
    for start in range(0, n, size):
        bucket = values[start : start + size]
        kept += [start, start + int(np.argmin(bucket)), start + int(np.argmax(bucket))]
        kept.append(start + len(bucket) - 1)
    return np.unique(np.array(kept, dtype=np.int64))


def group_size(n: int, most: int = MOST_CANDLES) -> int:
    """Return how many bars one drawn candle has to stand for."""
    return max(1, -(-n // most))


def merge_candles(candles: Candles, size: int) -> Candles:
    """Return candles of `size` bars each: first open, highest, lowest, last close, summed volume."""
    if size == 1:
        return candles
    starts = np.arange(0, len(candles.close), size)
    ends = np.minimum(starts + size, len(candles.close)) - 1
    return Candles(
        candles.symbol,
        candles.close_ns[ends],
        candles.open[starts],
        np.maximum.reduceat(candles.high, starts),
        np.minimum.reduceat(candles.low, starts),
        candles.close[ends],
        np.add.reduceat(candles.volume, starts),
    )
