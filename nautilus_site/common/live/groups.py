"""Pushing to everybody who watches. A push that fails costs a moment: watchers catch up from Postgres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from nautilus_site.common.metrics import LIVE_PUSHES

log = structlog.get_logger(__name__)

EVENTS_GROUP = "live.events"
PRICES_GROUP = "live.prices"

Event = dict[str, Any]
"""`{"id", "topic", "at", "data"}` as clients see it."""


async def push_async(events: Sequence[Event]) -> bool:
    """Send numbered events, contiguous and in order, to every open stream. Never raises; False when lost."""
    if not events:
        return True
    message = {
        "type": "live.events",
        "first": events[0]["id"],
        "last": events[-1]["id"],
        "events": list(events),
    }
    return await _send(EVENTS_GROUP, message)


def push(events: Sequence[Event]) -> bool:
    """`push_async` for synchronous callers."""
    return bool(async_to_sync(push_async)(events))


async def push_prices_async(prices: Mapping[str, Any]) -> bool:
    """Send `{symbol: data}`. Outside the promise of delivery: each stream keeps only the newest per symbol."""
    return await _send(PRICES_GROUP, {"type": "live.prices", "prices": dict(prices)}) if prices else True


def push_prices(prices: Mapping[str, Any]) -> bool:
    """`push_prices_async` for synchronous callers."""
    return bool(async_to_sync(push_prices_async)(prices))


async def _send(group: str, message: dict[str, Any]) -> bool:
    layer = get_channel_layer()
    if layer is None:
        return False
    try:
        await layer.group_send(group, message)
    except Exception as error:  # noqa: BLE001  whatever the broker's client raises, the caller must go on
        LIVE_PUSHES.labels(result="failed").inc()
        log.warning("live_push_failed", group=group, error=type(error).__name__)
        return False
    LIVE_PUSHES.labels(result="sent").inc()
    return True
