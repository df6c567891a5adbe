"""The feed: market streams into bars and quotes, user streams into the journal, gaps closed after every loss.

One process holds the lease; another one may stand by. It decides nothing: it stores and hints.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from typing import Final

import structlog
from django.db import DatabaseError

from nautilus_site.common.services.leases import Held, lease_acquire, lease_release, lease_renew
from trading.daemons.market_feed import MarketFeed
from trading.daemons.storing import in_database
from trading.daemons.user_feed import UserFeed
from trading.models import Account
from trading.services.heartbeats import heartbeat
from universe.services import SPOT_VENUE

log = structlog.get_logger(__name__)

LEASE: Final = "feed:spot"
LEASE_RENEW_S: Final = 2.0


class Feed:
    """One feed process: the lease, the market's streams, and each account's."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self._market = MarketFeed()

    async def run(self) -> None:
        """Wait for the lease, then stream until stopped."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        held = await self._lease()
        if held is None:
            return
        tasks = [asyncio.create_task(self._keep_lease(held)), asyncio.create_task(self._work())]
        stop = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait({stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stop}:
                task.result()
        finally:
            for task in (*tasks, stop):
                task.cancel()
            await asyncio.gather(*tasks, stop, return_exceptions=True)
            await in_database(lease_release, held)

    async def _lease(self) -> Held | None:
        holder = f"{socket.gethostname()}:{os.getpid()}"
        while not self._stopping.is_set():
            held: Held | None = await in_database(lease_acquire, name=LEASE, holder=holder)
            if held is not None:
                return held
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._stopping.wait()
        return None

    async def _keep_lease(self, held: Held) -> None:
        while True:
            await asyncio.sleep(LEASE_RENEW_S)
            try:
                if not await in_database(lease_renew, held):
                    raise RuntimeError("the feed's lease was taken by another process")
                await in_database(heartbeat, kind="feed", detail={"symbols": self._market.symbols})
                await self._market.note_age(LEASE_RENEW_S)
            except DatabaseError as error:
                log.warning("feed_lease_not_renewed", error=type(error).__name__)

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._market.run())
            for account in await in_database(_accounts):
                group.create_task(UserFeed(account).run())


def _accounts() -> list[Account]:
    return list(Account.objects.select_related("venue").filter(is_active=True, venue__name=SPOT_VENUE))
