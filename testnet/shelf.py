"""One account's orders and fills in one market."""

from __future__ import annotations

from dataclasses import dataclass, field

from testnet.orders import Fill, Order


@dataclass(slots=True)
class OrderShelf:
    """Orders by id and by client id, open and closed, and what they traded."""

    orders: dict[int, Order] = field(default_factory=dict)
    open_by_client_id: dict[str, Order] = field(default_factory=dict)
    open_by_symbol: dict[str, dict[int, Order]] = field(default_factory=dict)
    latest_by_client_id: dict[str, Order] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)

    def put(self, order: Order) -> None:
        """Add an order, as open when it is."""
        self.orders[order.order_id] = order
        self.latest_by_client_id[order.client_order_id] = order
        if order.is_open:
            self.open_by_client_id[order.client_order_id] = order
            self.open_by_symbol.setdefault(order.instrument.symbol, {})[order.order_id] = order

    def close(self, order: Order) -> None:
        """An order has ended; its client id may be used again."""
        self.open_by_client_id.pop(order.client_order_id, None)
        self.open_by_symbol[order.instrument.symbol].pop(order.order_id, None)

    def rename(self, order: Order, client_order_id: str) -> None:
        """Give an open order another client id; the old one may be used again."""
        self.open_by_client_id.pop(order.client_order_id, None)
        if self.latest_by_client_id.get(order.client_order_id) is order:
            del self.latest_by_client_id[order.client_order_id]
        order.client_order_id = client_order_id
        self.open_by_client_id[client_order_id] = order
        self.latest_by_client_id[client_order_id] = order

    def open_of(self, symbol: str) -> dict[int, Order]:
        """Open orders of one symbol by order id."""
        return self.open_by_symbol.get(symbol) or {}

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Open orders by order id, of one symbol or all."""
        if symbol is not None:
            return sorted(self.open_of(symbol).values(), key=lambda order: order.order_id)
        return sorted(self.open_by_client_id.values(), key=lambda order: order.order_id)

    def forget_oldest(self, keep: int) -> list[int]:
        """Drop the closed among the oldest tenth of orders, and fills beyond twice that many; return ids."""
        dropped = []
        for order_id in list(self.orders)[: keep // 10]:
            order = self.orders[order_id]
            # A list looks at all its orders until the last has ended.
            if order.is_open or order.list_id != -1:
                continue
            del self.orders[order_id]
            dropped.append(order_id)
            if self.latest_by_client_id.get(order.client_order_id) is order:
                del self.latest_by_client_id[order.client_order_id]
        del self.fills[: max(0, len(self.fills) - 2 * keep)]
        return dropped
