"""Beat's scheduler: the table of periodic tasks, and a claim in the database before each message.

Any number of beats may run. Each message is sent by the one that moved the claim, so two of them send no more than one.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery.schedules import schedule as interval
from django.db import DatabaseError, InterfaceError, close_old_connections
from django_celery_beat.schedulers import DatabaseScheduler

from governance.domain.schedules import CLOCK_AHEAD_S
from governance.services.schedules import schedule_claim
from nautilus_site.common.clock import now

log = structlog.get_logger(__name__)
MINUTE_S = 60.0


def _period_s(entry: Any) -> float:
    """Crontabs have no period; they name minutes."""
    period = entry.schedule.run_every.total_seconds() if type(entry.schedule) is interval else MINUTE_S
    return float(max(period, 0.001))


class ClaimingScheduler(DatabaseScheduler):
    """DatabaseScheduler whose every message is claimed first."""

    holder = f"{socket.gethostname()}:{os.getpid()}"
    _heap: list[Any] | None = None
    _last_timestamp: datetime | None = None
    _last_full_sync: datetime | None = None

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """Send what is due. What was sent in what is now the future is due: the clock was put back meanwhile.

        Celery would wait until the clock has caught up, an hour for an hour, and trading with it.
        """
        moment = now()
        # What the heap holds, which costs no look at the database; none is made before the first tick.
        entries = self.schedule.values() if self._heap is None else [event[2] for event in self._heap]
        for entry in entries:
            last = entry.last_run_at
            if last is not None and last > moment + timedelta(seconds=CLOCK_AHEAD_S):
                log.warning("schedule_clock_put_back", job=entry.name, last_sent_at=last.isoformat())
                entry.last_run_at = moment - timedelta(seconds=_period_s(entry))
                self._heap = None  # its order is by the clock of before
        if self._last_full_sync is not None:  # the library's own clock: the local one, without its zone
            self._last_full_sync = min(self._last_full_sync, datetime.now())  # noqa: DTZ005
        return super().tick(*args, **kwargs)

    def schedule_changed(self) -> bool:
        """Whether the table was changed since it was looked at last.

        Noted by the clock of whoever changed it: also an earlier time than the last one is another change. The library
        asks for a later one, so the first change after a clock was put back, a job switched off, would be none.
        """
        before = self._last_timestamp
        changed = bool(super().schedule_changed())
        return changed or (before is not None and self._last_timestamp != before)

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Send the message if it is ours to send; else say nothing. Without the database nothing is sent."""
        try:
            mine = schedule_claim(name=entry.name, every_s=_period_s(entry), holder=self.holder)
        except (DatabaseError, InterfaceError) as error:
            log.warning("schedule_not_claimed", job=entry.name, error=type(error).__name__)
            close_old_connections()
            return None
        return super().apply_async(entry, producer=producer, advance=advance, **kwargs) if mine else None
