"""New listings: noted when a symbol appears, told of once it trades and its age is known.

Whoever trades them counts from the listing's own time, so that time is the venue's or that of its first minute with a
trade, never the moment we happened to look.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import structlog
from django.db import transaction

from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.outbox import publish
from trading.domain.clock import ms_to_ns, ns_to_datetime
from trading.domain.errors import VenueRejected, VenueUnavailable
from trading.domain.ports import KlineRecord
from universe.metrics import LISTINGS
from universe.models import Instrument, Listing, Venue

log = structlog.get_logger(__name__)
FIRST_BARS = "1m"


class KlineSource(Protocol):
    """The part of the MarketData port that tells when a symbol began."""

    def klines(
        self, symbol: str, interval: str, *, start_ms: int | None, end_ms: int | None, limit: int | None
    ) -> list[KlineRecord]:
        """List bars in ascending time from a start."""
        ...


def listings_note(rows: Sequence[Instrument], *, missed_at: datetime, at: datetime) -> None:
    """Write down symbols that were not there at the last look; in the transaction that stores them."""
    Listing.objects.bulk_create(
        [Listing(instrument=row, seen_at=at, missed_at=missed_at, listed_at=row.listed_at) for row in rows],
        ignore_conflicts=True,
    )


def listings_open(venue: Venue, market_data: KlineSource, *, at: datetime) -> list[Listing]:
    """Tell of listings that trade by now; those without a trade yet, or not open, wait for the next look."""
    waiting = Listing.objects.select_related("instrument").filter(
        instrument__venue=venue, instrument__status="TRADING", opened_at=None
    )
    opened = []
    for listing in waiting.order_by("pk"):
        try:
            listed_at = listing.listed_at or _first_trade(listing.instrument, market_data)
        except (VenueUnavailable, VenueRejected) as error:
            log.warning("listing_not_dated", symbol=listing.instrument.symbol, error=str(error)[:200])
            continue
        if listed_at is not None and _open(listing, listed_at, at):
            opened.append(listing)
    return opened


def _first_trade(instrument: Instrument, market_data: KlineSource) -> datetime | None:
    bars = market_data.klines(instrument.symbol, FIRST_BARS, start_ms=0, end_ms=None, limit=1)
    return ns_to_datetime(ms_to_ns(bars[0].open_time_ms)) if bars and bars[0].trades else None


@transaction.atomic
def _open(listing: Listing, listed_at: datetime, at: datetime) -> bool:
    row = Listing.objects.select_for_update(no_key=True).get(pk=listing.pk)
    if row.opened_at is not None:
        return False
    row.listed_at, row.opened_at = listed_at, at
    row.save(update_fields=["listed_at", "opened_at"])
    instrument = listing.instrument
    if instrument.listed_at is None:
        Instrument.objects.filter(pk=instrument.pk).update(listed_at=listed_at)
    LISTINGS.labels(venue=instrument.venue.name).inc()
    publish(
        "listings",
        {
            "symbol": instrument.symbol,
            "market": instrument.market,
            "venue": instrument.venue.name,
            "listed_at": listed_at,
            "seen_at": row.seen_at,
        },
    )
    log.info("listing_opened", symbol=instrument.symbol, market=instrument.market)
    enqueue_on_commit("trading.tasks.listing_opened", queue="trading", listing_id=row.pk)
    return True
