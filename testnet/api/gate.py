"""The one way a request goes through: limits, faults, parameters, security, work, journal."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from testnet.accounts import ApiKey
from testnet.api.call import Call, Endpoint, Json, Venue
from testnet.api.limits import MARKET_LIMITS
from testnet.api.params import Params
from testnet.api.security import check_signature, check_timing, find_key
from testnet.errors import ApiError, key_rejected
from testnet.faults import MESSAGES, Edge, Faults, error_of
from testnet.spot import api as spot_api
from testnet.usdm import api as usdm_api

log = logging.getLogger("testnet")

ENDPOINTS: list[Endpoint] = [*spot_api.ENDPOINTS, *usdm_api.ENDPOINTS]
BY_PATH: dict[tuple[str, str], Endpoint] = {(e.method, e.path): e for e in ENDPOINTS}
# Both WebSocket APIs have an `order.place`, each of its own market.
BY_WS_METHOD: dict[str, dict[str, Endpoint]] = {
    market: {e.ws_method: e for e in ENDPOINTS if e.ws_method is not None and e.market == market}
    for market in MARKET_LIMITS
}
# A request the venue says it lost may still execute up to this much later.
MAX_LATE_MS = 60_000


class ConnectionCut(Exception):
    """The request was executed, and its answer must be lost with the connection."""


@dataclass(slots=True)
class Credentials:
    """What a request brought to prove who it is; `payloads` are the texts a signature may cover."""

    api_key: str | None
    signature: str | None
    payloads: tuple[str, ...]
    # A key a WebSocket session has logged on with needs no further signature.
    session_key: ApiKey | None = None


class Gate:
    """Runs endpoints for every wire."""

    def __init__(self, venue: Venue, faults: Faults) -> None:
        self.venue = venue
        self.faults = faults
        self._late: set[asyncio.Task[None]] = set()

    def charge(self, address: str, weight: int, market: str = "spot") -> int:
        """Count request weight; ApiError 429 or 418 above the limits."""
        return self.venue.limits.charge(address, weight, self.venue.server_ms(), market)

    async def run(
        self, endpoint: Endpoint, params: Params, credentials: Credentials, wire: str
    ) -> tuple[Call, Json]:
        """Check and execute one request; the journal has left the process when this returns.

        Checks in this order: parameters (11xx), key (-2014, -2015), timing (-1021), signature (-1022),
        then whatever the endpoint itself refuses.

        Raises
        ------
        ApiError : the refusal, or an injected error.
        ConnectionCut : an injected loss of the answer.
        """
        self.venue.clock_skew_ms = self.faults.clock_skew_ms()
        call = Call(self.venue, params)
        effects = self.faults.at_request(self._edge(endpoint, params, credentials, wire))
        if effects:
            await self._before(effects)
        arguments = endpoint.parse(call)
        if endpoint.security != "NONE":
            self._authenticate(endpoint, call, credentials)
        if not effects:
            return call, self._execute(endpoint, call, arguments)
        call.zero_balances = bool(effects.get("zero_balances"))
        if "late_ms" in effects:
            self._run_late(endpoint, call, arguments, min(MAX_LATE_MS, effects["late_ms"]))
            raise ApiError(-1007, MESSAGES[-1007], 504)
        answer = self._execute(endpoint, call, arguments)
        after = effects.get("error_after")
        if after == "drop":
            raise ConnectionCut
        if after is not None:
            raise error_of(after)
        return call, answer

    async def _before(self, effects: dict[str, Any]) -> None:
        if "delay_ms" in effects:
            await asyncio.sleep(effects["delay_ms"] / 1000)
        if "rate_limit" in effects:
            limit = effects["rate_limit"]
            raise ApiError(-1003, MESSAGES[-1003], limit["status"], limit.get("retry_after", 1))
        if "error_before" in effects:
            raise error_of(effects["error_before"])

    def _authenticate(self, endpoint: Endpoint, call: Call, credentials: Credentials) -> None:
        key = credentials.session_key or find_key(self.venue.exchange.accounts, credentials.api_key)
        permitted = key.permissions.trade if endpoint.security == "TRADE" else key.permissions.read
        if not permitted or (endpoint.market == "usdm" and not key.permissions.futures):
            raise key_rejected()
        call.key = key
        call.account = self.venue.exchange.accounts.by_id[key.account_id]
        if endpoint.security == "USER_STREAM":
            return
        check_timing(call.params, self.venue.server_ms())
        if credentials.session_key is None:
            self.verify(key, credentials)

    def verify(self, key: ApiKey, credentials: Credentials) -> None:
        """Accept a signature over any of the texts the client may have signed; -1022 otherwise."""
        *others, last = credentials.payloads
        for payload in others:
            try:
                check_signature(key, payload, credentials.signature)
            except ApiError as error:
                if error.code != -1022:
                    raise
            else:
                return
        check_signature(key, last, credentials.signature)

    def _execute(self, endpoint: Endpoint, call: Call, arguments: Any) -> Json:
        try:
            return endpoint.run(call, arguments)
        finally:
            self.venue.exchange.journal.flush()

    def _run_late(self, endpoint: Endpoint, call: Call, arguments: Any, late_ms: int) -> None:
        async def later() -> None:
            await asyncio.sleep(late_ms / 1000)
            try:
                # The engine looks at the receive window once more, as the venue's does.
                check_timing(call.params, self.venue.server_ms())
                self._execute(endpoint, call, arguments)
            except ApiError as error:
                log.info("late request refused: %s", error)

        task = asyncio.get_running_loop().create_task(later())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _edge(self, endpoint: Endpoint, params: Params, credentials: Credentials, wire: str) -> Edge:
        key = credentials.session_key or self.venue.exchange.accounts.keys.get(credentials.api_key or "")
        return Edge(
            paths=(endpoint.path, wire),
            method=endpoint.method,
            symbol=params.values.get("symbol"),
            account_id=key.account_id if key is not None else None,
        )
