"""Storing what perpetuals settled: from files, from the venue, and from the stream as it happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import structlog
from django.db import connection, transaction

from nautilus_site.common.clock import now as wall_now
from nautilus_site.common.errors import ApplicationError, Conflict
from trading.domain.clock import datetime_to_ns, ms_to_ns, ns_to_datetime, ns_to_ms
from trading.domain.errors import VenueError
from trading.domain.ports import FundingRecord
from trading.domain.values import Market
from universe.adapters.funding_files import FundingFileRefused, read_funding_file
from universe.models import FundingRate, Quote
from universe.selectors.funding import LONGEST, funding_latest

log = structlog.get_logger(__name__)
MINUTE_MS = 60_000
FOLLOWED_FOR = timedelta(minutes=10)
"""A contract whose mark price the feed stored within this time is one that is followed."""

_UPSERT = """
INSERT INTO universe_fundingrate AS f (symbol, funding_at, rate, mark_price, source, received_at)
SELECT %s, r.*, %s, %s FROM unnest(%s::timestamptz[], %s::numeric[], %s::numeric[]) AS r
ON CONFLICT (symbol, funding_at) DO UPDATE SET
    rate = excluded.rate, mark_price = COALESCE(excluded.mark_price, f.mark_price),
    source = excluded.source, received_at = excluded.received_at
WHERE (f.rate, f.mark_price) IS DISTINCT FROM (excluded.rate, COALESCE(excluded.mark_price, f.mark_price))
    OR f.source = 'stream'
RETURNING (xmax = 0)
"""


class FundingData(Protocol):
    """A venue that tells what it settled."""

    def funding_rates(self, symbol: str, *, start_ms: int | None = None) -> list[FundingRecord]:
        """List settlements in ascending time."""
        ...


@dataclass(frozen=True, slots=True)
class FundingStored:
    """What was not there before, and what the source now tells otherwise or confirms for the first time."""

    new: int = 0
    revised: int = 0


@dataclass(frozen=True, slots=True)
class FundingHole:
    """Two neighbouring settlements further apart than any contract's interval."""

    before: datetime
    after: datetime


def funding_store(symbol: str, records: Sequence[FundingRecord], source: str) -> FundingStored:
    """Store settlements; what the venue or a file says replaces what the stream foresaw. Idempotent.

    Times are rounded to the minute: the archive and the venue stamp a settlement some milliseconds late.

    Raises
    ------
    ApplicationError : IMPOSSIBLE_FUNDING, a rate that is not between -1 and 1 or has more than eight decimals; none
        is stored.
    """
    FundingRate.Source(source)
    rows = {round(record.time_ms / MINUTE_MS) * MINUTE_MS: record for record in records}
    for record in records:
        if not (record.rate.is_finite() and -1 < record.rate < 1 and record.rate == round(record.rate, 8)):
            raise ApplicationError(
                "IMPOSSIBLE_FUNDING",
                f"{symbol} at {record.time_ms} ms: expected a rate between -1 and 1, was {record.rate}",
            )
    if not rows:
        return FundingStored()
    columns: list[list[Any]] = [
        [ns_to_datetime(ms_to_ns(at)) for at in rows],
        [record.rate for record in rows.values()],
        [record.mark_price for record in rows.values()],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, [symbol, source, wall_now(), *columns])
        written = [inserted for (inserted,) in cursor.fetchall()]
    return FundingStored(sum(written), len(written) - sum(written))


@transaction.atomic
def funding_import(path: Path, *, symbol: str) -> tuple[int, FundingStored]:
    """Store the rates of one file, all of it or nothing; returns its rows and what was stored.

    Raises
    ------
    ApplicationError : FUNDING_FILE_REFUSED, with the line.
    Conflict : FUNDING_CONTRADICTED, the venue or another file told another rate of one of its times.
    OSError : it cannot be read.
    """
    try:
        records = read_funding_file(path)
    except FundingFileRefused as refusal:
        raise ApplicationError("FUNDING_FILE_REFUSED", str(refusal)) from None
    times = {ns_to_datetime(ms_to_ns(round(r.time_ms / MINUTE_MS) * MINUTE_MS)): r.rate for r in records}
    known = FundingRate.objects.filter(
        symbol=symbol, funding_at__gte=min(times), funding_at__lte=max(times)
    ).exclude(source=FundingRate.Source.STREAM)
    for at, rate in known.order_by("funding_at").values_list("funding_at", "rate"):
        if at in times and times[at] != rate:
            raise Conflict(
                "FUNDING_CONTRADICTED",
                f"{path.name}: {times[at]} at {at:%Y-%m-%d %H:%M}, where {rate} is stored; nothing was stored",
            )
    return len(records), funding_store(symbol, records, FundingRate.Source.IMPORT)


def funding_fetch(symbol: str, venue: FundingData, *, start: datetime | None = None) -> FundingStored:
    """Store what the venue settled since `start`, by default since the newest rate it confirmed.

    Without either the newest 1000 are asked for, about a year.

    Raises
    ------
    VenueUnavailable, VenueRejected : as the port; what was stored before stays.
    ApplicationError : IMPOSSIBLE_FUNDING.
    """
    confirmed = FundingRate.objects.filter(symbol=symbol).exclude(source=FundingRate.Source.STREAM)
    since = start or confirmed.order_by("-funding_at").values_list("funding_at", flat=True).first()
    start_ms = None if since is None else ns_to_ms(datetime_to_ns(since))
    return funding_store(symbol, venue.funding_rates(symbol, start_ms=start_ms), FundingRate.Source.REST)


def funding_follow(venue: FundingData) -> int:
    """Keep the history of every contract the feed follows up to date. Returns the rates that were new or corrected.

    A contract the venue cannot tell of now is left for the next time.
    """
    followed = Quote.objects.filter(
        instrument__market=Market.usdm.value,
        next_funding_at__isnull=False,
        mark_received_at__gte=wall_now() - FOLLOWED_FOR,
    ).values_list("instrument__symbol", flat=True)
    count = 0
    for symbol in sorted(set(followed)):
        try:
            stored = funding_fetch(symbol, venue)
        except (VenueError, ApplicationError) as error:
            log.warning("funding_not_fetched", symbol=symbol, error=str(error)[:300])
            continue
        count += stored.new + stored.revised
    return count


def funding_holes(symbol: str) -> list[FundingHole]:
    """Return where settlements are missing: neighbours more than eight hours and a minute apart, oldest first.

    Raises
    ------
    ApplicationError : NO_FUNDING, nothing is stored.
    """
    if funding_latest(symbol) is None:
        raise ApplicationError("NO_FUNDING", f"no funding of {symbol} is stored")
    rows = FundingRate.objects.filter(symbol=symbol).order_by("funding_at")
    times = list(rows.values_list("funding_at", flat=True))
    return [
        FundingHole(before, after)
        for before, after in pairwise(times)
        if after - before > LONGEST + timedelta(minutes=1)
    ]
