"""Reading numbered events back from Postgres: what a stream missed, and how far it could be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from weakref import WeakKeyDictionary

from django.db.models import Max, Min

from nautilus_site.common.live.database import Gathered
from nautilus_site.common.live.groups import Event
from nautilus_site.common.models import OutboxEvent

PAGE = 500
HEAD_AGE_S = 1.0
OUTSIDE_THE_PROMISE = "prices"


def event_of(row: OutboxEvent) -> Event:
    """A numbered row as the relay pushes it and clients see it."""
    return {"id": row.event_id, "topic": row.topic, "at": row.at.isoformat(), "data": row.data}


def newest_id() -> int:
    """The highest event id given so far, 0 before the first. Ids are given in whole batches, so all below
    exist.
    """
    return OutboxEvent.objects.aggregate(newest=Max("event_id"))["newest"] or 0


def oldest_id() -> int:
    """The lowest event id still kept, 0 when there is none."""
    return OutboxEvent.objects.aggregate(oldest=Min("event_id"))["oldest"] or 0


def events_between(after: int, up_to: int, topics: Collection[str]) -> list[Event]:
    """At most one page of events with `after < id <= up_to`, in order."""
    rows = OutboxEvent.objects.filter(
        event_id__gt=after, event_id__lte=up_to, topic__in=set(topics) - {OUTSIDE_THE_PROMISE}
    ).order_by("event_id")[:PAGE]
    return [event_of(row) for row in rows]


class Head:
    """The newest id, asked of Postgres at most once a second however many streams want to know."""

    def __init__(self) -> None:
        self._reads: Gathered[None, int] = Gathered(lambda asked: [newest_id()] * len(asked))
        self._value = 0
        self._read_at = 0.0

    async def newest(self, *, max_age_s: float = HEAD_AGE_S) -> int:
        """An answer of 0 seconds' age was read after it was asked for."""
        if time.monotonic() - self._read_at >= max_age_s:
            self._value = await self._reads.ask(None)
            self._read_at = time.monotonic()
        return self._value


_heads: WeakKeyDictionary[asyncio.AbstractEventLoop, Head] = WeakKeyDictionary()


def head() -> Head:
    """The running loop's Head."""
    return _heads.setdefault(asyncio.get_running_loop(), Head())
