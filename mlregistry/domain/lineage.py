"""What every training run records about its data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlregistry.domain.recipes import DataSource
from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.drift import bin_counts, psi_bins
from trading.domain.regime.features import BarColumns


def bars_digest(bars: BarColumns) -> str:
    """Return the SHA-256 of the numbers themselves, whatever file they came from."""
    digest = hashlib.sha256()
    for column in (
        bars.close_ns,
        bars.high,
        bars.low,
        bars.close,
        bars.volume,
        bars.taker_base,
        bars.funding,
    ):
        little = np.ascontiguousarray(column).astype(column.dtype.newbyteorder("<"))
        digest.update(str(len(little)).encode() + b":" + little.tobytes())
    return digest.hexdigest()


def data_lineage(bars: BarColumns, source: DataSource, lengths: tuple[int, ...]) -> dict[str, Any]:
    """Return the members that say which bars, from when to when, with how many holes."""
    return {
        "symbol": source.symbol,
        "market": source.market,
        "interval": source.interval,
        "file_sha256": source.sha256,
        "bars_sha256": bars_digest(bars),
        "bars": len(bars),
        "rows": sum(lengths),
        "stretches": len(lengths),
        "train_start_ns": int(bars.close_ns[0]),
        "train_end_ns": int(bars.close_ns[-1]),
    }


def histograms(x: FloatArray, names: tuple[str, ...]) -> Mapping[str, tuple[FloatArray, FloatArray]]:
    """Return the decile edges and counts of each feature's training rows, for the stability index."""
    found = {}
    for column, name in enumerate(names):
        edges = psi_bins(x[:, column])
        found[name] = (edges, bin_counts(x[:, column], edges))
    return found
