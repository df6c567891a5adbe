"""Puts every wire on one port."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from testnet.api.call import Venue
from testnet.api.gate import Gate
from testnet.api.limits import RateLimits
from testnet.faults import Faults
from testnet.opening import Opened
from testnet.spot.events import SpotEvents
from testnet.web.control import Control
from testnet.web.hub import Hub
from testnet.web.market_streams import MarketStreams
from testnet.web.rest import MAX_BODY, Rest
from testnet.web.service import Service
from testnet.web.user_streams import UserStreams
from testnet.web.wsapi import WsApi

log = logging.getLogger("testnet")

_STREAM_PATHS = ("/ws", "/stream")
_SPLIT_ROOTS = ("", "/public", "/market", "/private")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the exchange is reached."""

    host: str = "127.0.0.1"
    port: int = 9100
    control: bool = False
    control_token: str | None = None
    rate_limits: bool = True
    access_log: bool = False


class Server:
    """One exchange on one port."""

    def __init__(self, opened: Opened, options: ServerOptions) -> None:
        self._options = options
        self.exchange = opened.exchange
        self.faults = Faults()
        venue = Venue(opened.exchange, RateLimits(enabled=options.rate_limits))
        self.gate = Gate(venue, self.faults)
        hub = Hub(self.faults, limit_messages=options.rate_limits)
        streams = MarketStreams(venue, hub)
        users = UserStreams(self.faults)
        self._wsapi = WsApi(self.gate, users)
        self.service = Service(self.gate, hub, streams, users, self._wsapi, opened.delisted)
        self.exchange.market_listeners.append(streams)
        events = SpotEvents(venue, users.follows, users.deliver)
        self.exchange.private["spot"] = events
        self.exchange.balance_listener = events
        self._app = web.Application(client_max_size=MAX_BODY)
        self._routes(hub)
        self._runner: web.AppRunner | None = None
        self.port = options.port

    def _routes(self, hub: Hub) -> None:
        rest = Rest(self.gate)
        router = self._app.router
        for root in ("/api", "/sapi"):
            router.add_route("*", root + "/{tail:.*}", rest.handle)
        for split in _SPLIT_ROOTS:
            for path in _STREAM_PATHS:
                router.add_get(split + path, hub.handle)
                router.add_get(split + path + "/{tail:.*}", hub.handle)
        router.add_get("/ws-api/v3", self._wsapi.handle)
        if self._options.control or self._options.control_token is not None:
            Control(self.service, self._options.control_token).add_routes(self._app)

    def load_faults(self, path: Path) -> None:
        """Put the faults of a JSON list in force.

        Raises
        ------
        ApiError, OSError, ValueError : the file cannot be read or names an unknown effect.
        """
        rows = json.loads(path.read_text())
        if not isinstance(rows, list):
            raise ValueError(f"{path.name}: expected a list of faults")
        for row in rows:
            self.service.apply_standing(self.faults.add(row))

    async def start(self) -> None:
        """Bind the port, then let market time run.

        Raises
        ------
        OSError : the port is taken.
        """
        logger = logging.getLogger("testnet.access") if self._options.access_log else None
        self._runner = web.AppRunner(self._app, access_log=logger, handle_signals=False, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._options.host, self._options.port, backlog=1024)
        await site.start()
        addresses = self._runner.addresses
        self.port = addresses[0][1] if addresses else self._options.port
        self.service.start()

    async def stop(self) -> None:
        """Stop serving, write what is left, release the data directory."""
        await self.service.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        self.exchange.journal_clock()
        self.exchange.journal.close()
