"""The feed: market streams into bars and quotes, user streams into the journal, gaps closed after every loss.

Any number of processes may run. Each follows everything; per venue one holds the lease and writes bars and prices, and
another takes over within seconds. It decides nothing: it stores and hints.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

import structlog
from django.db import DatabaseError, InterfaceError

from trading.daemons.charge import LeaseCharge
from trading.daemons.market_feed import SPOT, USDM, MarketFeed, MarketSource
from trading.daemons.storing import in_database
from trading.daemons.user_feed import UserFeed
from trading.models import Account
from trading.services.heartbeats import heartbeat

log = structlog.get_logger(__name__)

HEARTBEAT_S: Final = 2.0
FOLLOW_S: Final = 15.0


class VenueFeed:
    """One venue: its lease, its market's streams, and the streams of each of its accounts."""

    def __init__(self, source: MarketSource) -> None:
        self._source = source
        self.charge = LeaseCharge(f"feed:{source.market.value}")
        self.market = MarketFeed(source, self.charge)
        self._users: dict[int, UserFeed] = {}

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.charge.run(self._take_over))
            group.create_task(self.market.run())
            while True:
                for account in await self._accounts():
                    if account.pk not in self._users:
                        user = self._users[account.pk] = UserFeed(account, self.charge)
                        group.create_task(user.run())
                await asyncio.sleep(FOLLOW_S)

    async def _take_over(self) -> None:
        await self.market.take_over()
        for user in list(self._users.values()):
            await user.take_over()

    async def _accounts(self) -> list[Account]:
        try:
            found: list[Account] = await in_database(_accounts, self._source.venue_name)
        except (DatabaseError, InterfaceError) as error:
            log.warning("accounts_not_read", venue=self._source.venue_name, error=type(error).__name__)
            return []
        return found


class Feed:
    """One feed process, for every venue."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self._venues = (VenueFeed(SPOT), VenueFeed(USDM))

    async def run(self) -> None:
        """Stream until stopped."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        tasks = [asyncio.create_task(venue.run()) for venue in self._venues]
        tasks.append(asyncio.create_task(self._beat()))
        stop = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait({stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stop}:
                task.result()
        finally:
            for task in (*tasks, stop):
                task.cancel()
            await asyncio.gather(*tasks, stop, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            charges = [venue.charge.name for venue in self._venues if venue.charge.is_held]
            try:
                await in_database(
                    heartbeat,
                    kind="feed",
                    # A process in charge of nothing stands by under a name of its own.
                    slot="" if charges else f"standby-{os.getpid()}",
                    detail={
                        "in_charge": charges,
                        "symbols": sum(venue.market.symbols for venue in self._venues),
                    },
                )
                for venue in self._venues:
                    await venue.market.note_age(HEARTBEAT_S)
            except (DatabaseError, InterfaceError) as error:
                log.warning("feed_heartbeat_not_written", error=type(error).__name__)


def _accounts(venue_name: str) -> list[Account]:
    return list(Account.objects.select_related("venue").filter(is_active=True, venue__name=venue_name))
