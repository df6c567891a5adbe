"""The futures market's public events, member by member."""

from __future__ import annotations

from typing import Any

from testnet.candle_json import candle_json
from testnet.instruments import Instrument
from testnet.klines import Bar
from testnet.listing import Listing
from testnet.orders import Order
from testnet.tape import Aggregate, Trade
from testnet.usdm.api.public import aggregate_json
from testnet.usdm.api.tickers import day_json
from testnet.usdm.mark import terms_of
from testnet.usdm.sheet import Sheet
from testnet.values import SCALE, trimmed_text, units_text

USD_MARGINED = 1  # the kind of symbol, member `st`


def trade_event(instrument: Instrument, trade: Trade, server_ms: int) -> dict[str, Any]:
    """A public trade."""
    return {
        "e": "trade",
        "E": server_ms,
        "T": trade.time_ms,
        "s": instrument.symbol,
        "t": trade.trade_id,
        "p": instrument.price_text(trade.price),
        "q": instrument.qty_text(trade.steps),
        "X": "MARKET",
        "m": trade.buyer_is_maker,
    }


def aggregate_event(instrument: Instrument, aggregate: Aggregate, server_ms: int) -> dict[str, Any]:
    """An aggregate trade."""
    row = aggregate_json(instrument, aggregate)
    return {"e": "aggTrade", "E": server_ms, "s": instrument.symbol, **row, "st": USD_MARGINED}


def candle_event(
    listing: Listing, interval: str, bar: Bar, server_ms: int, *, is_closed: bool
) -> dict[str, Any]:
    """A candle."""
    instrument = listing.instrument
    candle = candle_json(instrument, interval, bar, listing.tape.trade_id, is_closed=is_closed)
    symbol = {"s": instrument.symbol}
    return {"e": "kline", "E": server_ms, **symbol, "k": symbol | candle}


def continuous_event(
    listing: Listing, interval: str, bar: Bar, server_ms: int, *, is_closed: bool
) -> dict[str, Any]:
    """A candle of the continuous contract of a pair."""
    return {
        "e": "continuous_kline",
        "E": server_ms,
        "ps": listing.instrument.symbol,
        "ct": terms_of(listing).contract_type,
        "k": candle_json(listing.instrument, interval, bar, listing.tape.trade_id, is_closed=is_closed),
    }


def depth_event(
    instrument: Instrument,
    times: tuple[int, int],
    ids: tuple[int, int],
    bids: list[list[str]],
    asks: list[list[str]],
) -> dict[str, Any]:
    """A change of the book, or its best levels; `times` are server and market, `ids` the last event's and own."""
    return {
        "e": "depthUpdate",
        "E": times[0],
        "T": times[1],
        "s": instrument.symbol,
        "ps": instrument.symbol,
        "U": ids[0] + 1,
        "u": ids[1],
        "pu": ids[0],
        "b": bids,
        "a": asks,
        "st": USD_MARGINED,
    }


def mark_event(listing: Listing, sheet: Sheet, server_ms: int) -> dict[str, Any]:
    """The mark price, and the rate the running interval would settle at."""
    return {
        "e": "markPriceUpdate",
        "E": server_ms,
        "s": listing.instrument.symbol,
        "p": units_text(sheet.mark),
        "i": units_text(sheet.index),
        "P": units_text(sheet.settle_price()),
        "r": units_text(sheet.rate(terms_of(listing))),
        "T": sheet.next_funding_ms,
        "st": USD_MARGINED,
    }


def mini_ticker_event(listing: Listing, market_ms: int, server_ms: int) -> dict[str, Any]:
    """The short 24-hour ticker."""
    row = day_json(listing, market_ms)
    return {
        "e": "24hrMiniTicker",
        "E": server_ms,
        "s": row["symbol"],
        "ps": row["symbol"],
        "c": row["lastPrice"],
        "o": row["openPrice"],
        "h": row["highPrice"],
        "l": row["lowPrice"],
        "v": row["volume"],
        "q": row["quoteVolume"],
        "st": USD_MARGINED,
    }


def ticker_event(listing: Listing, market_ms: int, server_ms: int) -> dict[str, Any]:
    """The full 24-hour ticker; unlike spot's it has no best prices."""
    row = day_json(listing, market_ms)
    return {
        "e": "24hrTicker",
        "E": server_ms,
        "s": row["symbol"],
        "ps": row["symbol"],
        "p": row["priceChange"],
        "P": row["priceChangePercent"],
        "w": row["weightedAvgPrice"],
        "c": row["lastPrice"],
        "Q": row["lastQty"],
        "o": row["openPrice"],
        "h": row["highPrice"],
        "l": row["lowPrice"],
        "v": row["volume"],
        "q": row["quoteVolume"],
        "O": row["openTime"],
        "C": row["closeTime"],
        "F": row["firstId"],
        "L": row["lastId"],
        "n": row["count"],
        "st": USD_MARGINED,
    }


def force_event(order: Order, server_ms: int) -> dict[str, Any]:
    """A liquidation, as the public sees it."""
    instrument = order.instrument
    average = order.executed_quote // (order.executed * instrument.quote_per) if order.executed else 0
    return {
        "e": "forceOrder",
        "E": server_ms,
        "o": {
            "s": instrument.symbol,
            "S": order.side,
            "o": order.type,
            "f": order.time_in_force,
            "q": instrument.qty_text(order.steps),
            "p": instrument.price_text(order.price),
            "ap": instrument.price_text(average),
            "X": order.status.value,
            "l": instrument.qty_text(order.executed),
            "z": instrument.qty_text(order.executed),
            "T": order.updated_ms,
        },
    }


def contract_event(listing: Listing, server_ms: int) -> dict[str, Any]:
    """A contract's state and brackets; leverages count down from bracket to bracket."""
    terms = terms_of(listing)
    rows = []
    for index, bracket in enumerate(terms.brackets):
        following = terms.brackets[index + 1].leverage + 1 if index + 1 < len(terms.brackets) else 1
        rows.append(
            {
                "bs": bracket.number,
                "bnf": bracket.floor // SCALE,
                "bnc": bracket.cap // SCALE,
                "mmr": float(trimmed_text(bracket.ratio)),
                "cf": float(trimmed_text(bracket.cum)),
                "mi": following,
                "ma": bracket.leverage,
            }
        )
    return {
        "e": "contractInfo",
        "E": server_ms,
        "s": listing.instrument.symbol,
        "ps": listing.instrument.symbol,
        "ct": terms.contract_type,
        "dt": terms.delivery_ms,
        "ot": terms.onboard_ms,
        "cs": listing.status.value,
        "bks": rows,
        "st": USD_MARGINED,
    }
