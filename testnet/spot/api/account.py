"""Balances, commissions and the account helpers clients ask for at start."""

from __future__ import annotations

from typing import Any

from testnet.accounts import balances_json
from testnet.api.call import Call, Endpoint, Json, fixed, nothing
from testnet.api.limits import RATE_LIMITS
from testnet.listing import Listing
from testnet.values import SCALE, trimmed_text, units_text

_BASIS_POINT = SCALE // 10_000


def _account_parse(call: Call) -> bool:
    return call.params.boolean("omitZeroBalances", default=False)


def _account(call: Call, omit_zero: bool) -> Json:
    account, key = call.owner, call.key
    maker, taker = account.maker_rate, account.taker_rate
    return {
        "makerCommission": maker // _BASIS_POINT,
        "takerCommission": taker // _BASIS_POINT,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": units_text(maker),
            "taker": units_text(taker),
            "buyer": units_text(0),
            "seller": units_text(0),
        },
        "canTrade": bool(key and key.permissions.trade),
        "canWithdraw": bool(key and key.permissions.withdraw),
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": account.updated_ms,
        "accountType": "SPOT",
        "balances": balances_json(account, omit_zero=omit_zero, zero=call.zero_balances),
        "permissions": ["SPOT"],
        "uid": account.uid,
    }


def _one_symbol(call: Call) -> Listing:
    return call.exchange.listing(call.params.symbol())


def _commission(call: Call, listing: Listing) -> Json:
    rates = {
        "maker": units_text(call.owner.maker_rate),
        "taker": units_text(call.owner.taker_rate),
        "buyer": units_text(0),
        "seller": units_text(0),
    }
    zero = dict.fromkeys(rates, units_text(0))
    return {
        "symbol": listing.instrument.symbol,
        "standardCommission": rates,
        "specialCommission": zero,
        "taxCommission": zero,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": units_text(SCALE * 3 // 4),
        },
    }


def _order_limits(call: Call, _: None) -> Json:
    counts = call.venue.limits.order_counts(call.owner.account_id, call.venue.server_ms())
    rows = [limit for limit in RATE_LIMITS if limit["rateLimitType"] == "ORDERS"]
    return [{**limit, "count": count} for limit, count in zip(rows, counts, strict=True)]


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
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": bool(allowed and allowed.trade),
        "enablePortfolioMarginTrading": False,
    }


def _trade_fee_parse(call: Call) -> list[Listing]:
    if call.params.has("symbol"):
        return [_one_symbol(call)]
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


ENDPOINTS = [
    Endpoint("GET", "/api/v3/account", fixed(20), _account_parse, _account, "USER_DATA", "account.status"),
    Endpoint(
        "GET",
        "/api/v3/account/commission",
        fixed(20),
        _one_symbol,
        _commission,
        "USER_DATA",
        "account.commission",
    ),
    Endpoint(
        "GET",
        "/api/v3/rateLimit/order",
        fixed(40),
        nothing,
        _order_limits,
        "USER_DATA",
        "account.rateLimits.orders",
    ),
    Endpoint("GET", "/sapi/v1/account/apiRestrictions", fixed(1), nothing, _restrictions, "USER_DATA"),
    Endpoint("GET", "/sapi/v1/asset/tradeFee", fixed(1), _trade_fee_parse, _trade_fee, "USER_DATA"),
    Endpoint("GET", "/sapi/v1/capital/config/getall", fixed(10), nothing, _coins, "USER_DATA"),
]
