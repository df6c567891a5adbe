"""The HTTP wire: raw text in, JSON out, weights in the headers."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from testnet.api.call import Call, Endpoint
from testnet.api.gate import BY_PATH, ConnectionCut, Credentials, Gate
from testnet.api.params import Params
from testnet.api.security import split_signature
from testnet.api.time_unit import MICROSECOND, in_microseconds, time_unit
from testnet.errors import ApiError

MAX_BODY = 64 * 1024
_WIRES = {"spot": "/api", "usdm": "/fapi"}


class Rest:
    """Serves every `/api` and `/sapi` path."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; only an injected cut leaves it without an answer."""
        path, _, query = request.raw_path.partition("?")
        address = request.remote or "local"
        endpoint = BY_PATH.get((request.method, path))
        market = endpoint.market if endpoint is not None else _market_of(path)
        call: Call | None = None
        try:
            if endpoint is None:
                self._gate.charge(address, 1, market)
                raise ApiError(-5000, f"Path {path}, Method {request.method} is invalid", 404)
            body = (await request.read()).decode("utf-8", "replace") if request.can_read_body else ""
            unit = time_unit(request.headers.get("X-MBX-TIME-UNIT"))
            call, answer = await self._serve(endpoint, request, address, query, body)
        except ApiError as error:
            return self._response(error.body(), address, error.status, error.retry_after_s, market)
        except ConnectionCut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=499)
        if unit == MICROSECOND and market == "spot":
            answer = in_microseconds(answer, endpoint.path)
        return self._response(answer, address, 200, None, market, call if endpoint.places_order else None)

    async def _serve(
        self, endpoint: Endpoint, request: web.Request, address: str, query: str, body: str
    ) -> tuple[Call, Any]:
        try:
            params = Params.from_raw(query, body, endpoint.market)
            weight = endpoint.weight(params)
        except ApiError:
            self._gate.charge(address, 1, endpoint.market)
            raise
        self._gate.charge(address, weight, endpoint.market)
        query_payload, signature = split_signature(query)
        body_payload, body_signature = split_signature(body)
        credentials = Credentials(
            request.headers.get("X-MBX-APIKEY"),
            signature or body_signature,
            (query_payload + body_payload,),
        )
        return await self._gate.run(endpoint, params, credentials, _WIRES[endpoint.market])

    def _response(
        self,
        answer: Any,
        address: str,
        status: int,
        retry_after_s: int | None,
        market: str,
        call: Call | None = None,
    ) -> web.Response:
        used = str(self._gate.venue.limits.used(address, market))
        headers = {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        if retry_after_s is not None:
            headers["Retry-After"] = str(retry_after_s)
        if call is not None and call.account is not None:
            now = self._gate.venue.server_ms()
            headers |= self._gate.venue.limits.order_headers(call.account.account_id, now, market)
        body = json.dumps(answer, separators=(",", ":")).encode()
        return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def _market_of(path: str) -> str:
    return "usdm" if path.startswith(("/fapi/", "/futures/")) else "spot"
