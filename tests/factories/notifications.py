"""Deliveries as events make them, and time that passes for those that failed."""

from __future__ import annotations

from typing import Any

from governance.models import NotificationChannel, NotificationDelivery
from nautilus_site.common.clock import now


def waits_over() -> None:
    """Every pause after a failure has run out, of channels and of single messages."""
    NotificationChannel.objects.update(retry_at=None)
    NotificationDelivery.objects.update(retry_at=None)


def queue(channel: NotificationChannel, title: str, **fields: Any) -> NotificationDelivery:
    """A warning that is due, or what `fields` say."""
    moment = now()
    values = {
        "kind": "breaker.spread",
        "severity": "warning",
        "subject": title,
        "event_at": moment,
        "created_at": moment,
        "due_at": moment,
        **fields,
    }
    return NotificationDelivery.objects.create(channel=channel, title=title, **values)
