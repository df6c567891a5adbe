"""Periodic work of the `universe` queue. Safe to run twice."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.conf import settings

from trading.domain.errors import VenueUnavailable
from trading.domain.values import Market
from universe.adapters.binance import Priority
from universe.services import (
    bars_prune,
    funding_follow,
    instruments_sync,
    market_data_of,
    usdm_market_data,
    venue_ensure,
)

log = structlog.get_logger(__name__)


@shared_task(name="universe.tasks.instruments_sync_task", queue="universe", ignore_result=True)
def instruments_sync_task(market: str | None = None) -> None:
    """Bring the instruments of a market, or of every one, up to date; an unreachable venue waits."""
    for name in (market,) if market else (Market.spot.value, Market.usdm.value):
        _sync(name)


def _sync(market: str) -> None:
    venue = venue_ensure(market=market, environment=settings.BINANCE_ENV)
    try:
        result = instruments_sync(venue, market_data_of(market))
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


@shared_task(name="universe.tasks.funding_follow_task", queue="universe", ignore_result=True)
def funding_follow_task() -> None:
    """Ask the venue what the contracts we follow settled."""
    stored = funding_follow(usdm_market_data(priority=Priority.BULK))
    if stored:
        log.info("funding_stored", rates=stored)
