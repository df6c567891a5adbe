"""Fills as they are shown."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from trading.models import Fill
from trading.selectors.notation import amount_text, utc_text


def fill_queryset() -> QuerySet[Fill]:
    """Fills newest first with everything `fill_members` reads."""
    return Fill.objects.select_related("account", "instrument", "order", "order__strategy").order_by("-id")


def fill_list(*, account: str | None = None, symbol: str | None = None, limit: int = 100) -> list[Fill]:
    """The newest fills that match, for pages."""
    fills = fill_queryset()
    if account is not None:
        fills = fills.filter(account__name=account)
    if symbol is not None:
        fills = fills.filter(instrument__symbol=symbol)
    return list(fills[:limit])


def fill_members(fill: Fill) -> dict[str, Any]:
    """The public members of a fill. `at` is the venue's market time, `recorded_at` when we learned of it."""
    return {
        "id": fill.pk,
        "order_id": str(fill.order.uid),
        "account": fill.account.name,
        "symbol": fill.instrument.symbol,
        "side": fill.side,
        "quantity": amount_text(fill.quantity),
        "price": amount_text(fill.price),
        "fee": amount_text(fill.commission),
        "fee_asset": fill.commission_asset,
        "maker": fill.maker,
        "venue_trade_id": fill.trade_id,
        "at": utc_text(fill.traded_at),
        "recorded_at": utc_text(fill.recorded_at),
        "strategy": fill.order.strategy.name if fill.order.strategy else None,
        "realized_pnl": amount_text(fill.realized),
        "slippage_bps": fill.slippage_bps,
    }
