"""Stored bars as arrays: decoded from Parquet once, then mapped from a file of plain columns.

Decimals are exact and slow: ten million bars take many seconds to decode and half a second to map. The file of
columns is made from a file whose hash was verified, and belongs to that hash and to size and time of that file;
when either changes the Parquet file is verified and decoded again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from nautilus_site.common.errors import ApplicationError
from trading.domain.backtest.series import FloatArray, IntArray
from trading.domain.clock import NS_PER_MS
from universe.models import KlineFile

if TYPE_CHECKING:
    import pyarrow as pa

SCALE: Final = 10
"""Decimal places of the store's columns."""
RAW_PER_UNIT: Final = 10**SCALE
WORTH_KEEPING: Final = 200_000
"""Rows from which on a file of columns is made."""

_PRICES: Final = ("open", "high", "low", "close")
_AMOUNTS: Final = ("volume", "quote_volume", "taker_base")


@dataclass(frozen=True, slots=True, eq=False)
class KlineColumns:
    """The bars of one file.

    Attributes
    ----------
    open_ns : (N,).  prices : open, high, low, close, each (N,), units of 1e-10.
    amounts : volume, quote volume, base bought by takers, each (N,).  trades : (N,).
    places : decimal places the prices need.
    """

    open_ns: IntArray
    prices: tuple[IntArray, IntArray, IntArray, IntArray]
    amounts: tuple[FloatArray, FloatArray, FloatArray]
    trades: IntArray
    places: int


def columns_read(row: KlineFile) -> KlineColumns:
    """Return the bars of a catalogued file.

    Raises
    ------
    ApplicationError : codes KLINE_FILE_CHANGED, PRICE_TOO_LARGE.
    """
    from universe.services.kline_files import kline_store, klines_read  # Arrow is large

    store = kline_store()
    folder = (store.root / row.path).with_suffix(".columns")
    kept = _stamped(store.root / row.path, row.sha256)
    if kept:
        found = next(iter(folder.glob(f"{kept}-*.npy")), None)
        if found is not None:
            return _mapped(found, row.rows)
    table = klines_read(row)
    columns = _decoded(table)
    if kept and table.num_rows >= WORTH_KEEPING:
        _keep(folder, f"{kept}-{columns.places}", columns)
    return columns


def _stamped(path: Path, digest: str) -> str:
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{digest}-{found.st_size}-{found.st_mtime_ns}"


def _mapped(path: Path, rows: int) -> KlineColumns:
    # Copy on write: machine code is compiled for writable arrays, and nothing is ever written.
    table = np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))
    if table.dtype != np.int64 or table.shape != (9, rows):
        raise ApplicationError("KLINE_FILE_CHANGED", f"{path.name} is not what was written; delete it")
    amounts = tuple(table[at].view(np.float64) for at in (5, 6, 7))
    return KlineColumns(
        table[0],
        (table[1], table[2], table[3], table[4]),
        (amounts[0], amounts[1], amounts[2]),
        table[8],
        int(path.stem.rpartition("-")[2]),
    )


def _keep(folder: Path, name: str, columns: KlineColumns) -> None:
    """Write the file of columns beside its Parquet file; older ones of the series are of no more use."""
    table = np.stack(
        [
            columns.open_ns,
            *columns.prices,
            *(amount.view(np.int64) for amount in columns.amounts),
            columns.trades,
        ]
    )
    folder.mkdir(exist_ok=True)
    temporary = folder / f".{os.getpid()}.tmp"
    with temporary.open("wb") as file:
        np.save(file, table)
    for old in folder.glob("*.npy"):
        old.unlink(missing_ok=True)
    temporary.replace(folder / f"{name}.npy")


def _decoded(table: pa.Table) -> KlineColumns:
    from pyarrow.compute import fill_null

    raw = [_raw(table, name) for name in _PRICES]
    open_ms = table.column("open_time").cast("int64").to_numpy()
    amounts = [_floats(table, name) for name in _AMOUNTS]
    return KlineColumns(
        np.asarray(open_ms, dtype=np.int64) * np.int64(NS_PER_MS),
        (raw[0], raw[1], raw[2], raw[3]),
        (amounts[0], amounts[1], amounts[2]),
        np.asarray(fill_null(table.column("trades"), 0).to_numpy(), dtype=np.int64),
        _places(raw),
    )


def _raw(table: pa.Table, name: str) -> IntArray:
    # A decimal128 is two 64-bit words, the low one first; a price fits in one.
    parts = [_words(chunk) for chunk in table.column(name).chunks]
    words = np.concatenate(parts) if parts else np.zeros((0, 2), np.int64)
    if (words[:, 1] != 0).any() or (words[:, 0] < 0).any():
        raise ApplicationError("PRICE_TOO_LARGE", f"{name}: a price is above {2**63 // RAW_PER_UNIT}")
    return np.ascontiguousarray(words[:, 0])


def _words(chunk: pa.Array) -> IntArray:
    words = np.frombuffer(chunk.buffers()[1], dtype="<i8").reshape(-1, 2)
    return words[chunk.offset : chunk.offset + len(chunk)]


def _floats(table: pa.Table, name: str) -> FloatArray:
    from pyarrow.compute import fill_null

    column = fill_null(table.column(name), Decimal(0))
    return np.asarray(column.cast("float64").to_numpy(), dtype=np.float64)


def _places(columns: list[IntArray]) -> int:
    """How many decimal places it takes to write every price."""
    drop = 0
    while drop < SCALE and not any((c % 10 ** (drop + 1) != 0).any() for c in columns):
        drop += 1
    return SCALE - drop
