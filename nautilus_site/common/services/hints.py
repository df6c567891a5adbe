"""Celery messages are hints: sent after commit, never required, never allowed to fail the caller."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import structlog
from celery import current_app, group
from django.db import transaction
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from nautilus_site.common.requests import CAUSE, request_now

log = structlog.get_logger(__name__)

QUIET_S: Final = 5.0
"""After a failure nothing is sent for so long: one that hangs must not hold up every order, and every kill, in turn."""
_failed_at = float("-inf")
_withheld: ContextVar[bool] = ContextVar("hints_withheld", default=False)


@contextmanager
def hints_withheld() -> Iterator[None]:
    """Send none in here: for what must not wait for a broker even once, because stopping depends on it."""
    token = _withheld.set(True)
    try:
        yield
    finally:
        _withheld.reset(token)


def enqueue_on_commit(task: str, *, queue: str, **kwargs: Any) -> None:
    """Send `task` with plain keyword arguments once the current transaction has committed."""

    def send() -> None:
        send_hint(task, queue=queue, **kwargs)

    transaction.on_commit(send, robust=True)


def send_hint(
    task: str,
    *,
    queue: str,
    worthless_after_s: float | None = None,
    headers: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> bool:
    """Send now. A broker that is down costs latency only: the periodic sweep finds the work in Postgres.

    Parameters
    ----------
    worthless_after_s : a worker that takes it up later drops it; for news that the next message tells again.
    headers : beside our own; a worker makes each a member of the task's request.
    """
    global _failed_at
    if _withheld.get() or time.monotonic() - _failed_at < QUIET_S:
        return False
    try:
        current_app.send_task(
            task,
            kwargs=kwargs,
            queue=queue,
            retry=False,
            expires=worthless_after_s,
            headers={CAUSE: request_now(), **(headers or {})},
        )
    except (OSError, RuntimeError, KombuError, RedisError) as error:
        _failed_at = time.monotonic()
        log.warning("hint_not_sent", task=task, error=type(error).__name__)
        return False
    return True


def send_group(task: str, queue: str, every_kwargs: Iterable[Mapping[str, Any]]) -> bool:
    """Send one message for each piece of a larger work as a group, now; any worker takes any of them.

    As with `send_hint`, nothing depends on the messages: the pieces are rows, and a sweep finds them.
    """
    pieces = [current_app.signature(task, kwargs=dict(kwargs), queue=queue) for kwargs in every_kwargs]
    try:
        group(pieces).apply_async(retry=False, headers={CAUSE: request_now()})
    except (OSError, RuntimeError, KombuError, RedisError) as error:
        log.warning("hint_not_sent", task=task, pieces=len(pieces), error=type(error).__name__)
        return False
    return True
