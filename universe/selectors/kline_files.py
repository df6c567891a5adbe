"""Reading the catalogue of the Parquet store."""

from __future__ import annotations

from django.db.models import QuerySet

from universe.models import KlineFile


def kline_file_get(symbol: str, interval: str, market: str = "spot") -> KlineFile | None:
    """Return the catalogue row of a series, or None."""
    return KlineFile.objects.filter(symbol=symbol, interval=interval, market=market).first()


def kline_files_listed() -> QuerySet[KlineFile]:
    """Every catalogued file."""
    return KlineFile.objects.order_by("market", "symbol", "interval")
