"""Funding rates from a file, or as they are stored."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np

from nautilus_site.common.errors import ApplicationError
from trading.domain.backtest import BarSeries, FundingSeries
from trading.domain.backtest.arithmetic import PARTS
from trading.domain.clock import datetime_to_ns, ms_to_ns, ns_to_datetime
from trading.domain.values import Market, decimal_of
from universe.selectors import funding_history

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


def funding_stored(series: BarSeries) -> FundingSeries:
    """Return what the contract of a series settled while its bars last, and the rate in force when they begin.

    Empty on spot, and where no history is stored.
    """
    instrument = series.instrument
    if instrument.market is not Market.usdm:
        return FundingSeries()
    rows = funding_history(
        series.symbol,
        since=ns_to_datetime(int(series.open_ns[0])),
        until=ns_to_datetime(int(series.close_ns[-1])),
    )
    tick = Fraction(instrument.tick_size)
    return FundingSeries(
        np.array([datetime_to_ns(at) for at, _, _ in rows], dtype=np.int64),
        np.array([int(rate * PARTS) for _, rate, _ in rows], dtype=np.int64),
        np.array(
            [0 if mark is None else round(Fraction(mark) / tick) for _, _, mark in rows], dtype=np.int64
        ),
    )


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
