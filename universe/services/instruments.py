"""Keeping instruments in step with the venue's exchangeInfo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import structlog
from django.db import transaction

from nautilus_site.common.clock import now as wall_now
from nautilus_site.common.errors import Conflict
from nautilus_site.common.services.audit import audit_record
from trading.domain.clock import ms_to_ns, ns_to_datetime
from trading.domain.values import Instrument as DomainInstrument
from trading.domain.values import Market
from universe.adapters.binance.budget import Window, announced
from universe.models import DELISTED, Instrument, InstrumentVersion, Venue, VenueBackoff
from universe.services.listings import KlineSource, listings_note, listings_open

log = structlog.get_logger(__name__)
ACTOR = "universe"


class ExchangeInfoSource(KlineSource, Protocol):
    """The part of the MarketData port a sync needs."""

    def exchange_info(self) -> Mapping[str, Any]:
        """Return the venue's `exchangeInfo` as sent."""
        ...


@dataclass(frozen=True, slots=True)
class SyncResult:
    """Symbols by what happened to them; `unreadable` are (symbol, why), left as they were."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    delisted: tuple[str, ...] = ()
    unchanged: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()

    @property
    def touched(self) -> bool:
        """Whether anything was written."""
        return bool(self.added or self.changed or self.delisted)


def venue_ensure(*, market: str, environment: str) -> Venue:
    """Return the venue row of a market, creating it on first use.

    Raises
    ------
    Conflict : code ENVIRONMENT_CHANGED; this database holds another environment's market.
    """
    name = f"binance-{market}"
    venue, _ = Venue.objects.get_or_create(
        name=name, defaults={"market": Market(market).value, "environment": environment}
    )
    if venue.environment != environment:
        # Paper fills and real ones in one book would make every figure wrong.
        raise Conflict(
            "ENVIRONMENT_CHANGED",
            f"this database holds {venue.environment} data of {name}; use another NAUTILUS_HOME or database "
            f"for {environment}",
        )
    return venue


def instruments_sync(
    venue: Venue, market_data: ExchangeInfoSource, *, now: datetime | None = None
) -> SyncResult:
    """Store what exchangeInfo says; returns what changed. Safe to repeat.

    A symbol that was not there at the last look becomes a listing. A changed entry makes a version and an audit
    entry. A symbol that vanished becomes DELISTED. An answer without symbols changes nothing: a venue that lists
    nothing is a venue that is broken.

    Raises
    ------
    VenueUnavailable, VenueRejected : as the port; nothing is written.
    """
    info = market_data.exchange_info()
    entries = {
        str(e["symbol"]): e for e in info.get("symbols", ()) if isinstance(e, Mapping) and e.get("symbol")
    }
    if not entries:
        log.warning("exchange_info_empty", venue=venue.name)
        return SyncResult()
    at = now or wall_now()
    result = _store(venue, entries, announced(info), at)
    listings_open(venue, market_data, at=at)
    return result


@transaction.atomic
def _store(
    venue: Venue, entries: Mapping[str, Mapping[str, Any]], windows: Sequence[Window], at: datetime
) -> SyncResult:
    locked = Venue.objects.select_for_update(no_key=True).get(pk=venue.pk)
    known = {
        row.symbol: row for row in Instrument.objects.select_for_update(no_key=True).filter(venue=locked)
    }
    created: list[Instrument] = []
    changed: list[str] = []
    unreadable: list[tuple[str, str]] = []
    unchanged = 0
    for symbol, entry in entries.items():
        try:
            parsed = DomainInstrument.from_exchange_info(entry, Market(locked.market))
        except (ValueError, KeyError, TypeError) as error:
            unreadable.append((symbol, str(error)))
            continue
        row = known.get(symbol)
        if row is None:
            created.append(_create(locked, parsed, dict(entry), at))
        elif row.filters != dict(entry) or row.status != parsed.status:
            _revise(row, dict(entry), parsed.status, at)
            changed.append(symbol)
        else:
            unchanged += 1
    delisted = [s for s, row in known.items() if s not in entries and row.status != DELISTED]
    for symbol in delisted:
        _revise(known[symbol], known[symbol].filters, DELISTED, at)
    if locked.last_synced_at is not None:  # at a venue's first look everything is new and nothing was listed
        listings_note(created, missed_at=locked.last_synced_at, at=at)
    added = [row.symbol for row in created]
    locked.last_synced_at = at
    locked.save(update_fields=["last_synced_at"])
    weight_limit = next((w.limit for w in windows if w.kind == "weight" and w.seconds == 60), None)
    if weight_limit:
        limits = [[w.kind, w.seconds, w.limit] for w in windows]
        VenueBackoff.objects.update_or_create(
            venue=locked.name, defaults={"weight_limit": weight_limit, "windows": limits}
        )
    if unreadable:
        log.warning("instruments_unreadable", venue=locked.name, count=len(unreadable), first=unreadable[0])
    result = SyncResult(tuple(added), tuple(changed), tuple(delisted), unchanged, tuple(unreadable))
    if added:
        # One entry for a first sync of thousands; changes get one each, below.
        audit_record(
            action="instruments.listed",
            target=f"venue:{locked.name}",
            actor=ACTOR,
            after={"count": len(added), "symbols": sorted(added)[:50]},
        )
    return result


def _create(venue: Venue, parsed: DomainInstrument, entry: dict[str, Any], at: datetime) -> Instrument:
    onboard = entry.get("onboardDate")
    row = Instrument.objects.create(
        venue=venue,
        symbol=parsed.symbol,
        market=venue.market,
        base_asset=parsed.base_asset,
        quote_asset=parsed.quote_asset,
        status=parsed.status,
        filters=entry,
        listed_at=ns_to_datetime(ms_to_ns(int(onboard))) if onboard else None,
        first_seen_at=at,
        updated_at=at,
    )
    InstrumentVersion.objects.create(
        instrument=row, version=1, filters=entry, status=parsed.status, valid_from=at
    )
    return row


def _revise(row: Instrument, entry: dict[str, Any], status: str, at: datetime) -> None:
    before = {"version": row.version, "status": row.status, **_differing(row.filters, entry)}
    after = {"version": row.version + 1, "status": status, **_differing(entry, row.filters)}
    row.version += 1
    row.filters, row.status, row.updated_at = entry, status, at
    row.save(update_fields=["version", "filters", "status", "updated_at"])
    InstrumentVersion.objects.create(
        instrument=row, version=row.version, filters=entry, status=status, valid_from=at
    )
    audit_record(
        action="instrument.delisted" if status == DELISTED else "instrument.changed",
        target=f"instrument:{row.market}:{row.symbol}",
        actor=ACTOR,
        before=before,
        after=after,
    )


def _differing(entry: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The members of `entry` that `other` has not or has differently; filters one by one."""
    filters = {f.get("filterType"): f for f in other.get("filters", ())}
    result = {k: v for k, v in entry.items() if k not in ("filters", "status") and other.get(k) != v}
    moved = [f for f in entry.get("filters", ()) if filters.get(f.get("filterType")) != f]
    return {**result, "filters": moved} if moved else result
