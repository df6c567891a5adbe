"""What market makers show at this moment: what stands in the book, what they want there, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from nautilus_site.common.clock import now
from trading.models import Order, StrategyInstance
from trading.selectors.notation import amount_text
from trading.services.quotes_withheld import quotes_withheld
from trading.services.strategies.observing import quotes_working
from universe.models import Quote

_BPS = Decimal(10_000)
_HUNDREDTH = Decimal("0.01")


def quoting_rows(held: dict[tuple[str, str, str], Decimal]) -> list[dict[str, Any]]:
    """One row per market maker and symbol, by symbol.

    Parameters
    ----------
    held : its own holding by strategy, account and symbol, base.
    """
    makers = list(
        StrategyInstance.objects.select_related("strategy", "account__venue", "instrument")
        .filter(makes_market=True)
        .order_by("instrument__symbol", "pk")
    )
    quotes = Quote.objects.filter(instrument__in=[maker.instrument_id for maker in makers])
    books = {row.instrument_id: row for row in quotes}
    return [_row(maker, books.get(maker.instrument_id), held) for maker in makers]


def _row(
    maker: StrategyInstance, book: Quote | None, held: dict[tuple[str, str, str], Decimal]
) -> dict[str, Any]:
    # What was asked to go is on its way out; it may still trade, and counts until it is certainly gone.
    working = quotes_working(maker)
    bids = [order for order in working if order.side == "BUY"]
    asks = [order for order in working if order.side == "SELL"]
    why, wanted = quotes_withheld(maker), maker.quotes
    said: dict[str, Any] = maker.said or {}
    decision = None if maker.said else maker.decisions.order_by("-bar_open_at", "-pk").first()
    name, account, symbol = maker.strategy.name, maker.account.name, maker.instrument.symbol
    best_bid = max((order.price for order in bids if order.price is not None), default=None)
    best_ask = min((order.price for order in asks if order.price is not None), default=None)
    return {
        "id": maker.pk,
        "lamp": _lamp(why, working, wanted),
        "strategy": name,
        "account": account,
        "symbol": symbol,
        "bid": _standing(bids),
        "ask": _standing(asks),
        "wants": _wanted(wanted),
        "spread_bps": _spread(best_bid, best_ask),
        "book_spread_bps": None if book is None else _spread(book.bid, book.ask),
        "inventory": amount_text(held.get((name, account, symbol), Decimal(0))),
        "reason": why or said.get("reason") or (decision.reason if decision else None),
        "stepped_age": None
        if maker.stepped_at is None
        else max(0.0, (now() - maker.stepped_at).total_seconds()),
    }


def _lamp(why: str, working: Sequence[Order], wanted: Any) -> dict[str, str]:
    if why:
        return {"tone": "warn" if working else "off", "text": "taking back" if working else "withheld"}
    sides = {order.side for order in working}
    if len(sides) == 2:
        return {"tone": "good", "text": "both sides"}
    if sides:
        return {"tone": "warn", "text": "one side"}
    return {"tone": "warn", "text": "placing"} if wanted else {"tone": "off", "text": "no quotes"}


def _standing(orders: Sequence[Order]) -> str | None:
    told = [
        f"{amount_text(order.quantity - order.executed_quantity)} at {amount_text(order.price)}"
        for order in orders
        if order.price is not None
    ]
    return ", ".join(told) or None


def _wanted(quotes: dict[str, float] | None) -> str | None:
    if quotes is None:
        return None
    sides = [
        f"{quotes[f'{side}_price']:.10g}" if quotes[f"{side}_size"] else "no " + side
        for side in ("bid", "ask")
    ]
    return " / ".join(sides)


def _spread(bid: Decimal | None, ask: Decimal | None) -> str | None:
    """From bid to ask in basis points of their middle; None where a side is missing."""
    if bid is None or ask is None or bid + ask <= 0:
        return None
    return amount_text(((ask - bid) * 2 / (bid + ask) * _BPS).quantize(_HUNDREDTH))
