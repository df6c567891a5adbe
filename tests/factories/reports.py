"""What a venue tells of one order, from every source that tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from trading.domain.ports import OrderReport, TradeReport
from trading.domain.values import Side
from trading.models import Order


@dataclass(frozen=True, slots=True)
class Told:
    """One message: a report, trades, or both, and its source."""

    report: OrderReport | None
    trades: tuple[TradeReport, ...]
    source: str


def trade_of(
    order: Order,
    trade_id: int,
    quantity: str,
    price: str,
    *,
    fee: str = "0",
    fee_asset: str = "USDT",
    venue_order_id: int = 900,
    quote: str | None = None,
) -> TradeReport:
    """One execution of an order."""
    return TradeReport(
        symbol=order.instrument.symbol,
        trade_id=trade_id,
        venue_order_id=venue_order_id,
        side=Side(order.side),
        price=Decimal(price),
        quantity=Decimal(quantity),
        quote_quantity=Decimal(quote) if quote else Decimal(price) * Decimal(quantity),
        commission=Decimal(fee),
        commission_asset=fee_asset,
        maker=False,
        time_ms=1_700_000_000_000 + trade_id,
        client_order_id=order.client_order_id,
    )


def report_of(
    order: Order,
    status: str,
    trades: Sequence[TradeReport] = (),
    *,
    fills: Sequence[TradeReport] = (),
    venue_order_id: int = 900,
) -> OrderReport:
    """The order with `trades` executed so far; `fills` are those the message itself carries."""
    return OrderReport(
        symbol=order.instrument.symbol,
        client_order_id=order.client_order_id,
        venue_order_id=venue_order_id,
        side=Side(order.side),
        type="LIMIT",
        time_in_force="GTC",
        price=order.price or Decimal(0),
        quantity=order.quantity,
        executed_quantity=sum((t.quantity for t in trades), Decimal(0)),
        cumulative_quote=sum((t.quote_quantity for t in trades), Decimal(0)),
        status=status,
        time_ms=1_700_000_000_000,
        fills=tuple(fills),
    )


def everything_told(order: Order, trades: Sequence[TradeReport], end: str) -> list[Told]:
    """Every message a venue may send of an order that got these trades and this end.

    The answer of the placement, one stream event per trade and one of the end, a query and the trade list.
    """
    filled = sum((t.quantity for t in trades), Decimal(0)) == order.quantity
    told = [Told(report_of(order, "NEW"), (), "stream")]
    for n, trade in enumerate(trades, 1):
        status = "FILLED" if filled and n == len(trades) else "PARTIALLY_FILLED"
        report = report_of(order, status, trades[:n], fills=[trade])
        told.append(Told(report, (trade,), "stream"))
    final = report_of(order, end, trades)
    told += [
        Told(final, (), "stream"),
        Told(replace(final, fills=tuple(trades)), tuple(trades), "response"),
        Told(final, tuple(trades), "query"),
        Told(None, tuple(trades), "sweep"),
    ]
    return told
