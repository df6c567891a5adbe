"""Measures of an account's own orders and fills."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db.models import Avg, Count, F, Q

from trading.domain.breakers import Reading
from trading.domain.orders import OrderStatus
from trading.domain.values import OrderType, Side
from trading.models import Fill, Order, OrderEvent

WOULD_TAKE: Final = "immediately match and take"
"""What the venue says of a post-only order that is too late; its code, -2010, means other things as well."""

NOT_REPLACED: Final = "-2022"
"""The order it was to replace could not be cancelled, so the venue did not try it."""


def unknown(scope: str, since: datetime, moment: datetime) -> Reading:
    """Orders whose outcome became unknown in the window."""
    events = OrderEvent.objects.filter(
        order__account__name=_name(scope), status=OrderStatus.UNKNOWN, at__gt=since
    )
    count = events.values("order_id").distinct().count()
    return Reading(float(count), max(count, 1), f"{count} orders of unknown outcome")


def reject_rate(scope: str, since: datetime, moment: datetime) -> Reading:
    """Orders the venue refused, per cent of those sent in the window.

    A post-only order that would have taken was refused as it asked to be, and so was one that was to replace an order
    which had traded first: the market moved, nothing is wrong.
    """
    refusals = (
        Q(status=OrderStatus.REJECTED)
        & ~(Q(type=OrderType.LIMIT_MAKER) & Q(message__icontains=WOULD_TAKE))
        & ~Q(replaces__isnull=False, code=NOT_REPLACED)
    )
    sent = _sent(scope, since).aggregate(total=Count("pk"), refused=Count("pk", filter=refusals))
    total, refused = sent["total"], sent["refused"]
    return Reading(
        100 * refused / total if total else 0.0, total, f"the venue refused {refused} of {total} orders"
    )


def order_to_fill(scope: str, since: datetime, moment: datetime) -> Reading:
    """Orders sent in the window for each one that traded."""
    sent = _sent(scope, since).aggregate(
        total=Count("pk"), traded=Count("pk", filter=Q(executed_quantity__gt=0))
    )
    total, traded = sent["total"], sent["traded"]
    return Reading(float(total) / max(traded, 1), total, f"{total} orders, of which {traded} traded")


def slippage(scope: str, since: datetime, moment: datetime) -> Reading:
    """Mean slippage of fills that took from the book, bps; positive is worse for us."""
    taken = Fill.objects.filter(
        account__name=_name(scope), recorded_at__gt=since, maker=False, slippage_bps__isnull=False
    ).aggregate(mean=Avg("slippage_bps"), count=Count("pk"))
    mean = taken["mean"] or 0.0
    return Reading(
        mean, taken["count"], f"{taken['count']} fills, on average {mean:.1f} bps worse than the mid"
    )


def fill_outside(scope: str, since: datetime, moment: datetime) -> Reading:
    """Fills at a price worse than their order's limit, which for a market-like order is the collar."""
    fills = Fill.objects.filter(
        account__name=_name(scope), recorded_at__gt=since, order__price__isnull=False
    ).exclude(order__origin=Order.Origin.EXTERNAL)
    worse = Q(side=Side.BUY, price__gt=F("order__price")) | Q(side=Side.SELL, price__lt=F("order__price"))
    counted = fills.aggregate(total=Count("pk"), outside=Count("pk", filter=worse))
    return Reading(
        float(counted["outside"]), counted["total"], f"{counted['outside']} fills beyond their order's limit"
    )


def _sent(scope: str, since: datetime):  # type: ignore[no-untyped-def]
    orders = Order.objects.filter(account__name=_name(scope), sent_at__gt=since)
    return orders.exclude(origin=Order.Origin.EXTERNAL).order_by()


def _name(scope: str) -> str:
    return scope.partition(":")[2]
