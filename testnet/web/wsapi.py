"""The WebSocket APIs: the same endpoints as REST, plus sessions and the spot user data stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from aiohttp import web

from testnet.accounts import ApiKey
from testnet.api.call import Endpoint
from testnet.api.gate import BY_WS_METHOD, ConnectionCut, Credentials, Gate
from testnet.api.limits import MARKET_LIMITS
from testnet.api.params import Params
from testnet.api.security import check_timing, find_key
from testnet.api.time_unit import MICROSECOND, in_microseconds, time_unit
from testnet.errors import ApiError, illegal_characters, key_rejected, mandatory
from testnet.web.connection import Connection, new_socket
from testnet.web.user_streams import WIRE, Subscription, UserStreams
from testnet.wire_json import read_json

MAX_SUBSCRIPTIONS = 1_000
CONNECT_WEIGHT = 2
WIRES = {"spot": WIRE, "usdm": "/ws-fapi/v1"}
_ID_RANGE = "^[a-zA-Z0-9-_]{1,36}$"


class Session(Connection):
    """One WebSocket API connection."""

    def __init__(
        self, socket: web.WebSocketResponse, address: str, path: str, *, show_limits: bool, unit: str
    ) -> None:
        super().__init__(socket, address, path)
        self.unit = unit
        self.key: ApiKey | None = None
        self.authorized_ms: int | None = None
        self.connected_ms = 0
        self.show_limits = show_limits
        self.subscriptions: dict[int, Subscription] = {}
        self.next_subscription = 0


class WsApi:
    """Serves `/ws-api/v3` for spot, `/ws-fapi/v1` for futures."""

    def __init__(self, gate: Gate, users: UserStreams, market: str = "spot") -> None:
        self._gate = gate
        self._users = users
        self._market = market
        self._endpoints = BY_WS_METHOD[market]
        self.sessions: set[Session] = set()
        self._methods: dict[str, Callable[[Session, dict[str, Any]], Any]] = {
            "session.logon": self._logon,
            "session.status": self._status,
            "session.logout": self._logout,
        }
        if market == "spot":
            self._methods |= {
                "session.subscriptions": self._list_subscriptions,
                "userDataStream.subscribe": self._subscribe_session,
                "userDataStream.subscribe.signature": self._subscribe_signed,
                "userDataStream.unsubscribe": self._unsubscribe,
            }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        address = request.remote or "local"
        try:
            self._charge(address, CONNECT_WEIGHT)
            unit = time_unit(request.query.get("timeUnit"))
        except ApiError as error:
            headers = {"Retry-After": str(error.retry_after_s or 1)}
            return web.json_response(error.body(), status=error.status, headers=headers)
        show = request.query.get("returnRateLimits", "true") != "false"
        session = Session(new_socket(), address, WIRES[self._market], show_limits=show, unit=unit)
        session.connected_ms = self._gate.venue.server_ms()
        self.sessions.add(session)
        try:
            await session.serve(request, lambda text: self._on_text(session, text))
        finally:
            for subscription in session.subscriptions.values():
                self._users.unsubscribe(subscription)
            self.sessions.discard(session)
        return session.socket

    def _charge(self, address: str, weight: int) -> None:
        self._gate.charge(address, weight, self._market)

    async def _on_text(self, session: Session, text: str) -> None:
        answer: dict[str, Any]
        request_id: object = None
        show = session.show_limits
        account_id: str | None = session.key.account_id if session.key else None
        try:
            request_id, method, params = _read(text)
            show = _shows_limits(params, default=show)
            result, account_id = await self._dispatch(session, method, params)
            answer = {"id": request_id, "status": 200, "result": result}
        except _Malformed as error:
            answer = {"id": error.request_id, "status": 400, "error": error.refusal.body()}
        except ApiError as error:
            body = error.body()
            if error.retry_after_s is not None:
                now = self._gate.venue.server_ms()
                body["data"] = {"serverTime": now, "retryAfter": now + error.retry_after_s * 1000}
            answer = {"id": request_id, "status": error.status, "error": body}
        except ConnectionCut:
            session.cut()
            return
        if show:
            answer["rateLimits"] = self._rate_limits(session, account_id)
        session.send(json.dumps(answer, separators=(",", ":")))

    async def _dispatch(
        self, session: Session, method: str, params: dict[str, Any]
    ) -> tuple[Any, str | None]:
        own = self._methods.get(method)
        if own is not None:
            self._charge(session.address, 2)
            result = own(session, params)
            return result, session.key.account_id if session.key else None
        endpoint = self._endpoints.get(method)
        if endpoint is None:
            self._charge(session.address, 1)
            raise ApiError(-1000, f"Unknown method '{method}'", 400)
        return await self._endpoint(session, endpoint, params)

    async def _endpoint(
        self, session: Session, endpoint: Endpoint, raw: dict[str, Any]
    ) -> tuple[Any, str | None]:
        values = {name: _text(name, value) for name, value in raw.items()}
        params = Params(values, self._market)
        try:
            weight = endpoint.weight(params)
        except ApiError:
            self._charge(session.address, 1)
            raise
        self._charge(session.address, weight)
        credentials = _credentials(values)
        if session.key is not None and "signature" not in values:
            credentials.session_key = session.key
            # A logged-on session may leave the timestamp out.
            values.setdefault("timestamp", str(self._gate.venue.server_ms()))
        call, result = await self._gate.run(endpoint, params, credentials, session.path)
        if session.unit == MICROSECOND:
            result = in_microseconds(result, endpoint.path)
        return result, call.account.account_id if call.account is not None else None

    def _rate_limits(self, session: Session, account_id: str | None) -> list[dict[str, Any]]:
        limits, now = self._gate.venue.limits, self._gate.venue.server_ms()
        rows: list[dict[str, Any]] = []
        if account_id is not None:
            rows = limits.order_rows(account_id, now, self._market)
        weight = MARKET_LIMITS[self._market].announced()[0]
        rows.append({**weight, "count": limits.used(session.address, self._market)})
        return rows

    # -- sessions --------------------------------------------------------------------------

    def _signed_key(self, raw: dict[str, Any]) -> ApiKey:
        values = {name: _text(name, value) for name, value in raw.items()}
        for name in ("apiKey", "timestamp", "signature"):
            if not values.get(name):
                raise mandatory(name)
        key = find_key(self._gate.venue.exchange.accounts, values["apiKey"])
        if not key.permissions.read:
            raise key_rejected()
        self._gate.venue.clock_skew_ms = self._gate.faults.clock_skew_ms()
        check_timing(Params(values), self._gate.venue.server_ms())
        self._gate.verify(key, _credentials(values))
        return key

    def _logon(self, session: Session, params: dict[str, Any]) -> dict[str, Any]:
        key = self._signed_key(params)
        if key.kind != "ED25519":
            raise ApiError(-4056, "HMAC_SHA256 API key is not supported.", 400)
        session.key = key
        session.authorized_ms = self._gate.venue.server_ms()
        return self._status(session, params)

    def _status(self, session: Session, params: dict[str, Any]) -> dict[str, Any]:
        return {
            "apiKey": session.key.api_key if session.key else None,
            "authorizedSince": session.authorized_ms,
            "connectedSince": session.connected_ms,
            "returnRateLimits": session.show_limits,
            "serverTime": self._gate.venue.server_ms(),
            "userDataStream": bool(session.subscriptions),
        }

    def _logout(self, session: Session, params: dict[str, Any]) -> dict[str, Any]:
        session.key, session.authorized_ms = None, None
        return self._status(session, params)

    def _list_subscriptions(self, session: Session, params: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"subscriptionId": number} for number in session.subscriptions]

    def _subscribe_session(self, session: Session, params: dict[str, Any]) -> dict[str, Any]:
        if session.key is None:
            raise ApiError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        return self._subscribe(session, session.key)

    def _subscribe_signed(self, session: Session, params: dict[str, Any]) -> dict[str, Any]:
        return self._subscribe(session, self._signed_key(params))

    def _subscribe(self, session: Session, key: ApiKey) -> dict[str, Any]:
        if any(row.account_id == key.account_id for row in session.subscriptions.values()):
            raise ApiError(-2035, "User data stream subscription is already active.")
        if session.next_subscription >= MAX_SUBSCRIPTIONS:
            raise ApiError(-2035, f"No more than {MAX_SUBSCRIPTIONS} subscriptions per session.")
        number = session.next_subscription
        session.next_subscription += 1
        subscription = Subscription(session, number, key.account_id, microseconds=session.unit == MICROSECOND)
        session.subscriptions[number] = subscription
        # The answer must reach the client before any event of the new subscription.
        asyncio.get_running_loop().call_soon(self._start, session, subscription)
        return {"subscriptionId": number}

    def _start(self, session: Session, subscription: Subscription) -> None:
        if session.subscriptions.get(subscription.subscription_id) is subscription:
            self._users.subscribe(subscription)

    def _unsubscribe(self, session: Session, params: dict[str, Any]) -> dict[str, Any]:
        number = params.get("subscriptionId")
        if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
            raise illegal_characters("subscriptionId", "^[0-9]{1,20}$")
        chosen = list(session.subscriptions) if number is None else [number]
        if not chosen or any(n not in session.subscriptions for n in chosen):
            raise ApiError(-2036, "User data stream subscription is not active.")
        for n in chosen:
            self._users.unsubscribe(session.subscriptions.pop(n))
        return {}


class _Malformed(Exception):
    def __init__(self, request_id: object, refusal: ApiError) -> None:
        super().__init__(str(refusal))
        self.request_id = request_id
        self.refusal = refusal


def _read(text: str) -> tuple[object, str, dict[str, Any]]:
    try:
        message = read_json(text)
    except ValueError:
        raise _Malformed(None, ApiError(-1135, "Invalid JSON request")) from None
    if not isinstance(message, dict):
        raise _Malformed(None, ApiError(-1135, "Invalid JSON request"))
    request_id = message.get("id")
    if isinstance(request_id, bool) or not (
        request_id is None
        or isinstance(request_id, int)
        or (isinstance(request_id, str) and 0 < len(request_id) <= 36)
    ):
        raise _Malformed(None, illegal_characters("id", _ID_RANGE))
    method, params = message.get("method"), message.get("params", {})
    if not isinstance(method, str) or not method:
        raise _Malformed(request_id, mandatory("method"))
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise _Malformed(request_id, ApiError(-1135, "Invalid JSON request"))
    return request_id, method, params


def _text(name: str, value: object) -> str:
    """A parameter as the text it is signed as."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, list):
        return json.dumps(value, separators=(",", ":"))
    raise ApiError(-1135, f"Invalid value for parameter '{name}'")


def _credentials(values: dict[str, str]) -> Credentials:
    signed = sorted((name, value) for name, value in values.items() if name != "signature")
    plain = "&".join(f"{name}={value}" for name, value in signed)
    encoded = "&".join(f"{name}={quote(value, safe='')}" for name, value in signed)
    return Credentials(values.get("apiKey"), values.get("signature"), (plain, encoded))


def _shows_limits(params: dict[str, Any], *, default: bool) -> bool:
    asked = params.get("returnRateLimits")
    return asked if isinstance(asked, bool) else default
