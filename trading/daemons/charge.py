"""Which of several feed processes is in charge of a venue: a short lease, taken over within seconds."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final, Protocol

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections

from nautilus_site.common.services.leases import Held, lease_acquire, lease_release, lease_renew

log = structlog.get_logger(__name__)

LIFE_S: Final = 6.0
RENEW_S: Final = 1.0


class Charge(Protocol):
    """Whether this process is the one in charge of a venue."""

    @property
    def is_held(self) -> bool:
        """True while it is."""
        ...


class LeaseCharge:
    """The lease of one venue's feed. What is written under it is idempotent: two holders for a moment do no harm."""

    def __init__(self, name: str, *, life_s: float = LIFE_S, renew_s: float = RENEW_S) -> None:
        self.name = name
        self._life_s = life_s
        self._renew_s = renew_s
        self._held: Held | None = None
        self._until = float("-inf")
        # Its own thread: a lease must not be lost because bars are being written.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    @property
    def is_held(self) -> bool:
        """Whether this process is in charge, judged by the last renewal that came through."""
        return self._held is not None and time.monotonic() < self._until

    async def run(self, gained: Callable[[], Awaitable[None]]) -> None:
        """Take the lease whenever it is free and keep it; `gained` is awaited after each time it was taken."""
        holder = f"{socket.gethostname()}:{os.getpid()}"
        try:
            while True:
                if await self._step(holder):
                    log.info("feed_in_charge", lease=self.name)
                    await gained()
                await asyncio.sleep(self._renew_s)
        finally:
            if self._held is not None:
                await asyncio.shield(self._call(lease_release, self._held))
            self._thread.shutdown(wait=False)

    async def _step(self, holder: str) -> bool:
        """Renew or try to take; True when it was just taken."""
        asked = time.monotonic()
        life = timedelta(seconds=self._life_s)
        try:
            if self._held is None:
                self._held = await self._call(lease_acquire, name=self.name, holder=holder, life=life)
                taken = self._held is not None
            elif await self._call(lease_renew, self._held, life=life):
                taken = False
            else:
                log.warning("feed_lease_lost", lease=self.name)
                self._held = None
                return False
        except (DatabaseError, InterfaceError) as error:
            log.warning("feed_lease_not_renewed", lease=self.name, error=type(error).__name__)
            return False
        if self._held is not None:
            self._until = asked + self._life_s
        return taken

    async def _call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        def call() -> Any:
            close_old_connections()
            return function(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
