"""Files of funding rates: Binance's public archive (CSV, or in a zip), and CSV with names of our own."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trading.domain.clock import datetime_to_ns, ns_to_ms
from trading.domain.ports import FundingRecord
from trading.domain.values import decimal_of

_TIMES: Final = ("calc_time", "fundingtime", "time")
_RATES: Final = ("last_funding_rate", "fundingrate", "rate")
_MARKS: Final = ("mark_price", "markprice")


class FundingFileRefused(ValueError):
    """The whole file is refused; the text says at which line, and why."""


def read_funding_file(path: Path) -> list[FundingRecord]:
    """Read a file with a header: a time (`calc_time`, `fundingTime` or `time`), a rate (`last_funding_rate`,
    `fundingRate` or `rate`) and, where it has one, `mark_price`.

    Times are milliseconds since the epoch or ISO 8601 (UTC where no zone is named); rates are fractions, at most eight
    decimals, between -1 and 1.

    Returns
    -------
    Records in ascending time, each time once.

    Raises
    ------
    FundingFileRefused : damaged, no header, no rows, a cell that is no number, or times that do not ascend.
    OSError : the file cannot be read.
    """
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    time, rate = _column(names, _TIMES), _column(names, _RATES)
    mark = next((names[name] for name in _MARKS if name in names), None)
    if time is None or rate is None:
        raise FundingFileRefused(
            f"{path.name}: expected a header with {' or '.join(_TIMES)}, and {' or '.join(_RATES)}, "
            f"was {','.join(reader.fieldnames or ())}"
        )
    records: list[FundingRecord] = []
    for line in reader:
        try:
            record = _record(line, time, rate, mark)
            if records and record.time_ms <= records[-1].time_ms:
                raise ValueError("its time is not after that of the row before")
        except (ValueError, KeyError, AttributeError) as error:
            raise FundingFileRefused(f"{path.name}: line {reader.line_num}: {error}") from None
        records.append(record)
    if not records:
        raise FundingFileRefused(f"{path.name}: there are no rows")
    return records


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        elif content[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = [member for member in archive.infolist() if not member.is_dir()]
                if len(members) != 1:
                    raise FundingFileRefused(
                        f"{path.name}: expected one file in the zip, found {len(members)}"
                    )
                content = archive.read(members[0])
        return content.decode("utf-8-sig")
    except (OSError, EOFError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise FundingFileRefused(f"{path.name}: damaged: {error}") from error


def _column(names: Mapping[str, str], known: tuple[str, ...]) -> str | None:
    return next((names[name] for name in known if name in names), None)


def _record(line: Mapping[str, str], time: str, rate: str, mark: str | None) -> FundingRecord:
    value = decimal_of(line[rate].strip())
    if not -1 < value < 1:
        raise ValueError(f"expected a rate between -1 and 1, was {line[rate]}")
    if value != round(value, 8):
        raise ValueError(f"rate {line[rate]} is finer than 1e-8")
    marked = decimal_of(line[mark].strip()) if mark is not None and line[mark].strip() else None
    if marked is not None and marked <= 0:
        raise ValueError(f"expected a mark price above zero, was {marked}")
    return FundingRecord(_time_ms(line[time].strip()), value, marked)


def _time_ms(text: str) -> int:
    if text.isascii() and text.isdigit():
        return int(text)
    at = datetime.fromisoformat(text)
    return ns_to_ms(datetime_to_ns(at if at.tzinfo else at.replace(tzinfo=UTC)))
