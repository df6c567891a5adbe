"""Blocking database work beside an event loop: in one thread and in order, or apart where it may take long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError, close_old_connections

log = structlog.get_logger(__name__)

RETRY_S: Final = 0.5


async def in_database(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Run short database work in the one database thread of this process, in the order of the calls."""
    return await sync_to_async(_fresh(function, args, kwargs), thread_sensitive=True)()


async def apart(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Run work that also waits for the network in a thread of its own, so that nothing waits for it."""
    return await asyncio.to_thread(_fresh(function, args, kwargs))


async def kept(store: Callable[..., Awaitable[None]], *args: Any, retry_s: float = RETRY_S) -> None:
    """Store an event however long the database is away: it is kept, not dropped."""
    while True:
        try:
            return await store(*args)
        except (DatabaseError, InterfaceError) as error:
            log.error("event_waits_for_database", error=type(error).__name__)
            await asyncio.sleep(retry_s)


def _fresh(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], Any]:
    def call() -> Any:
        close_old_connections()
        return function(*args, **kwargs)

    return call
