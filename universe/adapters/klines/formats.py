"""Readers: Binance public-archive CSV and zip, freqtrade json and feather, Parquet, CSV with a header.

The content decides, not the name: gzip, zip, Parquet and feather say who they are in their first bytes.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
import zlib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import feather
from pyarrow import parquet as pq

from trading.domain.values import decimal_text
from universe.adapters.klines.rows import REQUIRED, KlineFileRefused, KlineRows, Problem, canonical_column

# Binance public archive (data.binance.vision): 12 columns, the last to be ignored.
_ARCHIVE: Final = (
    "open_time", "open", "high", "low", "close", "volume", None,
    "quote_volume", "trades", "taker_base", "taker_quote", None,
)  # fmt: skip
_FREQTRADE: Final = ("open_time", "open", "high", "low", "close", "volume")
_SHOWN: Final = 10
_DECIMALS: Final = 10


def read_rows(path: Path) -> KlineRows:
    """Read a kline file of any known format.

    Raises
    ------
    KlineFileRefused : damaged, empty or of no known format, or with short rows.
    OSError : the file cannot be read.
    """
    return _read(path.name, path.read_bytes())


def _read(name: str, content: bytes) -> KlineRows:
    try:
        if content[:2] == b"\x1f\x8b":
            return _read(name, gzip.decompress(content))
        if content[:4] == b"PK\x03\x04":
            return _read(name, _only_member(name, content))
        if content[:4] == b"PAR1":
            return _table_rows(name, pq.read_table(io.BytesIO(content)))
        if content[:6] == b"ARROW1":
            return _table_rows(name, feather.read_table(io.BytesIO(content)))
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, pa.ArrowException) as error:
        raise _refusal(name, 1, f"damaged: {error}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refusal(name, 1, "neither text nor a known binary format") from error
    if text.lstrip()[:1] in ("[", "{"):
        return _freqtrade_json(name, text)
    return _csv_rows(name, text)


def _only_member(name: str, content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
        if len(members) != 1:
            raise _refusal(name, 1, f"expected one file in the zip, found {len(members)}")
        return archive.read(members[0])


def _csv_rows(name: str, text: str) -> KlineRows:
    rows: list[list[str]] = []
    lines: list[int] = []
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise _refusal(name, reader.line_num, str(error)) from error
    while rows and not any(cell.strip() for cell in rows[-1]):
        rows.pop()
        lines.pop()
    if not rows:
        raise _refusal(name, 1, "no rows")
    names: list[str | None]
    if _is_number(rows[0][0] if rows[0] else ""):
        if len(rows[0]) != len(_ARCHIVE):
            raise _refusal(
                name,
                lines[0],
                f"expected a header or the {len(_ARCHIVE)} columns of Binance's archive, had {len(rows[0])}",
            )
        names = list(_ARCHIVE)
    else:
        names = [canonical_column(cell) for cell in rows[0]]
        _check_names(name, names, lines[0])
        rows, lines = rows[1:], lines[1:]
        if not rows:
            raise _refusal(name, 1, "a header and no rows")
    width = len(names)
    wrong = [(line, len(row)) for row, line in zip(rows, lines, strict=True) if len(row) != width]
    if wrong:
        raise KlineFileRefused(
            name,
            [Problem(line, f"expected {width} columns, had {had}") for line, had in wrong[:_SHOWN]],
            more=max(0, len(wrong) - _SHOWN),
        )
    by_position = list(zip(*rows, strict=True))
    columns = {our: list(by_position[at]) for at, our in enumerate(names) if our is not None}
    return KlineRows(name, columns, lines)


def _freqtrade_json(name: str, text: str) -> KlineRows:
    try:
        # Numbers keep their text: a float between the file and the Decimal would only add noise.
        content = json.loads(text, parse_float=_json_float, parse_int=str, parse_constant=str)
    except ValueError as error:
        raise _refusal(name, getattr(error, "lineno", 1), f"not JSON: {error}") from error
    if not isinstance(content, list) or not content:
        raise _refusal(name, 1, "expected a list of [time, open, high, low, close, volume]")
    width = len(_FREQTRADE)
    for at, row in enumerate(content, start=1):
        if not isinstance(row, list) or len(row) != width or not all(isinstance(cell, str) for cell in row):
            raise _refusal(name, at, f"expected {width} numbers")
    by_position = list(zip(*content, strict=True))
    columns = {our: list(by_position[at]) for at, our in enumerate(_FREQTRADE)}
    return KlineRows(name, columns, range(1, len(content) + 1))


def _table_rows(name: str, table: pa.Table) -> KlineRows:
    names = [canonical_column(column) for column in table.column_names]
    _check_names(name, names, 1)
    if table.num_rows == 0:
        raise _refusal(name, 1, "no rows")
    columns: dict[str, list[str]] = {}
    for at, our in enumerate(names):
        if our is not None:
            columns[our] = _texts(table.column(at), is_time=our == "open_time")
    return KlineRows(name, columns, range(1, table.num_rows + 1))


def _texts(column: pa.ChunkedArray, *, is_time: bool) -> list[str]:
    if is_time and pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.timestamp("us", column.type.tz)).cast(pa.int64())
    elif is_time and pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    return [_text(value) for value in column.to_pylist()]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return str(value)


def _float_text(value: float) -> str:
    # The shortest text that gives the float back is what its writer meant, unless arithmetic has left
    # noise in the last bits (1.2065000000000001); 15 digits are what a float64 keeps of any decimal.
    text = repr(value)
    return text if len(text.partition(".")[2]) <= _DECIMALS else f"{value:.15g}"


def _json_float(text: str) -> str:
    return text if len(text.partition(".")[2]) <= _DECIMALS else _float_text(float(text))


def _check_names(name: str, names: list[str | None], line: int) -> None:
    missing = [needed for needed in REQUIRED if needed not in names]
    if missing:
        raise _refusal(name, line, f"missing columns: {', '.join(missing)}")
    twice = sorted({n for n in names if n is not None and names.count(n) > 1})
    if twice:
        raise _refusal(name, line, f"columns that mean the same: {', '.join(twice)}")


def _is_number(text: str) -> bool:
    return text.strip().lstrip("-").replace(".", "", 1).isdigit()


def _refusal(name: str, line: int, message: str) -> KlineFileRefused:
    return KlineFileRefused(name, [Problem(line, message)])
