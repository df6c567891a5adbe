"""What the rails stopped, counted."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max

from nautilus_site.common.clock import now
from trading.domain.orders import OrderStatus
from trading.domain.risk import RAILS, SEND_RAILS, DenyReason
from trading.models import Order
from trading.selectors.notation import utc_text

CODE_OF_LIMIT: dict[str, DenyReason] = {
    "min_notional": DenyReason.NOTIONAL_BELOW_MIN,
    "max_notional": DenyReason.NOTIONAL_ABOVE_MAX,
    "max_quantity": DenyReason.QUANTITY_ABOVE_MAX,
    "exposure_symbol": DenyReason.EXPOSURE_SYMBOL,
    "exposure_strategy": DenyReason.EXPOSURE_STRATEGY,
    "exposure_strategy_symbol": DenyReason.EXPOSURE_STRATEGY,
    "exposure_group": DenyReason.EXPOSURE_GROUP,
    "exposure_account": DenyReason.EXPOSURE_ACCOUNT,
    "exposure_global": DenyReason.EXPOSURE_GLOBAL,
    "exposure_net_account": DenyReason.EXPOSURE_ACCOUNT,
    "exposure_net_global": DenyReason.EXPOSURE_GLOBAL,
    "soft_notional": DenyReason.OVERRIDE_REQUIRED,
    "leverage_max": DenyReason.ACCOUNT_MODE,
    "margin_max_ratio": DenyReason.MARGIN,
    "margin_rate": DenyReason.MARGIN,
    "liquidation_min_distance": DenyReason.MARGIN,
    "orders_per_minute": DenyReason.RATE_LIMITED,
    "orders_per_minute_strategy": DenyReason.RATE_LIMITED,
    "max_open_orders": DenyReason.OPEN_ORDERS,
    "max_open_orders_strategy": DenyReason.OPEN_ORDERS,
    "weight_headroom": DenyReason.VENUE_WEIGHT,
    "repeated_executions": DenyReason.REPEATED_EXECUTION,
    "near_duplicate_window": DenyReason.NEAR_DUPLICATE,
    "max_sends_per_decision": DenyReason.PARENT_QUANTITY,
    "daily_loss": DenyReason.LOSS_LIMIT,
    "max_drawdown": DenyReason.LOSS_LIMIT,
    "max_loss_streak": DenyReason.LOSS_LIMIT,
    "loss_cooldown": DenyReason.BLACKOUT,
    "equity_max_age": DenyReason.LOSS_LIMIT,
    "price_disagreement": DenyReason.PRICE_SOURCES_DISAGREE,
    "clock_max_offset": DenyReason.CLOCK_OFFSET,
    "clock_max_age": DenyReason.CLOCK_OFFSET,
    "stream_max_age": DenyReason.NOT_RECONCILED,
    "market_slippage": DenyReason.MARKET_ORDER_NOT_ALLOWED,
    "price_collar": DenyReason.PRICE_COLLAR,
    "price_max_age": DenyReason.PRICE_STALE,
    "decision_ttl": DenyReason.DECISION_EXPIRED,
    "reconcile_max_age": DenyReason.NOT_RECONCILED,
    "unknown_max_age": DenyReason.NOT_RECONCILED,
}
"""The denial a limit is the reason of."""


def denials_by_limit(name: str, *, days: int = 7) -> int:
    """How many orders of the last days the rail of this limit denied; 0 for a limit that no rail reads."""
    code = CODE_OF_LIMIT.get(name)
    if code is None:
        return 0
    since = now() - timedelta(days=days)
    return Order.objects.filter(status=OrderStatus.DENIED, code=code, created_at__gte=since).count()


def denials_by_code(*, hours: int = 24) -> list[dict[str, Any]]:
    """Denied orders of the last hours by code, the most frequent first."""
    since = now() - timedelta(hours=hours)
    rows = (
        Order.objects.filter(status=OrderStatus.DENIED, created_at__gte=since)
        .order_by()
        .values("code")
        .annotate(count=Count("id"), last_at=Max("created_at"))
        .order_by("-count", "code")
    )
    return [{"code": row["code"], "count": row["count"], "last_at": utc_text(row["last_at"])} for row in rows]


def rail_rows(limits: list[dict[str, Any]], *, hours: int = 24) -> list[dict[str, Any]]:
    """Every rail in its order: what it compares, how much of that is used, and how often its code denied.

    Of several scopes of a limit the one with the least headroom is shown. Rails with one code share its count.
    """
    counts = {row["code"]: row for row in denials_by_code(hours=hours)}
    tightest: dict[str, dict[str, Any]] = {}
    for row in limits:
        known = tightest.get(row["name"])
        if known is None or (_left(row) is not None and (_left(known) is None or _left(row) < _left(known))):
            tightest[row["name"]] = row
    rows = []
    for place, rail in enumerate((*RAILS, *SEND_RAILS), 1):
        limit = tightest.get(rail.limit, {})
        denied = counts.get(str(rail.code), {})
        rows.append(
            {
                "id": rail.name,
                "place": place,
                "rail": rail.name,
                "check": rail.number,
                "code": str(rail.code),
                "limit": limit.get("name"),
                "scope": limit.get("scope"),
                "value": limit.get("value"),
                "used": limit.get("used"),
                "headroom": limit.get("headroom"),
                "unit": limit.get("unit"),
                "denials": denied.get("count", 0),
                "last_at": denied.get("last_at"),
            }
        )
    return rows


def _left(row: dict[str, Any]) -> Any:
    return None if row.get("headroom") is None else Decimal(row["headroom"])
