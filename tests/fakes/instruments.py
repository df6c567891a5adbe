"""Instruments as the venue announces them, for tests."""

from __future__ import annotations

from typing import Any

from trading.domain.values import Instrument, Market


def exchange_info_entry(symbol: str = "BTCUSDT", **changes: Any) -> dict[str, Any]:
    """Return one spot `exchangeInfo.symbols` entry with every filter; `changes` replace filter fields.

    A change is named `FILTER__field`, e.g. `LOT_SIZE__stepSize="0.01"`; others replace members.
    """
    base, quote = symbol[:-4], symbol[-4:]
    entry: dict[str, Any] = {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "quoteAssetPrecision": 8,
        "orderTypes": [
            "LIMIT",
            "LIMIT_MAKER",
            "MARKET",
            "STOP_LOSS_LIMIT",
            "STOP_LOSS",
            "TAKE_PROFIT",
            "TAKE_PROFIT_LIMIT",
        ],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.0", "maxQty": "100.0", "stepSize": "0.0"},
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.0",
                "applyMinToMarket": True,
                "maxNotional": "9000000.0",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": "5",
                "bidMultiplierDown": "0.2",
                "askMultiplierUp": "5",
                "askMultiplierDown": "0.2",
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
    }
    for name, value in changes.items():
        kind, _, field = name.partition("__")
        if not field:
            entry[name] = value
            continue
        for item in entry["filters"]:
            if item["filterType"] == kind:
                item[field] = value
    return entry


def spot(symbol: str = "BTCUSDT", **changes: Any) -> Instrument:
    """Return a spot instrument: tick 0.01, step 0.00001, minimum notional 5, unless changed."""
    return Instrument.from_exchange_info(exchange_info_entry(symbol, **changes), Market.spot)


def usdm(symbol: str = "BTCUSDT", **changes: Any) -> Instrument:
    """Return a USD-M perpetual with the same scale."""
    return Instrument.from_exchange_info(exchange_info_entry(symbol, **changes), Market.usdm)
