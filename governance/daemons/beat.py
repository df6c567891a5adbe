"""Beat's scheduler: the table of periodic tasks, and a claim in the database before each message.

Any number of beats may run. Each message is sent by the one that moved the claim, so two of them send no more than one.
"""

from __future__ import annotations

import os
import socket
from typing import Any

import structlog
from celery.schedules import schedule as interval
from django.db import DatabaseError, InterfaceError, close_old_connections
from django_celery_beat.schedulers import DatabaseScheduler

from governance.services.schedules import schedule_claim

log = structlog.get_logger(__name__)
MINUTE_S = 60.0


class ClaimingScheduler(DatabaseScheduler):
    """DatabaseScheduler whose every message is claimed first."""

    holder = f"{socket.gethostname()}:{os.getpid()}"

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Send the message if it is ours to send; else say nothing. Without the database nothing is sent."""
        # Crontabs have no period; they name minutes.
        period = entry.schedule.run_every.total_seconds() if type(entry.schedule) is interval else MINUTE_S
        try:
            mine = schedule_claim(name=entry.name, every_s=max(period, 0.001), holder=self.holder)
        except (DatabaseError, InterfaceError) as error:
            log.warning("schedule_not_claimed", job=entry.name, error=type(error).__name__)
            close_old_connections()
            return None
        return super().apply_async(entry, producer=producer, advance=advance, **kwargs) if mine else None
