"""Requests the tests start from."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

LIMIT_ORDER: dict[str, Any] = {
    "account": "paper-spot",
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "0.001",
    "price": "60000",
}
MARKET_ORDER: dict[str, Any] = {
    "account": "paper-spot",
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "MARKET",
    "quote_quantity": "60",
}


def key() -> dict[str, str]:
    """Headers with a fresh Idempotency-Key."""
    return {"HTTP_IDEMPOTENCY_KEY": uuid4().hex}


def place(client: Any, body: Any = None, query: str = "", **changes: Any) -> Any:
    """POST an order: `body` (a limit order unless given) with some members changed; None removes one."""
    members = {**(LIMIT_ORDER if body is None else body), **changes}
    return client.post(f"/api/v1/orders{query}", members, format="json", **key())
