"""exchangeInfo of the futures market."""

from __future__ import annotations

from typing import Any

from testnet.api.call import Call, Json
from testnet.api.limits import USDM_RATE_LIMITS
from testnet.instruments import Instrument
from testnet.listing import Listing
from testnet.usdm.catalog import MARGIN_ASSETS
from testnet.usdm.mark import terms_of
from testnet.values import fixed_text, trimmed_text

ORDER_TYPES = [
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
]
TIMES_IN_FORCE = ["GTC", "IOC", "FOK", "GTX", "GTD"]
# Two members that no rule uses any more; the venue still sends them, with these values for every symbol.
_OLD_MARGINS = {"maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000"}


def exchange_info(call: Call, _: None) -> Json:
    """Limits, assets and every listed contract."""
    return {
        "timezone": "UTC",
        "serverTime": call.venue.server_ms(),
        "futuresType": "U_MARGINED",
        "rateLimits": USDM_RATE_LIMITS,
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "0"} for asset in MARGIN_ASSETS
        ],
        "symbols": [symbol_info(listing) for listing in call.exchange.usdm.listings.values()],
    }


def symbol_info(listing: Listing) -> dict[str, Any]:
    """The symbol object of exchangeInfo."""
    instrument, terms = listing.instrument, terms_of(listing)
    return {
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "contractType": terms.contract_type,
        "deliveryDate": terms.delivery_ms,
        "onboardDate": terms.onboard_ms,
        "status": listing.status.value,
        **_OLD_MARGINS,
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.quote,
        "pricePrecision": terms.price_precision,
        "quantityPrecision": terms.quantity_precision,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": terms.underlying_type,
        "underlyingSubType": list(terms.underlying_sub_types),
        "settlePlan": 0,
        "triggerProtect": fixed_text(terms.trigger_protect, 4),
        "liquidationFee": fixed_text(terms.liquidation_fee, 6),
        "marketTakeBound": fixed_text(terms.market_take_bound, 2),
        "filters": filters(instrument, listing),
        "orderTypes": ORDER_TYPES,
        "timeInForce": TIMES_IN_FORCE,
    }


def filters(instrument: Instrument, listing: Listing) -> list[dict[str, Any]]:
    """The filter objects; amounts without trailing zeros beyond the contract's precision."""
    terms = terms_of(listing)
    price, quantity = terms.price_precision, terms.quantity_precision
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": fixed_text(instrument.min_price, price),
            "maxPrice": trimmed_text(instrument.max_price),
            "tickSize": fixed_text(instrument.tick_size, price),
        },
        {
            "filterType": "LOT_SIZE",
            "stepSize": fixed_text(instrument.step_size, quantity),
            "maxQty": trimmed_text(instrument.max_qty),
            "minQty": fixed_text(instrument.min_qty, quantity),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "stepSize": fixed_text(instrument.step_size, quantity),
            "maxQty": trimmed_text(instrument.market_max_qty),
            "minQty": fixed_text(instrument.min_qty, quantity),
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": instrument.max_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": terms.max_algo_orders},
        {"filterType": "MIN_NOTIONAL", "notional": trimmed_text(instrument.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": fixed_text(terms.multiplier_up, 4),
            "multiplierDown": fixed_text(terms.multiplier_down, 4),
            "multiplierDecimal": "4",
        },
    ]
