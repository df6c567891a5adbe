"""A paper exchange in the test's own process, on a free port, with market time standing still."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from testnet.account_setup import create_account
from testnet.accounts import Account, ApiKey
from testnet.exchange import Exchange
from testnet.opening import MarketOptions, open_exchange
from testnet.web.server import Server, ServerOptions

START_MS = 1_750_000_020_000  # 2025-06-15 15:07 UTC, a whole minute


@dataclass
class Answer:
    """Status, decoded body and headers of one HTTP answer."""

    status: int
    body: Any
    headers: Any

    @property
    def code(self) -> int:
        return int(self.body["code"])


@dataclass
class Client:
    """Signs by hand, so that tests do not depend on any client library."""

    url: str
    session: aiohttp.ClientSession
    api_key: str = ""
    secret: str = ""
    account: Account | None = None

    async def public(self, method: str, path: str, **params: Any) -> Answer:
        return await self.raw(method, path, urlencode(params))

    async def signed(self, method: str, path: str, *, in_body: bool = False, **params: Any) -> Answer:
        params.setdefault("timestamp", int(time.time() * 1000))
        query = urlencode(params)
        signed = query + "&signature=" + self.sign(query)
        return await self.raw(method, path, "" if in_body else signed, signed if in_body else "")

    def sign(self, payload: str) -> str:
        return hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

    async def raw(self, method: str, path: str, query: str = "", body: str = "") -> Answer:
        url = URL(self.url + path + ("?" + query if query else ""), encoded=True)
        headers = {"X-MBX-APIKEY": self.api_key} if self.api_key else {}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        async with self.session.request(method, url, headers=headers, data=body or None) as answer:
            text = await answer.text()
            try:
                decoded = json.loads(text)
            except ValueError:
                decoded = text
            return Answer(answer.status, decoded, answer.headers)

    async def order(self, **params: Any) -> Answer:
        return await self.signed("POST", "/api/v3/order", **params)


@dataclass
class Venue:
    """A running server and its parts."""

    server: Server
    session: aiohttp.ClientSession
    clients: list[Client] = field(default_factory=list)

    @property
    def exchange(self) -> Exchange:
        return self.server.exchange

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}"

    def client(self, **balances: str) -> Client:
        """A client with a new funded account."""
        account, keys = create_account(self.exchange, {"balances": balances})
        return self.with_key(account, keys[0])

    def with_key(self, account: Account, key: ApiKey) -> Client:
        client = Client(self.url, self.session, key.api_key, key.secret, account)
        self.clients.append(client)
        return client

    def anonymous(self) -> Client:
        return Client(self.url, self.session)

    async def stop(self) -> None:
        await self.session.close()
        await self.server.stop()

    async def advance(self, milliseconds: int) -> None:
        await self.server.service.advance(milliseconds)

    def best(self, symbol: str = "BTCUSDT") -> tuple[int, int]:
        """Best bid and ask in ticks."""
        book = self.exchange.listing(symbol).book
        bid, ask = book.bids.best(), book.asks.best()
        assert bid is not None
        assert ask is not None
        return bid, ask

    def price(self, ticks: int, symbol: str = "BTCUSDT") -> str:
        return self.exchange.listing(symbol).instrument.price_text(ticks)


StartVenue = Callable[..., Awaitable[Venue]]


@pytest.fixture(scope="session", autouse=True)
def _audit_tables_can_be_emptied_between_tests() -> None:
    """The paper exchange has no database: the suite-wide preparation of one is replaced by nothing."""


@pytest.fixture(scope="session", autouse=True)
def _own_redis_keys() -> None:
    """Nor does it use the broker."""


async def opened(
    *,
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"),
    usdm_symbols: tuple[str, ...] | None = None,
    seed: int = 7,
    speed: float = 0.0,
    data_dir: Path | None = None,
    replay: Path | None = None,
    start_ms: int | None = START_MS,
    rate_limits: bool = False,
    control: bool = True,
    token: str | None = None,
) -> Venue:
    """A started exchange; who opens it stops it."""
    options = MarketOptions(
        seed=seed,
        speed=speed,
        symbols=symbols,
        usdm_symbols=usdm_symbols,
        start_ms=start_ms,
        data_dir=data_dir,
        replay=replay,
        minute_days=1,
        hour_days=3,
    )
    server = Server(
        open_exchange(options),
        ServerOptions(port=0, control=control, control_token=token, rate_limits=rate_limits),
    )
    await server.start()
    return Venue(server, aiohttp.ClientSession())


@pytest.fixture
async def start_venue() -> AsyncIterator[StartVenue]:
    """Start exchanges that stop with the test."""
    started: list[Venue] = []

    async def start(**options: Any) -> Venue:
        started.append(await opened(**options))
        return started[-1]

    yield start
    for venue in started:
        await venue.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_venue() -> AsyncIterator[Venue]:
    """One exchange for all tests of a file that only ask, or are refused; they are marked `SHARES`."""
    venue = await opened()
    yield venue
    await venue.stop()


SHARES = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
async def venue(start_venue: StartVenue) -> Venue:
    """One exchange with BTCUSDT and ETHUSDT, market time standing still."""
    return await start_venue()


@pytest.fixture
def real_data() -> Path:
    """The recorded market data beside the checkout."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no recorded market data beside the checkout (../shared/data)")
    return folder
