"""The 24-hour summaries and best prices of the futures market."""

from __future__ import annotations

from typing import Any

from testnet.api.call import Call, Endpoint, Json, Weight
from testnet.listing import Listing
from testnet.usdm.api.public import get
from testnet.values import units_text

Chosen = tuple[list[Listing], bool]


def _chosen(call: Call) -> Chosen:
    """The contract named, or all of them."""
    if call.params.has("symbol"):
        return [call.exchange.listing(call.params.symbol(), "usdm")], True
    return list(call.exchange.usdm.listings.values()), False


def weight(one: int, every: int) -> Weight:
    """One weight with a symbol, another for all."""
    return lambda params: one if params.has("symbol") else every


def _each(single: bool, rows: list[dict[str, Any]]) -> Json:
    return rows[0] if single else rows


def day_json(listing: Listing, now_ms: int) -> dict[str, Any]:
    """The 24-hour ticker; unlike spot's it has no best prices."""
    instrument, day, tape = listing.instrument, listing.day(now_ms), listing.tape
    percent = round((day.last - day.open) * 100_000 / day.open) if day.open else 0
    average = day.quote * 10**8 // (day.volume * instrument.step) if day.volume else 0
    return {
        "symbol": instrument.symbol,
        "priceChange": instrument.price_text(day.last - day.open),
        "priceChangePercent": f"{percent / 1000:.3f}",
        "weightedAvgPrice": instrument.price_text(average // instrument.tick),
        "lastPrice": instrument.price_text(tape.last_price),
        "lastQty": instrument.qty_text(tape.last_steps),
        "openPrice": instrument.price_text(day.open),
        "highPrice": instrument.price_text(day.high),
        "lowPrice": instrument.price_text(day.low),
        "volume": instrument.qty_text(day.volume),
        "quoteVolume": units_text(day.quote),
        "openTime": day.open_ms,
        "closeTime": day.close_ms,
        "firstId": max(0, tape.trade_id - day.trades + 1),
        "lastId": tape.trade_id,
        "count": day.trades,
    }


def _day(call: Call, args: Chosen) -> Json:
    return _each(args[1], [day_json(listing, call.exchange.now_ms()) for listing in args[0]])


def _price(call: Call, args: Chosen) -> Json:
    now = call.exchange.now_ms()
    return _each(
        args[1],
        [
            {
                "symbol": listing.instrument.symbol,
                "price": listing.instrument.price_text(listing.tape.last_price),
                "time": now,
            }
            for listing in args[0]
        ],
    )


def best_json(listing: Listing) -> tuple[str, str, str, str]:
    """Best bid and its quantity, best ask and its quantity."""
    instrument = listing.instrument
    bid = (listing.book.bids.top(1) or [(0, 0)])[0]
    ask = (listing.book.asks.top(1) or [(0, 0)])[0]
    return (
        instrument.price_text(bid[0]),
        instrument.qty_text(bid[1]),
        instrument.price_text(ask[0]),
        instrument.qty_text(ask[1]),
    )


def _book(call: Call, args: Chosen) -> Json:
    rows = []
    for listing in args[0]:
        bid, bid_qty, ask, ask_qty = best_json(listing)
        rows.append(
            {
                "symbol": listing.instrument.symbol,
                "bidPrice": bid,
                "bidQty": bid_qty,
                "askPrice": ask,
                "askQty": ask_qty,
                "time": call.exchange.now_ms(),
            }
        )
    return _each(args[1], rows)


ENDPOINTS: list[Endpoint] = [
    get("/fapi/v1/ticker/24hr", weight(1, 40), _chosen, _day),
    get("/fapi/v1/ticker/price", weight(1, 2), _chosen, _price, "ticker.price"),
    get("/fapi/v2/ticker/price", weight(1, 2), _chosen, _price),
    get("/fapi/v1/ticker/bookTicker", weight(2, 5), _chosen, _book, "ticker.book"),
]
