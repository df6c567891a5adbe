"""The Parquet store on disk: one file per market, symbol and interval, replaced as a whole."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import parquet as pq

from trading.domain.clock import interval_ns
from trading.domain.values import Market
from universe.adapters.klines.rows import KlineFileRefused, Problem
from universe.adapters.klines.tables import SCHEMA

_SYMBOL: Final = re.compile(r"[A-Z0-9]{2,32}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as it lies on disk."""

    path: str
    sha256: str
    rows: int


class KlineStore:
    """Files under one root, e.g. `spot/BTCUSDT/1h.parquet`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def relative_path(self, symbol: str, interval: str, market: str) -> str:
        """Return the path of a series below the root.

        Raises
        ------
        ValueError : no such market or interval, or a symbol that is not letters and digits.
        """
        interval_ns(interval)
        if not _SYMBOL.fullmatch(symbol):
            raise ValueError(f"expected a symbol such as BTCUSDT, was {symbol!r}")
        return f"{Market(market).value}/{symbol}/{interval}.parquet"

    def read(self, path: str) -> pa.Table | None:
        """Return the table of a relative path, or None where there is no file.

        Raises
        ------
        KlineFileRefused : the file is damaged or has another schema.
        """
        target = self.root / path
        if not target.exists():
            return None
        try:
            table = pq.read_table(target)
        except (pa.ArrowException, OSError) as error:
            raise KlineFileRefused(path, [Problem(1, f"damaged: {error}")]) from error
        if not table.schema.equals(SCHEMA):
            raise KlineFileRefused(path, [Problem(1, "has another schema than this store writes")])
        return table

    def write(self, path: str, table: pa.Table) -> StoredFile:
        """Replace a file; after a crash at any point there is the old one or the new one, whole."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            pq.write_table(table, temporary, compression="zstd", write_statistics=True)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            digest = _sha256(temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return StoredFile(path, digest, table.num_rows)

    def sha256(self, path: str) -> str | None:
        """Return the hash of a file, or None where there is none."""
        target = self.root / path
        return _sha256(target) if target.exists() else None

    @contextlib.contextmanager
    def locked(self, path: str) -> Iterator[None]:
        """Keep other processes from replacing the file between our read and our write."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.with_name(f".{target.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
