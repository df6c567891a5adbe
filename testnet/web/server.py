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
from testnet.usdm.force_orders import ForceOrders
from testnet.usdm.streams import PerpetualStreams
from testnet.web.control import Control
from testnet.web.hub import STREAM_ROOTS, Hub
from testnet.web.listen_keys import connect_private_streams
from testnet.web.market_streams import MarketStreams
from testnet.web.rest import MAX_BODY, Rest
from testnet.web.service import Service
from testnet.web.user_streams import UserStreams
from testnet.web.wsapi import WsApi

log = logging.getLogger("testnet")

_STREAM_PATHS = ("/ws", "/stream")
_REST_ROOTS = ("/api", "/sapi", "/dapi", "/fapi", "/futures/data")
_OLD_LISTEN_KEY = "/api/v3/userDataStream"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the exchange is reached."""

    host: str = "127.0.0.1"
    port: int = 9100
    control: bool = False
    control_token: str | None = None
    rate_limits: bool = True
    access_log: bool = False
    # The venue has withdrawn the spot listen key; some clients still need it.
    spot_listen_key: bool = True


class Server:
    """One exchange on one port."""

    def __init__(self, opened: Opened, options: ServerOptions) -> None:
        self._options = options
        self.exchange = opened.exchange
        self.faults = Faults()
        venue = Venue(opened.exchange, RateLimits(enabled=options.rate_limits))
        self.gate = Gate(venue, self.faults)
        hub = self.hub = Hub(self.faults, limit_messages=options.rate_limits)
        streams = MarketStreams(venue, hub)
        perpetual_streams = PerpetualStreams(venue, hub)
        users = UserStreams(self.faults)
        self._apis = {market: WsApi(self.gate, users, market) for market in ("spot", "usdm")}
        self.service = Service(self.gate, hub, streams, perpetual_streams, users, self._apis, opened)
        self.exchange.market_listeners += [streams, perpetual_streams]
        events = SpotEvents(venue, users.follows, users.deliver)
        self.exchange.private["spot"] = events
        self.exchange.balance_listener = events
        connect_private_streams(venue, hub, users)
        self.exchange.listen_keys.serves_spot = options.spot_listen_key
        private = self.exchange.private["usdm"]
        self.exchange.private["usdm"] = ForceOrders(private, perpetual_streams.force_order)
        hub.is_only_usdm = self._is_only_usdm
        self._app = web.Application(client_max_size=MAX_BODY)
        self._routes(hub)
        self._runner: web.AppRunner | None = None
        self.port = options.port

    def _routes(self, hub: Hub) -> None:
        rest = Rest(self.gate)
        router = self._app.router
        if not self._options.spot_listen_key:
            router.add_route("*", _OLD_LISTEN_KEY, _withdrawn)
        for root in _REST_ROOTS:
            router.add_route("*", root + "/{tail:.*}", rest.handle)
        for root in STREAM_ROOTS:
            for path in _STREAM_PATHS:
                router.add_get(root + path, hub.handle)
                router.add_get(root + path + "/{tail:.*}", hub.handle)
        router.add_get("/ws-api/v3", self._apis["spot"].handle)
        router.add_get("/ws-fapi/v1", self._apis["usdm"].handle)
        if self._options.control or self._options.control_token is not None:
            Control(self.service, self._options.control_token).add_routes(self._app)

    def _is_only_usdm(self, symbol: str) -> bool:
        return symbol in self.exchange.usdm.listings and symbol not in self.exchange.spot.listings

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


async def _withdrawn(request: web.Request) -> web.StreamResponse:
    text = f"Path {request.path}, Method {request.method} is invalid"
    return web.json_response({"code": -5000, "msg": text}, status=404)
