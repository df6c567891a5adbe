"""The `/sapi` routes clients ask for at start, and the empty coin-margined market."""

from __future__ import annotations

from typing import Any

from testnet.api.call import Call, Endpoint, Json, fixed, nothing
from testnet.api.limits import RATE_LIMITS
from testnet.errors import ApiError
from testnet.listing import Listing
from testnet.values import trimmed_text, units_text


def _restrictions(call: Call, _: None) -> Json:
    key = call.key
    allowed = key.permissions if key is not None else None
    return {
        "ipRestrict": bool(allowed and allowed.ip_restricted),
        "createTime": key.created_ms if key is not None else 0,
        "enableReading": bool(allowed and allowed.read),
        "enableWithdrawals": bool(allowed and allowed.withdraw),
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": bool(allowed and allowed.futures),
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": bool(allowed and allowed.trade),
        "enablePortfolioMarginTrading": False,
    }


def _trade_fee_parse(call: Call) -> list[Listing]:
    if call.params.has("symbol"):
        return [call.exchange.listing(call.params.symbol())]
    return list(call.exchange.spot.listings.values())


def _trade_fee(call: Call, listings: list[Listing]) -> Json:
    return [
        {
            "symbol": listing.instrument.symbol,
            "makerCommission": trimmed_text(call.owner.maker_rate),
            "takerCommission": trimmed_text(call.owner.taker_rate),
        }
        for listing in listings
    ]


def _coins(call: Call, _: None) -> Json:
    assets = sorted(call.exchange.accounts.market.balances)
    return [_coin(call, asset) for asset in assets]


def _coin(call: Call, asset: str) -> dict[str, Any]:
    balance = call.owner.balances.get(asset)
    return {
        "coin": asset,
        "name": asset,
        "depositAllEnable": True,
        "withdrawAllEnable": False,
        "free": units_text(balance.free if balance else 0),
        "locked": units_text(balance.locked if balance else 0),
        "freeze": "0",
        "withdrawing": "0",
        "ipoing": "0",
        "ipoable": "0",
        "storage": "0",
        "isLegalMoney": False,
        "trading": True,
        "networkList": [],
    }


def _asset_parse(call: Call) -> str | None:
    return call.params.values.get("asset") or None


def _user_assets(call: Call, asset: str | None) -> Json:
    return [
        {
            "asset": name,
            "free": units_text(balance.free),
            "locked": units_text(balance.locked),
            "freeze": "0",
            "withdrawing": "0",
            "ipoable": "0",
            "btcValuation": "0",
        }
        for name, balance in sorted(call.owner.balances.items())
        if asset in (None, name) and (balance.free or balance.locked)
    ]


def _burn(call: Call, _: None) -> Json:
    return {"spotBNBBurn": call.owner.bnb_burn, "interestBNBBurn": False}


def _set_burn_parse(call: Call) -> bool:
    params = call.params
    if not params.has("spotBNBBurn") and not params.has("interestBNBBurn"):
        raise ApiError(
            -1102, "Param 'spotBNBBurn' or 'interestBNBBurn' must be sent, but both were empty/null!"
        )
    params.boolean("interestBNBBurn", default=False)
    return params.boolean("spotBNBBurn", default=False)


def _set_burn(call: Call, burn: bool) -> Json:
    if call.params.has("spotBNBBurn"):
        call.exchange.spot_market.set_bnb_burn(call.owner, burn=burn)
    return _burn(call, None)


def _no_margin(call: Call, _: None) -> Json:
    # No symbol trades on margin.
    return []


def _status(call: Call, _: None) -> Json:
    return {"status": 0, "msg": "normal"}


def _account_status(call: Call, _: None) -> Json:
    return {"data": "Normal"}


def _coin_margined(call: Call, _: None) -> Json:
    return {
        "timezone": "UTC",
        "serverTime": call.venue.server_ms(),
        "rateLimits": RATE_LIMITS,
        "exchangeFilters": [],
        "symbols": [],
    }


ENDPOINTS = [
    Endpoint("GET", "/sapi/v1/account/apiRestrictions", fixed(1), nothing, _restrictions, "USER_DATA"),
    Endpoint("GET", "/sapi/v1/asset/tradeFee", fixed(1), _trade_fee_parse, _trade_fee, "USER_DATA"),
    Endpoint("GET", "/sapi/v1/capital/config/getall", fixed(10), nothing, _coins, "USER_DATA"),
    Endpoint("POST", "/sapi/v3/asset/getUserAsset", fixed(5), _asset_parse, _user_assets, "USER_DATA"),
    Endpoint("GET", "/sapi/v1/bnbBurn", fixed(1), nothing, _burn, "USER_DATA"),
    Endpoint("POST", "/sapi/v1/bnbBurn", fixed(1), _set_burn_parse, _set_burn, "USER_DATA"),
    Endpoint("GET", "/sapi/v1/margin/allPairs", fixed(1), nothing, _no_margin),
    Endpoint("GET", "/sapi/v1/margin/isolated/allPairs", fixed(10), nothing, _no_margin, "USER_STREAM"),
    Endpoint("GET", "/sapi/v1/system/status", fixed(1), nothing, _status),
    Endpoint("GET", "/sapi/v1/account/status", fixed(1), nothing, _account_status, "USER_DATA"),
    Endpoint("GET", "/dapi/v1/exchangeInfo", fixed(1), nothing, _coin_margined),
]
