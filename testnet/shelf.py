"""One account's orders and fills."""

from __future__ import annotations

from dataclasses import dataclass, field

from testnet.orders import Fill, Order


@dataclass(slots=True)
class OrderShelf:
    """One account's orders and fills."""

    orders: dict[int, Order] = field(default_factory=dict)
    open_by_client_id: dict[str, Order] = field(default_factory=dict)
    latest_by_client_id: dict[str, Order] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Open orders by order id, of one symbol or all."""
        found = [
            order
            for order in self.open_by_client_id.values()
            if symbol is None or order.instrument.symbol == symbol
        ]
        return sorted(found, key=lambda order: order.order_id)
