"""Bars as the feed stores them, as columns that features are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlregistry.models import ModelFamily
from trading.domain.clock import interval_ns
from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.features import BarColumns
from trading.domain.values import Market
from universe.models import Instrument
from universe.selectors import bars_recent, funding_in_force

if TYPE_CHECKING:
    from universe.domain.bars import BarRecord


def bar_columns(rows: Sequence[BarRecord], interval: str, symbol: str = "") -> BarColumns:
    """Return stored bars as training reads them; a hole stays a hole.

    Parameters
    ----------
    symbol : of a perpetual, whose funding rates are read with its bars; empty without.
    """

    def column(name: str) -> FloatArray:
        return np.array([float(getattr(row, name)) for row in rows])

    close_ns = np.array([row.close_time_ns for row in rows], dtype=np.int64)
    return BarColumns(
        close_ns,
        interval_ns(interval),
        column("high"),
        column("low"),
        column("close"),
        column("volume"),
        column("taker_base"),
        funding_in_force(symbol, close_ns) if symbol else np.empty(0),
    )


def contract_of(family: ModelFamily) -> str:
    """Return the symbol whose funding a family's bars come with, "" on spot."""
    return family.symbol if family.market == Market.usdm.value else ""


def live_columns(family: ModelFamily, count: int) -> BarColumns | None:
    """Return the newest closed bars of a family, None where its symbol is not followed live."""
    instrument = Instrument.objects.filter(symbol=family.symbol, market=family.market).first()
    rows = bars_recent(instrument, family.interval, count) if instrument else []
    return bar_columns(rows, family.interval, contract_of(family)) if rows else None
