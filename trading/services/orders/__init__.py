"""Asking for orders, taking them back, and waiting for what becomes of them."""

from trading.services.orders.cancel import order_cancel_request, orders_cancel_request
from trading.services.orders.change import order_change
from trading.services.orders.request import OrderOutcome, order_request
from trading.services.orders.submission import OrderDenied, Submission
from trading.services.orders.submit import order_submit
from trading.services.orders.wait import order_wait

__all__ = [
    "OrderDenied",
    "OrderOutcome",
    "Submission",
    "order_cancel_request",
    "order_change",
    "order_request",
    "order_submit",
    "order_wait",
    "orders_cancel_request",
]
