"""Publishing an event: a row in the transaction of the change it tells of, and a wake-up for the relay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from nautilus_site.common.clock import now

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
    "research",
    "reconcile",
    "listings",
)
WAKE_CHANNEL = "outbox"


# The row and the wake-up in one round trip; NOTIFY reaches the relay when, and only if, the transaction commits.
_PUBLISH = """
WITH event AS (
    INSERT INTO common_outboxevent (topic, at, data) VALUES (%(topic)s, %(at)s, %(data)s::jsonb) RETURNING id
)
SELECT pg_notify(%(channel)s::text, '') FROM event
"""


def publish(topic: str, data: dict[str, Any]) -> None:
    """Write an event down with the change it tells of.

    Raises
    ------
    ValueError : a topic nobody follows.
    """
    if topic not in TOPICS:
        raise ValueError(f"unknown topic {topic!r}")
    parameters: dict[str, Any] = {
        "topic": topic,
        "at": now(),
        "data": json.dumps(data, cls=DjangoJSONEncoder, allow_nan=False),
        "channel": WAKE_CHANNEL,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PUBLISH, parameters)


_PUBLISH_MANY = """
WITH event AS (
    INSERT INTO common_outboxevent (topic, at, data)
    SELECT %(topic)s, %(at)s, data FROM unnest(%(data)s::jsonb[]) WITH ORDINALITY AS told (data, place) ORDER BY place
    RETURNING id
)
SELECT pg_notify(%(channel)s::text, '') FROM (SELECT count(*) FROM event) AS told
"""


def publish_many(topic: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write several events down at once, in the order given.

    Raises
    ------
    ValueError : a topic nobody follows.
    """
    if topic not in TOPICS:
        raise ValueError(f"unknown topic {topic!r}")
    if not rows:
        return
    parameters: dict[str, Any] = {
        "topic": topic,
        "at": now(),
        "data": [json.dumps(data, cls=DjangoJSONEncoder, allow_nan=False) for data in rows],
        "channel": WAKE_CHANNEL,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PUBLISH_MANY, parameters)
