"""Publishing an event: a row in the transaction of the change it tells of, and a wake-up for the relay."""

from __future__ import annotations

from typing import Any

from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.models import OutboxEvent

TOPICS = (
    "fills",
    "orders",
    "equity",
    "breakers",
    "trading_state",
    "decisions",
    "prices",
    "models",
    "approvals",
    "incidents",
)
WAKE_CHANNEL = "outbox"


def publish(topic: str, data: dict[str, Any]) -> OutboxEvent:
    """Insert the event; NOTIFY reaches the relay when (and only if) the transaction commits."""
    if topic not in TOPICS:
        raise ValueError(f"unknown topic {topic!r}")
    event = OutboxEvent.objects.create(topic=topic, at=now(), data=data)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [WAKE_CHANNEL])
    return event
