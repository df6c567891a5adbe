"""Balances, commissions and order counts of a spot account."""

from __future__ import annotations

from testnet.accounts import balances_json
from testnet.api.call import Call, Endpoint, Json, fixed, nothing
from testnet.listing import Listing
from testnet.spot.discounts import discount_json
from testnet.values import SCALE, units_text

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
        "discount": discount_json(call.owner),
    }


def _order_limits(call: Call, _: None) -> Json:
    return call.venue.limits.order_rows(call.owner.account_id, call.venue.server_ms())


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
]
