"""The trades behind a report, read from where our books of a symbol end."""

from __future__ import annotations

from trading.domain.ports import ExecutionVenue, OrderReport, TradeReport
from trading.models import Order, TradeCursor


def report_trades(order: Order, report: OrderReport, venue: ExecutionVenue) -> tuple[TradeReport, ...]:
    """The trades of an order that the report counts and we have not booked; none when nothing is missing.

    Read from the symbol's cursor: what lies before it is booked, and what lies after it is listed to its end.
    """
    if report.executed_quantity <= order.executed_quantity:
        return ()
    return tuple(
        trade
        for trade in venue.trades(report.symbol, from_id=cursor_from_id(order), start_ms=None)
        if trade.venue_order_id == report.venue_order_id
    )


def cursor_from_id(order: Order) -> int | None:
    """The first trade of an order's symbol that is not booked; None where nothing was yet."""
    cursor = TradeCursor.objects.filter(account=order.account, instrument=order.instrument).first()
    return cursor.last_trade_id + 1 if cursor else None
