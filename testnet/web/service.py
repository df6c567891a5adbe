"""What runs beside the requests: market time, timers, scheduled symbol actions, faults that stand."""

from __future__ import annotations

import asyncio
import json
import logging
import time

from testnet.api.gate import Gate
from testnet.clock import wall_ms
from testnet.faults import Fault
from testnet.journal import sync_file
from testnet.listing import Listing, SymbolStatus
from testnet.market.driver import TICK_MS, stepped_ms
from testnet.opening import Opened
from testnet.snapshots import snapshot
from testnet.usdm.streams import PerpetualStreams
from testnet.web.connection import Connection
from testnet.web.hub import Hub, StreamClient
from testnet.web.market_streams import MarketStreams
from testnet.web.stream_names import symbol_of
from testnet.web.user_streams import UserStreams
from testnet.web.wsapi import WsApi

log = logging.getLogger("testnet")

CLOCK_RECORD_S = 5.0
ROTATE_BYTES = 64 << 20
# Market work between two looks at the sockets.
SLICE_BUDGET_S = 0.01
# How long a client may take to read that the server is going away.
FAREWELL_S = 0.3


class Service:
    """The moving parts of one running exchange."""

    def __init__(
        self,
        gate: Gate,
        hub: Hub,
        streams: MarketStreams,
        perpetual_streams: PerpetualStreams,
        users: UserStreams,
        apis: dict[str, WsApi],
        opened: Opened,
    ) -> None:
        self.gate = gate
        self.exchange = opened.exchange
        self.desk = opened.desk
        self._schedule = opened.schedule
        self._delisted = opened.delisted
        self._hub = hub
        self._streams = streams
        self._perpetual_streams = perpetual_streams
        self._users = users
        self._apis = apis
        self._moving = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self.desk.on_change = self._changed
        self.desk.on_removed = self._removed

    def _changed(self, listing: Listing) -> None:
        if listing.instrument.market == "usdm":
            self._perpetual_streams.contract_info(listing)

    def _removed(self, listing: Listing) -> None:
        streams = self._streams if listing.instrument.market == "spot" else self._perpetual_streams
        streams.forget(listing.instrument.symbol)

    def _connections(self) -> list[Connection]:
        sessions = [session for api in self._apis.values() for session in api.sessions]
        return [*self._hub.clients, *sessions]

    # -- tasks -----------------------------------------------------------------------------

    def start(self) -> None:
        """Start market time and the timers."""
        for work in (self._run_market, self._run_pings, self._run_sync, self._run_records):
            task = asyncio.get_running_loop().create_task(work(), name=work.__name__)
            task.add_done_callback(_report)
            self._tasks.append(task)

    async def stop(self) -> None:
        """Stop everything, tell the clients, close every socket; the journal is flushed by the caller."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        server_ms = self.gate.venue.server_ms()
        self._hub.announce_shutdown(server_ms)
        farewell = json.dumps({"event": {"e": "serverShutdown", "E": server_ms}}, separators=(",", ":"))
        for session in self._apis["spot"].sessions:
            session.send(farewell)
        connections = self._connections()
        await asyncio.gather(*(connection.drained(FAREWELL_S) for connection in connections))
        for connection in connections:
            connection.cut()

    async def _run_market(self) -> None:
        while True:
            started = time.monotonic()
            if self.exchange.clock.speed > 0:
                async with self._moving:
                    await self._move_to(self.exchange.clock.due(), self.exchange.driver.step_ms())
            else:
                self.exchange.clock.due()
            self.exchange.wall_tick(wall_ms())
            self._tick()
            self.exchange.journal.flush()
            await asyncio.sleep(max(0.005, TICK_MS / 1000 - (time.monotonic() - started)))

    async def advance(self, advance_ms: int) -> None:
        """Run market time forward by exactly this much, then return."""
        async with self._moving:
            await self._move_to(self.exchange.driver.next_ms + advance_ms, stepped_ms(advance_ms))
            self._tick()
            self.exchange.journal_clock()

    async def _move_to(self, target_ms: int, step_ms: int) -> None:
        driver = self.exchange.driver
        began = time.monotonic()
        while True:
            stop = target_ms
            due_ms = self._schedule.next_ms()
            if due_ms is not None:
                stop = min(target_ms, max(due_ms, driver.next_ms))
            driver.slice_to(stop, step_ms)
            if due_ms is not None and due_ms <= driver.next_ms:
                self.desk.run_due(driver.next_ms)
            if driver.next_ms >= target_ms:
                return
            if time.monotonic() - began > SLICE_BUDGET_S:
                self.exchange.journal.flush()
                self._tick()
                await asyncio.sleep(0)
                began = time.monotonic()

    def _tick(self) -> None:
        now = wall_ms()
        self._streams.tick(now)
        self._perpetual_streams.tick(now)

    async def _run_pings(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            for connection in self._connections():
                await connection.beat(now)

    async def _run_sync(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.1)
            descriptor = self.exchange.journal.take_sync()
            if descriptor is not None:
                await loop.run_in_executor(None, sync_file, descriptor)

    async def _run_records(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_RECORD_S)
            # In stepped mode only explicit advances are recorded, so that equal runs write equal files.
            if self.exchange.clock.speed > 0:
                async with self._moving:
                    self.exchange.journal_clock()
                    if self.exchange.journal.size() > ROTATE_BYTES:
                        self.exchange.journal.replace(snapshot(self.exchange, self._delisted))

    # -- faults ----------------------------------------------------------------------------

    def apply_standing(self, fault: Fault) -> None:
        """Apply the effects of a new rule that act at once.

        Raises
        ------
        ApiError : a halt of a symbol that neither market lists.
        """
        if "halt_symbol" in fault.effect:
            symbol = fault.effect["halt_symbol"]
            self.exchange.listing(symbol, "usdm" if symbol in self.exchange.usdm.listings else "spot")
            self._set_everywhere(symbol, SymbolStatus.HALT)
        if "disconnect" in fault.effect:
            for connection in self._matching(fault):
                connection.cut()
                fault.spend()

    def lift_standing(self, fault: Fault) -> None:
        """Undo what a removed rule held in place."""
        symbol = fault.effect.get("halt_symbol")
        if symbol is not None:
            self._set_everywhere(symbol, SymbolStatus.TRADING)

    def _set_everywhere(self, symbol: str, status: SymbolStatus) -> None:
        for engine in self.exchange.engines.values():
            listing = engine.listings.get(symbol)
            if listing is not None:
                self.desk.set_status(listing, status)

    def _matching(self, fault: Fault) -> list[Connection]:
        match = fault.match
        path, symbol, account_id = match.get("path", "*"), match.get("symbol"), match.get("account_id")
        if account_id is not None:
            found = list(self._users.connections(account_id))
        else:
            found = self._connections()
        chosen = [c for c in found if path == "*" or c.path.startswith(path)]
        if symbol is not None:
            chosen = [
                c
                for c in chosen
                if isinstance(c, StreamClient) and any(symbol_of(name) == symbol for name in c.streams)
            ]
        return chosen


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("%s stopped", task.get_name(), exc_info=task.exception())
        asyncio.get_running_loop().stop()
