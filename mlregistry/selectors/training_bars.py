"""Stored bars as the columns training reads."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from mlregistry.domain.recipes import DataSource
from nautilus_site.common.errors import ApplicationError, NotFound
from trading.domain.clock import NS_PER_MS, datetime_to_ns, interval_ns
from trading.domain.regime.arrays import FloatArray, IntArray
from trading.domain.regime.features import BarColumns
from trading.domain.values import Market
from universe.selectors import funding_in_force, kline_file_get

if TYPE_CHECKING:
    import pyarrow as pa


def training_bars(
    symbol: str,
    interval: str,
    market: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    funding: bool = False,
) -> tuple[BarColumns, DataSource]:
    """Return the stored bars whose open time lies in [start, end], and where they came from.

    Prices leave the ledger's decimals here, for models only. A close is stamped as the venue stamps it, one
    millisecond before the next open.

    Parameters
    ----------
    funding : with the funding rate each close knew, as it is stored.

    Raises
    ------
    ApplicationError : code NO_FUNDING, the market pays none, or none of this symbol is stored; NO_BARS, none are stored
        or none in that span; KLINE_FILE_CHANGED as `klines_read`.
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
    close_ns = open_ns[keep] + interval_ns(interval) - NS_PER_MS
    bars = BarColumns(
        close_ns,
        interval_ns(interval),
        _floats(table, "high")[keep],
        _floats(table, "low")[keep],
        _floats(table, "close")[keep],
        _floats(table, "volume")[keep],
        np.empty(0) if taker.null_count else _floats(table, "taker_base")[keep],
        _funding(symbol, market, close_ns) if funding else np.empty(0),
    )
    return bars, DataSource(symbol, market, interval, row.sha256)


def _funding(symbol: str, market: str, close_ns: IntArray) -> FloatArray:
    if market != Market.usdm.value:
        raise ApplicationError("NO_FUNDING", f"{symbol} on {market} pays no funding: only perpetuals do")
    rates = funding_in_force(symbol, close_ns)
    if not len(rates):
        raise ApplicationError(
            "NO_FUNDING",
            f"no funding of {symbol} is stored; bring it in with `manage.py funding import` or `funding fetch`",
        )
    return rates


def _floats(table: pa.Table, name: str) -> FloatArray:
    return np.asarray(table.column(name).cast("float64").to_numpy(), dtype=np.float64)
