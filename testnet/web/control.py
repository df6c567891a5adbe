"""The exchange's own control API: accounts, clock, market, symbols, faults and the ledger."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from testnet.account_setup import add_key, create_account, read_amount
from testnet.accounts import VENUE_ACCOUNTS, ApiKey
from testnet.errors import ApiError
from testnet.faults import Fault
from testnet.ledger import ledger_json
from testnet.listing import Listing
from testnet.market.feed import Feed
from testnet.market.regimes import NAMES
from testnet.market.synthetic import SyntheticFeed
from testnet.symbol_actions import read_action
from testnet.usdm.catalog import MARGIN_ASSETS
from testnet.usdm.feed import PerpetualFeed
from testnet.usdm.funding import premium_for
from testnet.usdm.mark import terms_of
from testnet.web.service import Service
from testnet.wire_json import read_json

HEADER = "X-Testnet-Control"
Handler = Callable[[web.Request], Awaitable[Any]]
LOOPBACK = frozenset({"127.0.0.1", "::1"})
MAX_ADVANCE_MS = 366 * 86_400_000


class Control:
    """Serves `/testnet/v1`; every answer is JSON, every refusal a sentence."""

    def __init__(self, service: Service, token: str | None) -> None:
        self._service = service
        self._exchange = service.exchange
        self._token = token

    def add_routes(self, app: web.Application) -> None:
        """Register every route."""
        routes: list[tuple[str, str, Handler]] = [
            ("POST", "/accounts", self._create_account),
            ("GET", "/accounts", self._list_accounts),
            ("POST", "/accounts/{id}/keys", self._add_key),
            ("POST", "/accounts/{id}/transfer", self._transfer),
            ("GET", "/ledger", self._ledger),
            ("GET", "/clock", self._get_clock),
            ("POST", "/clock", self._set_clock),
            ("POST", "/symbols", self._symbols),
            ("POST", "/market", self._market),
            ("GET", "/truth", self._truth),
            ("POST", "/faults", self._add_fault),
            ("GET", "/faults", self._list_faults),
            ("GET", "/faults/{id}", self._get_fault),
            ("DELETE", "/faults", self._clear_faults),
            ("DELETE", "/faults/{id}", self._remove_fault),
        ]
        for method, path, handler in routes:
            app.router.add_route(method, "/testnet/v1" + path, self._guarded(handler))

    def _guarded(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                self._allow(request)
                answer = await handler(request)
            except ApiError as error:
                return web.json_response(error.body(), status=error.status)
            finally:
                self._exchange.journal.flush()
            return web.json_response(answer)

        return handle

    def _allow(self, request: web.Request) -> None:
        if request.remote not in LOOPBACK:
            raise ApiError(-2015, "the control API answers on loopback only", 403)
        sent = request.headers.get(HEADER, "")
        if self._token is not None and not hmac.compare_digest(sent.encode(), self._token.encode()):
            raise ApiError(-2015, f"the control API needs its token in the {HEADER} header", 401)

    # -- accounts --------------------------------------------------------------------------

    async def _create_account(self, request: web.Request) -> Any:
        account, keys = create_account(self._exchange, await _body(request))
        answer = {"account_id": account.account_id, "name": account.name}
        return answer | (_key_json(keys[0]) if keys else {})

    async def _list_accounts(self, request: web.Request) -> Any:
        return [
            {
                "account_id": account.account_id,
                "name": account.name,
                "keys": [
                    {"api_key": key.api_key, "permissions": key.permissions.to_json()}
                    for key in self._exchange.accounts.keys_of(account.account_id)
                ],
            }
            for account in self._exchange.accounts.by_id.values()
            if account.account_id not in VENUE_ACCOUNTS
        ]

    async def _add_key(self, request: web.Request) -> Any:
        account = self._exchange.accounts.get(request.match_info["id"])
        return {
            "account_id": account.account_id,
            **_key_json(add_key(self._exchange, account, await _body(request, empty={}))),
        }

    async def _transfer(self, request: web.Request) -> Any:
        account = self._exchange.accounts.get(request.match_info["id"])
        body = await _body(request)
        asset = body.get("asset")
        market = body.get("market", "spot")
        amount = read_amount(body.get("amount"), "amount", signed=True)
        if market == "usdm":
            if asset not in MARGIN_ASSETS:
                raise ApiError(-1100, f"asset: expected {' or '.join(MARGIN_ASSETS)}")
            futures = self._exchange.usdm_market.transfer(account, asset, amount)
            return {"seq": futures.seq, "account_id": account.account_id, "at": futures.time_ms}
        if market != "spot":
            raise ApiError(-1100, "market: expected spot or usdm")
        if not isinstance(asset, str) or asset not in self._exchange.accounts.market.balances:
            raise ApiError(-1100, "asset: expected an asset this exchange trades")
        transfer = self._exchange.transfer(account, asset, amount)
        return {"seq": transfer.seq, "account_id": account.account_id, "at": transfer.time_ms}

    async def _ledger(self, request: web.Request) -> Any:
        return ledger_json(self._exchange, request.query.get("account_id"))

    # -- time and market -------------------------------------------------------------------

    async def _get_clock(self, request: web.Request) -> Any:
        clock = self._exchange.clock
        return {
            "market_ms": self._exchange.driver.next_ms,
            "server_ms": self._service.gate.venue.server_ms(),
            "speed": clock.speed,
            "catch_up": clock.catch_up,
        }

    async def _set_clock(self, request: web.Request) -> Any:
        body = await _body(request)
        if set(body) == {"speed"} and _is_number(body["speed"]):
            try:
                self._exchange.clock.set_speed(float(body["speed"]))
            except ValueError as error:
                raise ApiError(-1100, str(error)) from None
        elif set(body) == {"advance_ms"} and isinstance(body["advance_ms"], int):
            if not 0 <= body["advance_ms"] <= MAX_ADVANCE_MS:
                raise ApiError(-1100, f"advance_ms: expected 0 to {MAX_ADVANCE_MS}")
            await self._service.advance(body["advance_ms"])
        else:
            raise ApiError(-1100, 'expected {"speed": X} or {"advance_ms": N}')
        return await self._get_clock(request)

    def _listing(self, symbol: object, market: object) -> Listing:
        if market not in self._exchange.engines:
            raise ApiError(-1100, f"market: expected {' or '.join(self._exchange.engines)}")
        return self._exchange.listing(str(symbol or ""), str(market))

    def _driving(self, listing: Listing) -> Feed:
        """What moves a symbol's price; a perpetual's feed marks it besides."""
        feed = self._exchange.driver.feed(listing)
        return feed.market if isinstance(feed, PerpetualFeed) else feed

    async def _market(self, request: web.Request) -> Any:
        body = await _body(request)
        listing = self._listing(body.get("symbol"), body.get("market", "spot"))
        feed = self._driving(listing)
        if "liquidity" in body:
            factor = body["liquidity"]
            if not _is_number(factor) or not 0 < factor <= 1000:
                raise ApiError(-1100, "liquidity: expected a factor above 0, at most 1000")
            feed.set_liquidity(float(factor))
        if "regime" in body or "path" in body:
            if not isinstance(feed, SyntheticFeed):
                raise ApiError(-1100, "a replayed market follows its candles; only liquidity can be set")
            if "regime" in body:
                if body["regime"] not in NAMES:
                    raise ApiError(-1100, f"regime: expected one of {', '.join(NAMES)}")
                feed.set_regime(body["regime"])
            if "path" in body:
                points = _path(body["path"], listing.instrument.tick)
                feed.follow_path(self._exchange.driver.next_ms, points)
        if "funding" in body:
            self._set_funding(listing, body["funding"])
        if not {"regime", "path", "liquidity", "funding"} & body.keys():
            raise ApiError(-1100, "expected regime, path, liquidity or funding")
        self._exchange.journal_clock()
        return {"symbol": listing.instrument.symbol, "market": listing.instrument.market}

    def _set_funding(self, listing: Listing, raw: object) -> None:
        feed = self._exchange.driver.feed(listing)
        if not isinstance(feed, PerpetualFeed):
            raise ApiError(-1100, "funding: spot symbols pay none")
        rate, terms = read_amount(raw, "funding", signed=True), terms_of(listing)
        if feed.sheet.recorded.get(feed.sheet.next_funding_ms) is not None:
            raise ApiError(-1100, "funding: a replayed market pays what was recorded")
        try:
            feed.sheet.average.become(premium_for(rate, terms))
        except ValueError as error:
            raise ApiError(-1100, f"funding: {error}, in 1e-8") from None

    async def _truth(self, request: web.Request) -> Any:
        listing = self._listing(request.query.get("symbol"), request.query.get("market", "spot"))
        start, end = _query_ms(request, "start"), _query_ms(request, "end")
        rows = self._exchange.driver.feed(listing).truth()
        return {
            "states": NAMES,
            "rows": [
                [at, state]
                for at, state in rows
                if (start is None or at >= start) and (end is None or at <= end)
            ],
        }

    async def _symbols(self, request: web.Request) -> Any:
        body = await _body(request)
        at_ms = _time_ms(body["at"]) if body.get("at") is not None else None
        action = read_action(body)
        self._service.desk.request(body, at_ms)
        answer: dict[str, Any] = {
            "symbol": action.symbol,
            "market": action.market,
            "action": action.action,
        }
        listing = self._exchange.engines[action.market].listings.get(action.symbol)
        answer["status"] = listing.status.value if listing is not None else None
        if at_ms is not None and at_ms > self._exchange.driver.next_ms:
            answer["at"] = at_ms
        return answer

    # -- faults ----------------------------------------------------------------------------

    async def _add_fault(self, request: web.Request) -> Any:
        fault = self._service.gate.faults.add(await _body(request))
        try:
            self._service.apply_standing(fault)
        except ApiError:
            self._service.gate.faults.remove(fault.fault_id)
            raise
        return {"id": fault.fault_id}

    async def _list_faults(self, request: web.Request) -> Any:
        return [fault.to_json() for fault in self._service.gate.faults.all()]

    async def _get_fault(self, request: web.Request) -> Any:
        wanted = _fault_id(request)
        for fault in self._service.gate.faults.all():
            if fault.fault_id == wanted:
                return fault.to_json()
        raise ApiError(-1100, f"no fault {wanted}", 404)

    async def _remove_fault(self, request: web.Request) -> Any:
        return self._removed(self._service.gate.faults.remove(_fault_id(request)))

    async def _clear_faults(self, request: web.Request) -> Any:
        faults = self._service.gate.faults
        return [self._removed(faults.remove(fault.fault_id)) for fault in faults.all()]

    def _removed(self, fault: Fault) -> Any:
        self._service.lift_standing(fault)
        return fault.to_json()


def _key_json(key: ApiKey) -> dict[str, Any]:
    # An Ed25519 key's secret never left the caller; what we hold is its public half.
    secret = key.secret if key.kind == "HMAC" else None
    return {"api_key": key.api_key, "api_secret": secret, "permissions": key.permissions.to_json()}


async def _body(request: web.Request, empty: dict[str, Any] | None = None) -> dict[str, Any]:
    raw = await request.read()
    if not raw and empty is not None:
        return empty
    try:
        body = read_json(raw)
    except ValueError:
        raise ApiError(-1135, "expected a JSON object") from None
    if not isinstance(body, dict):
        raise ApiError(-1135, "expected a JSON object")
    return body


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _path(raw: object, tick: int) -> list[tuple[float, float]]:
    if not isinstance(raw, list) or not raw:
        raise ApiError(-1100, "path: expected [[seconds_from_now, price], ...]")
    points = []
    for row in raw:
        if not isinstance(row, list) or len(row) != 2 or not _is_number(row[0]) or row[0] < 0:
            raise ApiError(-1100, "path: expected [[seconds_from_now, price], ...]")
        price = read_amount(row[1] if isinstance(row[1], str) else f"{row[1]:.8f}", "path")
        if price < tick:
            raise ApiError(-1100, "path: prices must be at least one tick")
        points.append((float(row[0]), price / tick))
    return points


def _time_ms(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            raise ApiError(-1100, f"expected ISO time or milliseconds, was {value!r}") from None
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    raise ApiError(-1100, f"expected ISO time or milliseconds, was {value!r}")


def _query_ms(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() else _time_ms(text)


def _fault_id(request: web.Request) -> int:
    text = request.match_info["id"]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ApiError(-1100, f"no fault {text}", 404)
    return int(text)
