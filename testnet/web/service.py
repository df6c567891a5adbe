"""What runs beside the requests: market time, timers, scheduled symbol actions, faults that stand."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Any

from testnet.account_setup import read_amount
from testnet.api.gate import Gate
from testnet.clock import wall_ms
from testnet.errors import ApiError
from testnet.faults import Fault
from testnet.instruments import (
    Character,
    Instrument,
    UnknownInstrument,
    catalog_instrument,
    instrument_for_price,
    make_instrument,
)
from testnet.journal import sync_file
from testnet.listing import Listing, SymbolStatus
from testnet.market.driver import TICK_MS, stepped_ms
from testnet.market.synthetic import SyntheticFeed
from testnet.snapshots import snapshot
from testnet.values import SCALE
from testnet.web.connection import Connection
from testnet.web.hub import Hub, StreamClient
from testnet.web.market_streams import MarketStreams
from testnet.web.user_streams import UserStreams
from testnet.web.wsapi import WsApi

log = logging.getLogger("testnet")

CLOCK_RECORD_S = 5.0
ROTATE_BYTES = 64 << 20
# Market work between two looks at the sockets.
SLICE_BUDGET_S = 0.01
Action = Callable[[], None]


class Service:
    """The moving parts of one running exchange."""

    def __init__(
        self,
        gate: Gate,
        hub: Hub,
        streams: MarketStreams,
        users: UserStreams,
        wsapi: WsApi,
        delisted: set[str],
    ) -> None:
        self.gate = gate
        self.exchange = gate.venue.exchange
        self._hub = hub
        self._streams = streams
        self._users = users
        self._wsapi = wsapi
        self._delisted = delisted
        self._scheduled: list[tuple[int, Action]] = []
        self._moving = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    # -- tasks -----------------------------------------------------------------------------

    def start(self) -> None:
        """Start market time and the timers."""
        for work in (self._run_market, self._run_pings, self._run_sync, self._run_records):
            task = asyncio.get_running_loop().create_task(work(), name=work.__name__)
            task.add_done_callback(_report)
            self._tasks.append(task)

    async def stop(self) -> None:
        """Stop everything and close every socket; the journal is flushed by the caller."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in [*self._hub.clients, *self._wsapi.sessions]:
            connection.cut()

    async def _run_market(self) -> None:
        while True:
            started = time.monotonic()
            if self.exchange.clock.speed > 0:
                async with self._moving:
                    await self._move_to(self.exchange.clock.due(), self.exchange.driver.step_ms())
            else:
                self.exchange.clock.due()
            self._streams.tick(wall_ms())
            self.exchange.journal.flush()
            await asyncio.sleep(max(0.005, TICK_MS / 1000 - (time.monotonic() - started)))

    async def advance(self, advance_ms: int) -> None:
        """Run market time forward by exactly this much, then return."""
        async with self._moving:
            await self._move_to(self.exchange.driver.next_ms + advance_ms, stepped_ms(advance_ms))
            self._streams.tick(wall_ms())
            self.exchange.journal_clock()

    async def _move_to(self, target_ms: int, step_ms: int) -> None:
        driver = self.exchange.driver
        began = time.monotonic()
        while True:
            stop = target_ms
            if self._scheduled:
                stop = min(target_ms, max(self._scheduled[0][0], driver.next_ms))
            driver.slice_to(stop, step_ms)
            while self._scheduled and self._scheduled[0][0] <= driver.next_ms:
                self._run_action(self._scheduled.pop(0)[1])
            if driver.next_ms >= target_ms:
                return
            if time.monotonic() - began > SLICE_BUDGET_S:
                self.exchange.journal.flush()
                self._streams.tick(wall_ms())
                await asyncio.sleep(0)
                began = time.monotonic()

    def _run_action(self, action: Action) -> None:
        try:
            action()
        except ApiError as error:
            log.warning("scheduled symbol action refused: %s", error)

    async def _run_pings(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            for connection in [*self._hub.clients, *self._wsapi.sessions]:
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

    # -- symbols ---------------------------------------------------------------------------

    def schedule(self, at_ms: int, action: Action) -> None:
        """Run an action when market time reaches a moment."""
        self._scheduled.append((at_ms, action))
        self._scheduled.sort(key=lambda row: row[0])

    def symbol_action(self, symbol: str, action: str, body: dict[str, Any]) -> Action:
        """Check a symbol action now and return what will do it."""
        if action == "list":
            listing = self._described(symbol, body)
            return lambda: self._list(listing)
        if action == "halt":
            return lambda: self._set_status(symbol, SymbolStatus.HALT)
        if action == "resume":
            return lambda: self._set_status(symbol, SymbolStatus.TRADING)
        return lambda: self._delist(symbol)

    def _described(self, symbol: str, body: dict[str, Any]) -> Listing:
        try:
            if body.get("price") is None:
                return Listing(*catalog_instrument(symbol))
            price = read_amount(body["price"], "price") / SCALE
            if price <= 0:
                raise ApiError(-1100, "price: expected a positive price")
            return Listing(_instrument(symbol, price, body.get("filters")), Character(price=price))
        except UnknownInstrument as error:
            raise ApiError(-1100, str(error)) from None

    def _list(self, listing: Listing) -> None:
        instrument = listing.instrument
        if instrument.symbol in self.exchange.spot.listings:
            raise ApiError(-1100, f"{instrument.symbol} is listed already")
        self._delisted.discard(instrument.key)
        fair = float(instrument.ticks(listing.character.price))
        listing.tape.last_price = round(fair)
        self.exchange.add_listing(listing)
        rng = random.Random(f"{self.exchange.seed}:market:{instrument.symbol}:{self.exchange.driver.next_ms}")
        # A new listing starts in the turbulent regime, as new listings do.
        self.exchange.driver.add(self.exchange.spot, listing, SyntheticFeed(listing, fair, 3, rng))
        self.exchange.journal_clock()

    def _delist(self, symbol: str) -> None:
        listing = self.exchange.listing(symbol)
        self.exchange.delist(listing)
        self._delisted.add(listing.instrument.key)

    def _set_status(self, symbol: str, status: SymbolStatus) -> None:
        self.exchange.set_status(self.exchange.listing(symbol), status)

    # -- faults ----------------------------------------------------------------------------

    def apply_standing(self, fault: Fault) -> None:
        """Apply the effects of a new rule that act at once."""
        if "halt_symbol" in fault.effect:
            self._set_status(fault.effect["halt_symbol"], SymbolStatus.HALT)
        if "disconnect" in fault.effect:
            for connection in self._matching(fault):
                connection.cut()
                fault.spend()

    def lift_standing(self, fault: Fault) -> None:
        """Undo what a removed rule held in place."""
        symbol = fault.effect.get("halt_symbol")
        if symbol is not None and symbol in self.exchange.spot.listings:
            self._set_status(symbol, SymbolStatus.TRADING)

    def _matching(self, fault: Fault) -> list[Connection]:
        match = fault.match
        path, symbol, account_id = match.get("path", "*"), match.get("symbol"), match.get("account_id")
        found: list[Connection] = []
        if account_id is not None:
            found = list(self._users.connections(account_id))
        else:
            found = [*self._hub.clients, *self._wsapi.sessions]
        chosen = [c for c in found if path == "*" or c.path.startswith(path)]
        if symbol is not None:
            lower = symbol.lower() + "@"
            chosen = [
                c
                for c in chosen
                if isinstance(c, StreamClient) and any(s.startswith(lower) for s in c.streams)
            ]
        return chosen


def _instrument(symbol: str, price: float, filters: object) -> Instrument:
    plain = instrument_for_price(symbol, price)
    if filters is None:
        return plain
    if not isinstance(filters, dict) or set(filters) - {"tickSize", "stepSize", "minNotional"}:
        raise ApiError(-1100, "filters: expected tickSize, stepSize, minNotional")
    amounts = {name: read_amount(value, f"filters.{name}") for name, value in filters.items()}
    return make_instrument(
        symbol,
        amounts.get("tickSize", plain.tick),
        amounts.get("stepSize", plain.step),
        price,
        amounts.get("minNotional", plain.min_notional),
    )


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("%s stopped", task.get_name(), exc_info=task.exception())
        asyncio.get_running_loop().stop()
