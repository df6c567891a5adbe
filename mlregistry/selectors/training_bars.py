"""Stored bars as the columns training reads."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from mlregistry.domain.recipes import DataSource
from nautilus_site.common.errors import ApplicationError, NotFound
from trading.domain.clock import NS_PER_MS, datetime_to_ns, interval_ns
from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.features import BarColumns
from universe.selectors import kline_file_get

if TYPE_CHECKING:
    import pyarrow as pa


def training_bars(
    symbol: str, interval: str, market: str, *, start: datetime | None = None, end: datetime | None = None
) -> tuple[BarColumns, DataSource]:
    """Return the stored bars whose open time lies in [start, end], and where they came from.

    Prices leave the ledger's decimals here, for models only. A close is stamped as the venue stamps it, one
    millisecond before the next open.

    Raises
    ------
    ApplicationError : code NO_BARS, none are stored or none in that span; KLINE_FILE_CHANGED as `klines_read`.
    """
    from universe.services.kline_files import klines_read  # Arrow is large

    row = kline_file_get(symbol, interval, market)
    if row is None:
        raise NotFound(
            "NO_BARS",
            f"no {market} bars of {symbol} {interval} are stored; bring them in with `manage.py klines import` "
            "or `klines download`",
        )
    table = klines_read(row)
    open_ns = np.asarray(table.column("open_time").cast("int64").to_numpy(), dtype=np.int64) * NS_PER_MS
    keep = np.ones(len(open_ns), dtype=np.bool_)
    if start is not None:
        keep &= open_ns >= datetime_to_ns(start)
    if end is not None:
        keep &= open_ns <= datetime_to_ns(end)
    if not keep.any():
        raise ApplicationError("NO_BARS", f"{row.path} has no bars in that span")
    taker = table.column("taker_base")
    bars = BarColumns(
        open_ns[keep] + interval_ns(interval) - NS_PER_MS,
        interval_ns(interval),
        _floats(table, "high")[keep],
        _floats(table, "low")[keep],
        _floats(table, "close")[keep],
        _floats(table, "volume")[keep],
        np.empty(0) if taker.null_count else _floats(table, "taker_base")[keep],
    )
    return bars, DataSource(symbol, market, interval, row.sha256)


def _floats(table: pa.Table, name: str) -> FloatArray:
    return np.asarray(table.column(name).cast("float64").to_numpy(), dtype=np.float64)
