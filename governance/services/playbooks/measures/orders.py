"""Measures of an account's orders and of how the venue answers them."""

from __future__ import annotations

from datetime import datetime
from statistics import fmean

from django.db.models import Count, Q, QuerySet

from governance.services.playbooks.measures.unmeasured import name_of
from trading.domain.breakers import Reading
from trading.domain.orders import OrderStatus
from trading.domain.risk.reasons import WAITING
from trading.models import Order

_CROSSED = Q(type="LIMIT_MAKER") | Q(venue_type="LIMIT_MAKER") | Q(time_in_force="GTX")
_WOULD_TAKE = ("-2010", "-5022", "VENUE_FILTER")
_WAITED_FOR = (OrderStatus.SENDING, OrderStatus.UNKNOWN)


def rejects(scope: str, since: datetime, moment: datetime) -> Reading:
    """Orders of the account that our rails denied or the venue refused in the window.

    A post-only order that came too late to rest is a quote's daily life, and not counted. Neither is what was
    denied because trading is stopped or waits for prices, clock or books: a stop would be its own reason to go on.
    """
    orders = (
        Order.objects.filter(account__name=name_of(scope), created_at__gt=since)
        .exclude(_CROSSED, code__in=_WOULD_TAKE)
        .exclude(status=OrderStatus.DENIED, code__in=WAITING)
    )
    told = orders.aggregate(
        denied=Count("pk", filter=Q(status=OrderStatus.DENIED)),
        refused=Count("pk", filter=Q(status=OrderStatus.REJECTED)),
    )
    return Reading(
        float(told["denied"] + told["refused"]),
        detail=f"{told['denied']} orders denied by our rails, {told['refused']} refused by the venue",
    )


def venue_lag(scope: str, since: datetime, moment: datetime) -> Reading:
    """Mean time from sending an order to its acknowledgement, milliseconds.

    An order that waits for its answer has waited until now, and one that was proven never to have arrived until that
    was known: a venue that answers nothing is the slowest of all. While it answers nothing, what was sent before the
    window and waits still is counted as well, so silence does not run out.
    """
    orders = Order.objects.filter(account__venue__name=name_of(scope), sent_at__isnull=False)
    in_window = orders.filter(sent_at__gt=since)
    waiting = Q(acknowledged_at=None, status__in=_WAITED_FOR)
    lost = Q(acknowledged_at=None, status=OrderStatus.ABSENT, ended_at__isnull=False)
    answered = _waits(in_window.filter(acknowledged_at__isnull=False), moment)
    unanswered = _waits((in_window if answered else orders).filter(waiting), moment)
    unanswered += _waits(in_window.filter(lost), moment)
    waits = answered + unanswered
    took = fmean(waits) if waits else 0.0
    detail = f"{len(waits)} orders, acknowledged after {took:.0f} ms on average"
    if unanswered:
        detail = f"{len(waits)} orders, {len(unanswered)} of them unanswered, {took:.0f} ms on average"
    return Reading(took, len(waits), detail)


def _waits(orders: QuerySet[Order], moment: datetime) -> list[float]:
    """How long each was waited for, milliseconds."""
    rows = orders.order_by().values_list("sent_at", "acknowledged_at", "ended_at")
    return [
        max(0.0, ((acknowledged_at or ended_at or moment) - sent_at).total_seconds() * 1000)
        for sent_at, acknowledged_at, ended_at in rows
        if sent_at is not None
    ]
