"""The futures book, trades and candles anyone may read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

from testnet.api.call import Call, Endpoint, Json, Run, Weight, fixed, nothing
from testnet.api.params import Params
from testnet.candle_json import kline_row
from testnet.errors import ApiError
from testnet.instruments import Instrument
from testnet.klines import INTERVALS, Bar, Klines
from testnet.listing import Listing
from testnet.tape import Aggregate, Trade
from testnet.usdm.api.symbols import exchange_info
from testnet.values import units_text

DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1000)
MAX_KLINES = 1_500


def get(
    path: str, weight: Weight, parse: Callable[[Call], Any], run: Run, ws_method: str | None = None
) -> Endpoint:
    """A public endpoint of this market."""
    return Endpoint("GET", path, weight, parse, run, ws_method=ws_method, market="usdm")


def listing_of(call: Call, name: str = "symbol") -> Listing:
    """The contract a mandatory parameter names."""
    return call.exchange.listing(call.params.symbol(name), "usdm")


def with_limit(default: int, maximum: int) -> Callable[[Call], tuple[Listing, int]]:
    """Parse a symbol and a limit."""
    return lambda call: (listing_of(call), call.params.limit(default, maximum))


# -- the book ------------------------------------------------------------------------------


def shown_id(update_id: int) -> int:
    """An update id as the futures market shows it.

    Events end on even ids and snapshots on the odd id after them, so that the event after a snapshot always
    begins at or before it (U <= lastUpdateId <= u), also when nothing changed between event and snapshot.
    """
    return 2 * update_id


def depth_json(listing: Listing, limit: int, server_ms: int, market_ms: int) -> dict[str, Any]:
    """Both sides of the book as REST shows it."""
    instrument, book = listing.instrument, listing.book
    return {
        "lastUpdateId": shown_id(book.update_id) + 1,
        "E": server_ms,
        "T": market_ms,
        "bids": [[instrument.price_text(p), instrument.qty_text(q)] for p, q in book.bids.top(limit)],
        "asks": [[instrument.price_text(p), instrument.qty_text(q)] for p, q in book.asks.top(limit)],
    }


def _depth_parse(call: Call) -> tuple[Listing, int]:
    listing = listing_of(call)
    limit = call.params.integer("limit", 500)
    if limit not in DEPTH_LIMITS:
        raise ApiError(-4021, f"{limit} is not valid depth limit")
    return listing, limit


def _depth_weight(params: Params) -> int:
    limit = params.integer("limit", 500) or 500
    return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20


def _depth(call: Call, args: tuple[Listing, int]) -> Json:
    return depth_json(*args, call.venue.server_ms(), call.exchange.now_ms())


# -- trades --------------------------------------------------------------------------------


def trade_json(instrument: Instrument, trade: Trade) -> dict[str, Any]:
    """A public trade as REST shows it."""
    return {
        "id": trade.trade_id,
        "price": instrument.price_text(trade.price),
        "qty": instrument.qty_text(trade.steps),
        "quoteQty": units_text(trade.quote),
        "time": trade.time_ms,
        "isBuyerMaker": trade.buyer_is_maker,
        "isRPITrade": False,
    }


def aggregate_json(instrument: Instrument, aggregate: Aggregate) -> dict[str, Any]:
    """An aggregate as REST and the stream show it; `nq` leaves out trades of a kind this venue lacks."""
    quantity = instrument.qty_text(aggregate.steps)
    return {
        "a": aggregate.agg_id,
        "p": instrument.price_text(aggregate.price),
        "q": quantity,
        "nq": quantity,
        "f": aggregate.first_id,
        "l": aggregate.last_id,
        "T": aggregate.time_ms,
        "m": aggregate.buyer_is_maker,
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


def _agg_trades(call: Call, args: tuple[Listing, int]) -> Json:
    listing, limit = args
    params = call.params
    from_id, start, end = params.integer("fromId"), params.time_ms("startTime"), params.time_ms("endTime")
    rows = listing.tape.aggregates_between(from_id, start, end, limit)
    return [aggregate_json(listing.instrument, row) for row in rows]


# -- candles -------------------------------------------------------------------------------


class Span(NamedTuple):
    """Which candles of a contract were asked for."""

    listing: Listing
    interval: str
    start_ms: int | None
    end_ms: int | None
    limit: int

    def of(self, klines: Klines) -> list[Bar]:
        """The candles."""
        return klines.select(self.interval, self.start_ms, self.end_ms, self.limit)


def span_parse(name: str) -> Callable[[Call], Span]:
    """Parse symbol or pair, interval, times and limit."""

    def parse(call: Call) -> Span:
        params = call.params
        listing = listing_of(call, name)
        if name == "pair" and params.has("contractType") and params.text("contractType") != "PERPETUAL":
            raise ApiError(-4144, "Invalid contractType.")
        interval = params.choice("interval", INTERVALS, -1120, "Invalid interval.")
        start, end = params.time_ms("startTime"), params.time_ms("endTime")
        return Span(listing, interval, start, end, params.limit(500, MAX_KLINES))

    return parse


def klines_weight(params: Params) -> int:
    """The more candles, the heavier."""
    limit = params.integer("limit", 500) or 500
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1_000 else 10


def _klines(call: Call, span: Span) -> Json:
    instrument = span.listing.instrument
    return [kline_row(instrument, span.interval, bar) for bar in span.of(span.listing.klines)]


ENDPOINTS = [
    get("/fapi/v1/ping", fixed(1), nothing, lambda call, _: {}, "ping"),
    get("/fapi/v1/time", fixed(1), nothing, lambda call, _: {"serverTime": call.venue.server_ms()}, "time"),
    get("/fapi/v1/exchangeInfo", fixed(1), nothing, exchange_info),
    get("/fapi/v1/depth", _depth_weight, _depth_parse, _depth, "depth"),
    get("/fapi/v1/trades", fixed(5), with_limit(500, 1_000), _trades),
    get("/fapi/v1/historicalTrades", fixed(20), with_limit(100, 500), _historical_trades),
    get("/fapi/v1/aggTrades", fixed(20), with_limit(500, 1_000), _agg_trades),
    get("/fapi/v1/klines", klines_weight, span_parse("symbol"), _klines),
    get("/fapi/v1/continuousKlines", klines_weight, span_parse("pair"), _klines),
]
