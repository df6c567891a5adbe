"""Waiting for what becomes of an order, by the database's own notification."""

from __future__ import annotations

import time

import psycopg
from django.db import connection

from trading.domain.orders import TERMINAL, OrderStatus
from trading.models import Order
from trading.services.order_events import CHANGED_CHANNEL

_NOT_YET = (OrderStatus.RESERVED, OrderStatus.SENDING, OrderStatus.UNKNOWN)


def order_wait(*, order_id: int, until: str, timeout_s: float) -> Order:
    """Return the order once it is acknowledged (`ack`) or over (`fill`), or as it is when the time is over."""
    deadline = time.monotonic() + timeout_s
    with _listener() as listener:
        while True:
            order = Order.objects.select_related("account", "instrument", "strategy").get(pk=order_id)
            left = deadline - time.monotonic()
            if _reached(order, until) or left <= 0:
                return order
            for notice in listener.notifies(timeout=min(left, 0.5), stop_after=1):
                if notice.payload == str(order_id):
                    break


def _reached(order: Order, until: str) -> bool:
    status = OrderStatus(order.status)
    return status in TERMINAL if until == "fill" else status not in _NOT_YET


def _listener() -> psycopg.Connection:
    """A connection of its own: notifications do not arrive on one that is inside a transaction."""
    parameters = connection.get_connection_params()
    for name in ("cursor_factory", "context", "server_side_binding", "prepare_threshold"):
        parameters.pop(name, None)
    listener = psycopg.connect(**parameters, autocommit=True)
    listener.execute(f"LISTEN {CHANGED_CHANNEL}")
    return listener
