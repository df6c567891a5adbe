"""Market data anyone may read."""

from __future__ import annotations

from itertools import islice
from typing import Any

from testnet.api.call import Call, Endpoint, Json, fixed, nothing
from testnet.api.limits import RATE_LIMITS
from testnet.api.params import Params
from testnet.candle_json import kline_row
from testnet.errors import ApiError
from testnet.instruments import Instrument
from testnet.klines import ONE_SECOND
from testnet.listing import Listing
from testnet.tape import Aggregate, Trade
from testnet.values import units_text

SYMBOL_STATUSES = ("TRADING", "END_OF_DAY", "HALT", "BREAK", "CANCEL_ONLY")


def _exchange_info_parse(call: Call) -> list[str] | None:
    names = call.params.symbols()
    for name in names or ():
        call.exchange.listing(name)
    status = call.params.values.get("symbolStatus")
    if status and status not in SYMBOL_STATUSES:
        raise ApiError(-1122, "Invalid symbolStatus.")
    if status and names:
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    return names


def _exchange_info(call: Call, names: list[str] | None) -> Json:
    listings = call.exchange.spot.listings
    status = call.params.values.get("symbolStatus")
    return {
        "timezone": "UTC",
        "serverTime": call.venue.server_ms(),
        "rateLimits": RATE_LIMITS,
        "exchangeFilters": [],
        "symbols": [
            listings[name].instrument.info(listings[name].status.value)
            for name in names or listings
            if not status or listings[name].status.value == status
        ],
    }


def _listing(call: Call) -> Listing:
    return call.exchange.listing(call.params.symbol())


def _with_limit(default: int, maximum: int) -> Any:
    def parse(call: Call) -> tuple[Listing, int]:
        return _listing(call), call.params.limit(default, maximum)

    return parse


def depth_json(listing: Listing, limit: int) -> dict[str, Any]:
    """Both sides of the book as REST and the partial streams show it."""
    instrument, book = listing.instrument, listing.book
    return {
        "lastUpdateId": book.update_id,
        "bids": [[instrument.price_text(p), instrument.qty_text(q)] for p, q in book.bids.top(limit)],
        "asks": [[instrument.price_text(p), instrument.qty_text(q)] for p, q in book.asks.top(limit)],
    }


def _depth_weight(params: Params) -> int:
    limit = params.integer("limit", 100) or 100
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


