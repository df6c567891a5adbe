"""Bars as the feed stores them, as columns that features are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlregistry.models import ModelFamily
from trading.domain.clock import interval_ns
from trading.domain.regime.arrays import FloatArray
from trading.domain.regime.features import BarColumns
from universe.models import Instrument
from universe.selectors import bars_recent

if TYPE_CHECKING:
    from universe.domain.bars import BarRecord


def bar_columns(rows: Sequence[BarRecord], interval: str) -> BarColumns:
    """Return stored bars as training reads them; a hole stays a hole."""

    def column(name: str) -> FloatArray:
        return np.array([float(getattr(row, name)) for row in rows])

    return BarColumns(
        np.array([row.close_time_ns for row in rows], dtype=np.int64),
        interval_ns(interval),
        column("high"),
        column("low"),
        column("close"),
        column("volume"),
        column("taker_base"),
    )


def live_columns(family: ModelFamily, count: int) -> BarColumns | None:
    """Return the newest closed bars of a family, None where its symbol is not followed live."""
    instrument = Instrument.objects.filter(symbol=family.symbol, market=family.market).first()
    rows = bars_recent(instrument, family.interval, count) if instrument else []
    return bar_columns(rows, family.interval) if rows else None
