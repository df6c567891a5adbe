"""Opening, extending and closing listen keys: an API key is enough, no signature is asked for."""

from __future__ import annotations

from typing import Any

from testnet.api.call import Call, Endpoint, Json, fixed, nothing
from testnet.errors import ApiError, mandatory


def _now(call: Call) -> int:
    return call.venue.server_ms() - call.venue.clock_skew_ms


def _futures_open(call: Call, _: None) -> Json:
    return {"listenKey": call.exchange.listen_keys.open("usdm", call.owner.account_id, _now(call)).key}


def _futures_key(call: Call) -> str | None:
    return call.params.values.get("listenKey") or None


def _futures_extend(call: Call, key: str | None) -> Json:
    found = call.exchange.listen_keys.extend("usdm", call.owner.account_id, key, _now(call))
    return {"listenKey": found.key}


def _futures_close(call: Call, key: str | None) -> Json:
    call.exchange.listen_keys.close("usdm", call.owner.account_id, key)
    return {}


def _spot_switch(call: Call) -> None:
    """Know nothing of spot listen keys where they are switched off."""
    if not call.exchange.listen_keys.serves_spot:
        raise ApiError(-5000, "Path /api/v3/userDataStream is invalid", 404)


def _spot_open(call: Call, _: None) -> Json:
    return {"listenKey": call.exchange.listen_keys.open("spot", call.owner.account_id, _now(call)).key}


def _spot_key(call: Call) -> str:
    _spot_switch(call)
    if not call.params.has("listenKey"):
        raise mandatory("listenKey")
    return call.params.values["listenKey"]


def _spot_extend(call: Call, key: str) -> Json:
    call.exchange.listen_keys.extend("spot", call.owner.account_id, key, _now(call))
    return {}


def _spot_close(call: Call, key: str) -> Json:
    call.exchange.listen_keys.close("spot", call.owner.account_id, key)
    return {}


def _endpoint(market: str, method: str, parse: Any, run: Any, ws_method: str) -> Endpoint:
    path, weight = ("/fapi/v1/listenKey", 1) if market == "usdm" else ("/api/v3/userDataStream", 2)
    return Endpoint(method, path, fixed(weight), parse, run, "USER_STREAM", ws_method, market=market)


FUTURES_ENDPOINTS: list[Endpoint] = [
    _endpoint("usdm", "POST", nothing, _futures_open, "userDataStream.start"),
    _endpoint("usdm", "PUT", _futures_key, _futures_extend, "userDataStream.ping"),
    _endpoint("usdm", "DELETE", _futures_key, _futures_close, "userDataStream.stop"),
]
# The venue has taken these away; some clients still start with them.
SPOT_ENDPOINTS: list[Endpoint] = [
    _endpoint("spot", "POST", _spot_switch, _spot_open, "userDataStream.start"),
    _endpoint("spot", "PUT", _spot_key, _spot_extend, "userDataStream.ping"),
    _endpoint("spot", "DELETE", _spot_key, _spot_close, "userDataStream.stop"),
]
