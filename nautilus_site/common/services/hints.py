"""Celery messages are hints: sent after commit, never required, never allowed to fail the caller."""

from __future__ import annotations

from typing import Any

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)


def enqueue_on_commit(task: str, *, queue: str, **kwargs: Any) -> None:
    """Send `task` with plain keyword arguments once the current transaction has committed."""

    def send() -> None:
        send_hint(task, queue=queue, **kwargs)

    transaction.on_commit(send, robust=True)


def send_hint(task: str, *, queue: str, **kwargs: Any) -> bool:
    """Send now. A broker that is down costs latency only: the periodic sweep finds the work in Postgres."""
    try:
        current_app.send_task(task, kwargs=kwargs, queue=queue, retry=False)
    except (OSError, RuntimeError, KombuError, RedisError) as error:
        log.warning("hint_not_sent", task=task, error=type(error).__name__)
        return False
    return True
