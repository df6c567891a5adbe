"""The numbers at the top of the Command Center."""

from __future__ import annotations

from decimal import Decimal
from typing import Any


def portfolio_tiles(status: dict[str, Any], limits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tiles in their order: `{"id", "label", "kind", "value", "note", "href", "share"}`."""
    book, orders, reconcile = status["portfolio"], status["orders"], status["reconcile"]
    cap = next((row for row in limits if row["name"] == "exposure_global" and row["scope"] == "global"), None)
    gross = Decimal(book["exposure_gross"])
    cap_value = Decimal(cap["value"]) if cap else None
    unpriced = f"without a price: {', '.join(book['unpriced'])}" if book["unpriced"] else "holdings at mid"
    return [
        _tile("equity", "Equity", "money", book["equity"], f"USDT · {unpriced}", large=True),
        _tile("day_pnl", "Day PnL", "signed", book["day_pnl"], "since 00:00 UTC", large=True),
        _tile("cash", "Cash", "money", book["cash"], f"available {_grouped(book['available'])}"),
        _tile("unrealized_pnl", "Unrealised PnL", "signed", book["unrealized_pnl"], "open positions"),
        _tile(
            "realized_pnl", "Realised PnL", "signed", book["realized_pnl"], f"fees {_grouped(book['fees'])}"
        ),
        _tile(
            "drawdown",
            "Drawdown",
            "percent",
            book["drawdown"],
            f"from peak {_grouped(book['peak_equity'])}" if book["peak_equity"] else "no peak yet",
        ),
        _tile(
            "exposure",
            "Gross exposure",
            "money",
            book["exposure_gross"],
            f"cap {_grouped(cap['value'])} · net {_grouped(book['exposure_net'])}"
            if cap
            else "no cap in force",
            share=float(gross / cap_value) if cap_value else None,
            href="/risk/",
        ),
        _tile(
            "open_orders",
            "Open orders",
            "count",
            orders["open"],
            f"{orders['unknown']} unknown" if orders["unknown"] else "none unknown",
            href="/orders/?open=1",
        ),
        _tile(
            "reconcile",
            "Reconcile lag",
            "age",
            reconcile["lag_s"],
            f"{reconcile['open_divergences']} open divergences",
            href="/ops/",
        ),
        _tile(
            "approvals",
            "Approvals",
            "count",
            status["approvals_pending"],
            "waiting for a person",
            href="/approvals/",
        ),
    ]


def _tile(
    tile_id: str,
    label: str,
    kind: str,
    value: Any,
    note: str,
    *,
    large: bool = False,
    href: str = "",
    share: float | None = None,
) -> dict[str, Any]:
    return {
        "id": tile_id,
        "label": label,
        "kind": kind,
        "value": value,
        "note": note,
        "large": large,
        "href": href,
        "share": share,
    }


def _grouped(text: str | None) -> str:
    return "–" if text is None else f"{Decimal(text):,.2f}"
