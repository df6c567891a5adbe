"""Moving money between an account's spot and USD-M wallets."""

from __future__ import annotations

from typing import Any

from testnet.accounts import Account
from testnet.api.call import Call, Endpoint, Json, fixed
from testnet.errors import ApiError, key_rejected, mandatory
from testnet.exchange import Exchange

TO_FUTURES, TO_SPOT = "MAIN_UMFUTURE", "UMFUTURE_MAIN"


def move(exchange: Exchange, account: Account, asset: str, units: int) -> int:
    """Move money from spot to USD-M (or back, when negative); return the transaction's number.

    Raises
    ------
    ApiError : -4044 for an asset that is no margin asset, -2010 or -2018 for too little of it.
    """
    if asset not in {listing.instrument.quote for listing in exchange.usdm.listings.values()}:
        raise ApiError(-4044, "Balance Type is invalid.")
    if units > 0:
        exchange.transfer(account, asset, -units)
        return exchange.usdm_market.transfer(account, asset, units).seq
    number = exchange.usdm_market.transfer(account, asset, units).seq
    exchange.transfer(account, asset, -units)
    return number


def _amount(call: Call) -> tuple[str, int]:
    if not call.params.has("amount"):
        raise mandatory("amount")
    asset, units = call.params.text("asset"), call.params.units("amount")
    if units <= 0:
        raise ApiError(-4055, "Amount must be positive.")
    return asset, units


def _universal_parse(call: Call) -> tuple[str, int]:
    kind = call.params.choice(
        "type", (TO_FUTURES, TO_SPOT), -1130, "Data sent for parameter 'type' is not valid."
    )
    asset, units = _amount(call)
    return asset, units if kind == TO_FUTURES else -units


def _futures_parse(call: Call) -> tuple[str, int]:
    kind = call.params.text("type")
    if kind not in ("1", "2"):
        raise ApiError(-1130, "Data sent for parameter 'type' is not valid.")
    asset, units = _amount(call)
    return asset, units if kind == "1" else -units


def _move(call: Call, asked: tuple[str, int]) -> Json:
    if call.key is None or not call.key.permissions.futures:
        raise key_rejected()
    return {"tranId": move(call.exchange, call.owner, *asked)}


def _endpoint(path: str, weight: int, parse: Any) -> Endpoint:
    return Endpoint("POST", f"/sapi/v1/{path}", fixed(weight), parse, _move, "TRADE")


ENDPOINTS: list[Endpoint] = [
    _endpoint("asset/transfer", 900, _universal_parse),
    _endpoint("futures/transfer", 1, _futures_parse),
]