def trade_json(instrument: Instrument, trade: Trade) -> dict[str, Any]:
    """A public trade as REST shows it."""
    return {
        "id": trade.trade_id,
        "price": instrument.price_text(trade.price),
        "qty": instrument.qty_text(trade.steps),
        "quoteQty": units_text(trade.quote),
        "time": trade.time_ms,
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def _trades(call: Call, args: tuple[Listing, int]) -> Json:
    listing, limit = args
    return [trade_json(listing.instrument, trade) for trade in list(listing.tape.trades)[-limit:]]


def _historical_trades(call: Call, args: tuple[Listing, int]) -> Json:
    listing, limit = args
    from_id = call.params.integer("fromId")
    if from_id is None:
        return _trades(call, args)
    found = (trade for trade in listing.tape.trades if trade.trade_id >= from_id)
    return [trade_json(listing.instrument, trade) for trade in islice(found, limit)]


def aggregate_json(instrument: Instrument, aggregate: Aggregate) -> dict[str, Any]:
    """An aggregate as REST shows it; the stream adds three members."""
    return {
        "a": aggregate.agg_id,
        "p": instrument.price_text(aggregate.price),
        "q": instrument.qty_text(aggregate.steps),
        "f": aggregate.first_id,
        "l": aggregate.last_id,
        "T": aggregate.time_ms,
        "m": aggregate.buyer_is_maker,
        "M": True,
    }


def _agg_trades(call: Call, args: tuple[Listing, int]) -> Json:
    listing, limit = args
    params = call.params
    from_id, start, end = params.integer("fromId"), params.time_ms("startTime"), params.time_ms("endTime")
    rows = listing.tape.aggregates_between(from_id, start, end, limit)
    return [aggregate_json(listing.instrument, row) for row in rows]


def _klines_parse(call: Call) -> tuple[Listing, str, int | None, int | None, int]:
    params = call.params
    listing, interval = _listing(call), params.interval(ONE_SECOND)
    return (
        listing,
        interval,
        params.time_ms("startTime"),
        params.time_ms("endTime"),
        params.limit(500, 1000),
    )


def _klines(call: Call, args: tuple[Listing, str, int | None, int | None, int]) -> Json:
    listing, interval, start, end, limit = args
    if interval == ONE_SECOND:
        bars = listing.klines.seconds.select(start, end, limit, call.exchange.now_ms())
    else:
        bars = listing.klines.select(interval, start, end, limit)
    return [kline_row(listing.instrument, interval, bar) for bar in bars]


def _avg_price(call: Call, listing: Listing) -> Json:
    return {
        "mins": listing.instrument.avg_price_mins,
        "price": units_text(listing.average_price()),
        "closeTime": call.exchange.now_ms(),
    }


def day_json(listing: Listing, now_ms: int) -> dict[str, Any]:
    """The 24-hour ticker as REST shows it."""
    instrument, day, tape = listing.instrument, listing.day(now_ms), listing.tape
    bid, ask = listing.book.bids.top(1) or [(0, 0)], listing.book.asks.top(1) or [(0, 0)]
    change = (day.last - day.open) * instrument.tick
    percent = round((day.last - day.open) * 100_000 / day.open) if day.open else 0
    average = day.quote * 10**8 // (day.volume * instrument.step) if day.volume else 0
    return {
        "symbol": instrument.symbol,
        "priceChange": units_text(change),
        "priceChangePercent": f"{percent / 1000:.3f}",
        "weightedAvgPrice": units_text(average),
        "prevClosePrice": instrument.price_text(day.previous_close),
        "lastPrice": instrument.price_text(tape.last_price),
        "lastQty": instrument.qty_text(tape.last_steps),
        "bidPrice": instrument.price_text(bid[0][0]),
        "bidQty": instrument.qty_text(bid[0][1]),
        "askPrice": instrument.price_text(ask[0][0]),
        "askQty": instrument.qty_text(ask[0][1]),
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


_MINI = (
    "symbol",
    "openPrice",
    "highPrice",
    "lowPrice",
    "lastPrice",
    "volume",
    "quoteVolume",
    "openTime",
    "closeTime",
    "firstId",
    "lastId",
    "count",
)


def _ticker_parse(call: Call) -> tuple[list[Listing], bool]:
    names = call.params.symbols()
    single = call.params.has("symbol")
    listings = call.exchange.spot.listings
    chosen = [call.exchange.listing(name) for name in names] if names else list(listings.values())
    return chosen, single


def _each(single: bool, rows: list[dict[str, Any]]) -> Json:
    return rows[0] if single else rows


def _day(call: Call, args: tuple[list[Listing], bool]) -> Json:
    kind = call.params.values.get("type") or "FULL"
    if kind not in ("FULL", "MINI"):
        raise ApiError(-1139, "Invalid ticker type.")
    rows = [day_json(listing, call.exchange.now_ms()) for listing in args[0]]
    if kind == "MINI":
        rows = [{name: row[name] for name in _MINI} for row in rows]
    return _each(args[1], rows)


def _price(call: Call, args: tuple[list[Listing], bool]) -> Json:
    rows = [
        {"symbol": x.instrument.symbol, "price": x.instrument.price_text(x.tape.last_price)} for x in args[0]
    ]
    return _each(args[1], rows)


def _book_ticker(call: Call, args: tuple[list[Listing], bool]) -> Json:
    rows = []
    for listing in args[0]:
        instrument = listing.instrument
        bid = (listing.book.bids.top(1) or [(0, 0)])[0]
        ask = (listing.book.asks.top(1) or [(0, 0)])[0]
        rows.append(
            {
                "symbol": instrument.symbol,
                "bidPrice": instrument.price_text(bid[0]),
                "bidQty": instrument.qty_text(bid[1]),
                "askPrice": instrument.price_text(ask[0]),
                "askQty": instrument.qty_text(ask[1]),
            }
        )
    return _each(args[1], rows)


def _ticker_weight(one: int, every: int) -> Any:
    def weight(params: Params) -> int:
        return one if params.has("symbol") or params.has("symbols") else every

    return weight


ENDPOINTS = [
    Endpoint("GET", "/api/v3/ping", fixed(1), nothing, lambda call, _: {}, ws_method="ping"),
    Endpoint(
        "GET",
        "/api/v3/time",
        fixed(1),
        nothing,
        lambda call, _: {"serverTime": call.venue.server_ms()},
        ws_method="time",
    ),
    Endpoint(
        "GET",
        "/api/v3/exchangeInfo",
        fixed(20),
        _exchange_info_parse,
        _exchange_info,
        ws_method="exchangeInfo",
    ),
    Endpoint(
        "GET",
        "/api/v3/depth",
        _depth_weight,
        _with_limit(100, 5000),
        lambda call, args: depth_json(*args),
        ws_method="depth",
    ),
    Endpoint("GET", "/api/v3/trades", fixed(25), _with_limit(500, 1000), _trades, ws_method="trades.recent"),
    Endpoint(
        "GET",
        "/api/v3/historicalTrades",
        fixed(25),
        _with_limit(500, 1000),
        _historical_trades,
        ws_method="trades.historical",
    ),
    Endpoint(
        "GET",
        "/api/v3/aggTrades",
        fixed(4),
        _with_limit(500, 1000),
        _agg_trades,
        ws_method="trades.aggregate",
    ),
    Endpoint("GET", "/api/v3/klines", fixed(2), _klines_parse, _klines, ws_method="klines"),
    Endpoint("GET", "/api/v3/uiKlines", fixed(2), _klines_parse, _klines, ws_method="uiKlines"),
    Endpoint("GET", "/api/v3/avgPrice", fixed(2), _listing, _avg_price, ws_method="avgPrice"),
    Endpoint(
        "GET", "/api/v3/ticker/24hr", _ticker_weight(2, 80), _ticker_parse, _day, ws_method="ticker.24hr"
    ),
    Endpoint(
        "GET",
        "/api/v3/ticker/price",
        _ticker_weight(2, 4),
        _ticker_parse,
        _price,
        ws_method="ticker.price",
    ),
    Endpoint(
        "GET",
        "/api/v3/ticker/bookTicker",
        _ticker_weight(2, 4),
        _ticker_parse,
        _book_ticker,
        ws_method="ticker.book",
    ),
]
