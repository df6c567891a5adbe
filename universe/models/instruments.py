"""What can be traded, under which filters, now and before."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from trading.domain.values import Instrument as DomainInstrument
from trading.domain.values import Market

DELISTED = "DELISTED"


class Instrument(models.Model):
    """One symbol of one venue. Never deleted: one that vanishes from the venue becomes `DELISTED`."""

    venue = models.ForeignKey("universe.Venue", on_delete=models.PROTECT, related_name="instruments")
    symbol = models.CharField(max_length=32)
    market = models.CharField(max_length=8)
    base_asset = models.CharField(max_length=20)
    quote_asset = models.CharField(max_length=20)
    status = models.CharField(
        max_length=20, help_text="the venue's word (TRADING, HALT, BREAK, ...) or DELISTED"
    )
    filters = models.JSONField(
        encoder=DjangoJSONEncoder, help_text="the symbol's entry of exchangeInfo, as sent"
    )
    version = models.PositiveIntegerField(default=1)
    listed_at = models.DateTimeField(null=True, blank=True, help_text="where the venue says it")
    first_seen_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["symbol", "venue_id"]
        constraints = [models.UniqueConstraint(fields=["venue", "symbol"], name="instrument_venue_symbol")]
        indexes = [models.Index(fields=["market", "symbol"], name="instrument_market_symbol")]

    def __str__(self) -> str:
        return f"{self.symbol} ({self.market})"

    @property
    def is_tradable(self) -> bool:
        return self.status == "TRADING"

    def to_domain(self) -> DomainInstrument:
        """The kernel's Instrument of these filters; the same object for the same version.

        Raises
        ------
        ValueError : the stored entry lacks a filter the kernel needs.
        """
        return _to_domain(self.pk, self.version, self.status, _Entry(self.filters), self.market)


class _Entry:
    """Carries the JSON past lru_cache's hashing; (id, version, status) identify the content."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Entry) and self.content == other.content


@lru_cache(maxsize=4096)
def _to_domain(pk: int | None, version: int, status: str, entry: _Entry, market: str) -> DomainInstrument:
    # The row's status, not the entry's: a delisted instrument keeps its last entry, which still says TRADING.
    return DomainInstrument.from_exchange_info({**entry.content, "status": status}, Market(market))


class InstrumentVersion(models.Model):
    """Append-only history: what the venue said, from when."""

    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField()
    filters = models.JSONField(encoder=DjangoJSONEncoder)
    status = models.CharField(max_length=20)
    valid_from = models.DateTimeField()

    class Meta:
        ordering = ["instrument_id", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["instrument", "version"], name="instrument_version_number")
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} v{self.version}"
