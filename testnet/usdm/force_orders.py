"""Tells the public streams of liquidations, beside whoever hears of a market's orders."""

from __future__ import annotations

from collections.abc import Callable

from testnet.exchange import OrderListener
from testnet.orders import Fill, Order

LIQUIDATION_ID = "autoclose-"  # how the client ids of liquidation orders begin


class ForceOrders:
    """An order listener that passes everything on and announces every liquidation order that ends."""

    def __init__(self, inner: OrderListener, announce: Callable[[Order], None]) -> None:
        self._inner = inner
        self._announce = announce

    def order_event(self, order: Order, fill: Fill | None, cancel_id: str | None) -> None:
        """Pass an event on."""
        self._inner.order_event(order, fill, cancel_id)
        if not order.is_open and order.client_order_id.startswith(LIQUIDATION_ID):
            self._announce(order)
