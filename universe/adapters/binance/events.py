"""Typed market stream events, and the parser from Binance's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trading.domain.values import decimal_of


@dataclass(frozen=True, slots=True)
class KlineEvent:
    """A bar while it forms and, once, when it has closed; times are market time."""

    symbol: str
    interval: str
    open_time_ms: int
    close_time_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    taker_base: Decimal
    taker_quote: Decimal
    closed: bool
    received_ns: int


@dataclass(frozen=True, slots=True)
class BookTickerEvent:
    """Best bid and ask; spot carries no time of its own. An empty side is None."""

    symbol: str
    bid: Decimal | None
    bid_quantity: Decimal
    ask: Decimal | None
    ask_quantity: Decimal
    update_id: int
    received_ns: int


@dataclass(frozen=True, slots=True)
class TradeEvent:
    """One trade, or one aggregate trade; `buyer_is_maker` means that the taker sold."""

    symbol: str
    trade_id: int
    price: Decimal
    quantity: Decimal
    trade_time_ms: int
    buyer_is_maker: bool
    received_ns: int


@dataclass(frozen=True, slots=True)
class MarkPriceEvent:
    """USD-M: the price margins are judged by, and what the running interval would pay; times are market time."""

    symbol: str
    mark: Decimal
    index: Decimal
    funding_rate: Decimal
    next_funding_ms: int
    received_ns: int


@dataclass(frozen=True, slots=True)
class Connected:
    """Every stream is subscribed; what happened before this moment may be missing.

    Events of streams subscribed first may come before it.
    """

    at_ns: int
    connections: int
    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disconnected:
    """Nothing arrives until the next Connected; back-fill from here."""

    at_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class SubscriptionRefused:
    """The venue would not subscribe these streams; they are no longer asked for."""

    at_ns: int
    streams: tuple[str, ...]
    message: str


MarketEvent = KlineEvent | BookTickerEvent | TradeEvent | MarkPriceEvent
StreamEvent = MarketEvent | Connected | Disconnected | SubscriptionRefused


def parse_market_event(data: Mapping[str, Any], received_ns: int) -> MarketEvent | None:
    """Read the `data` member of a combined stream message; None for a kind we do not use.

    Raises
    ------
    ValueError, KeyError, TypeError : a kind we use, without what it must carry.
    """
    kind = data.get("e")
    if kind == "kline":
        k = data["k"]
        return KlineEvent(
            symbol=str(data["s"]),
            interval=str(k["i"]),
            open_time_ms=int(k["t"]),
            close_time_ms=int(k["T"]),
            open=decimal_of(str(k["o"])),
            high=decimal_of(str(k["h"])),
            low=decimal_of(str(k["l"])),
            close=decimal_of(str(k["c"])),
            volume=decimal_of(str(k["v"])),
            quote_volume=decimal_of(str(k["q"])),
            trades=int(k["n"]),
            taker_base=decimal_of(str(k["V"])),
            taker_quote=decimal_of(str(k["Q"])),
            closed=k["x"] is True,
            received_ns=received_ns,
        )
    if kind in ("trade", "aggTrade"):
        return TradeEvent(
            symbol=str(data["s"]),
            trade_id=int(data["t"] if kind == "trade" else data["a"]),
            price=decimal_of(str(data["p"])),
            quantity=decimal_of(str(data["q"])),
            trade_time_ms=int(data["T"]),
            buyer_is_maker=data["m"] is True,
            received_ns=received_ns,
        )
    if kind == "markPriceUpdate":
        return MarkPriceEvent(
            symbol=str(data["s"]),
            mark=decimal_of(str(data["p"])),
            index=decimal_of(str(data["i"])),
            # A contract that pays no funding has an empty rate and no time.
            funding_rate=decimal_of(str(data.get("r") or 0)),
            next_funding_ms=int(data.get("T") or 0),
            received_ns=received_ns,
        )
    # Spot's bookTicker has no event name; futures' says it.
    if kind == "bookTicker" or (kind is None and "u" in data and "A" in data):
        bid, ask = decimal_of(str(data["b"])), decimal_of(str(data["a"]))
        return BookTickerEvent(
            symbol=str(data["s"]),
            bid=bid if bid > 0 else None,
            bid_quantity=decimal_of(str(data["B"])),
            ask=ask if ask > 0 else None,
            ask_quantity=decimal_of(str(data["A"])),
            update_id=int(data["u"]),
            received_ns=received_ns,
        )
    return None
