"""Kline files: reading other people's formats, and our own Parquet store."""

from universe.adapters.klines.formats import read_rows
from universe.adapters.klines.rows import KlineFileRefused, KlineRows, Problem
from universe.adapters.klines.store import KlineStore, StoredFile
from universe.adapters.klines.tables import (
    SCHEMA,
    TableReport,
    check_rows,
    gaps_of,
    merge_tables,
    table_of_records,
)

__all__ = [
    "SCHEMA",
    "KlineFileRefused",
    "KlineRows",
    "KlineStore",
    "Problem",
    "StoredFile",
    "TableReport",
    "check_rows",
    "gaps_of",
    "merge_tables",
    "read_rows",
    "table_of_records",
]
