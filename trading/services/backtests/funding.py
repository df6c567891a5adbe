"""Funding rates from a file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np

from nautilus_site.common.errors import ApplicationError
from trading.domain.backtest import FundingSeries
from trading.domain.backtest.arithmetic import PARTS
from trading.domain.clock import datetime_to_ns, ms_to_ns
from trading.domain.values import decimal_of

_HEADER = ("time", "rate")


def funding_read(path: Path, tick_size: Decimal) -> FundingSeries:
    """Read a CSV with the header `time,rate` and, optionally, `mark_price`.

    Times are ISO 8601 (UTC where no zone is named) or milliseconds since the epoch; rates are fractions,
    0.0001 for one basis point. Without a mark price the bar's open stands for it.

    Parameters
    ----------
    tick_size : of the instrument; mark prices are rounded to it.

    Raises
    ------
    ApplicationError : code BAD_FUNDING_FILE, with the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames is None or not set(_HEADER) <= set(reader.fieldnames):
                raise ValueError(f"expected a header with {','.join(_HEADER)}, was {reader.fieldnames}")
            rows = [_row(line, tick_size) for line in reader]
        times, rates, marks = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
        return FundingSeries(times, rates, marks)
    except (OSError, ValueError) as error:
        raise ApplicationError("BAD_FUNDING_FILE", f"{path.name}: {error}") from None


def _row(line: Mapping[str, str], tick_size: Decimal) -> tuple[int, int, int]:
    rate = Fraction(decimal_of(line["rate"])) * PARTS
    if rate.denominator != 1:
        raise ValueError(f"rate {line['rate']} is finer than 1e-8")
    mark = 0
    if line.get("mark_price"):
        mark = round(Fraction(decimal_of(line["mark_price"])) / Fraction(tick_size))
    return _time_ns(line["time"]), rate.numerator, mark


def _time_ns(text: str) -> int:
    if text.isascii() and text.isdigit():
        return ms_to_ns(int(text))
    at = datetime.fromisoformat(text)
    return datetime_to_ns(at if at.tzinfo else at.replace(tzinfo=UTC))
