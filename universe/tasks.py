"""Periodic work of the `universe` queue. Safe to run twice."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.conf import settings

from trading.domain.errors import VenueUnavailable
from universe.services import bars_prune, instruments_sync, spot_market_data, venue_ensure

log = structlog.get_logger(__name__)


@shared_task(name="universe.tasks.instruments_sync_task", queue="universe", ignore_result=True)
def instruments_sync_task(market: str = "spot") -> None:
    """Bring the instruments of the configured venue up to date; an unreachable venue waits."""
    venue = venue_ensure(market=market, environment=settings.BINANCE_ENV)
    try:
        result = instruments_sync(venue, spot_market_data())
    except VenueUnavailable as error:
        log.warning("instruments_sync_postponed", venue=venue.name, error=str(error))
        return
    if result.touched:
        log.info(
            "instruments_synced",
            venue=venue.name,
            added=len(result.added),
            changed=result.changed,
            delisted=result.delisted,
        )


@shared_task(name="universe.tasks.bars_prune_task", queue="universe", ignore_result=True)
def bars_prune_task() -> None:
    """Delete bars past their retention."""
    deleted = bars_prune()
    if deleted:
        log.info("bars_pruned", **deleted)
