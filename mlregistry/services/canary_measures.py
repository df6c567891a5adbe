"""What a canary shows: its worth, orders, slippage and position, read for its guard rails."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db.models import (
    Avg,
    Count,
    Exists,
    F,
    FloatField,
    Min,
    OuterRef,
    Q,
    QuerySet,
    StdDev,
    Sum,
)
from django.db.models.functions import Cast

from mlregistry.models import Canary
from mlregistry.selectors.canaries import canary_orders
from mlregistry.services.drift import drift_alarmed
from trading.domain.clock import datetime_to_ns, interval_ns
from trading.domain.orders import OrderStatus
from trading.domain.values import exact_product
from trading.models import Fill, Order, OrderEvent, Strategy, StrategyInstance, SubPosition
from trading.selectors.marks import marks_read
from universe.models import Bar, Quote

if TYPE_CHECKING:
    from mlregistry.domain.canary import Measured, Slippage

ZERO = Decimal(0)
SETTLED = timedelta(seconds=30)
"""A bar that has been there for so long should have been decided about: a worker may just be catching up."""


def canary_measured(canary: Canary, own: Decimal | None, moment: datetime) -> Measured:
    """Measure a canary at a moment, and carry its peak and its day on.

    Parameters
    ----------
    own : what it has made so far, None where that cannot be told.
    """
    from mlregistry.domain.canary import Measured

    if own is None:
        canary.unmeasured_since = canary.unmeasured_since or moment
    else:
        canary.unmeasured_since = None
        if canary.day != moment.date():
            canary.day, canary.day_canary = moment.date(), own
        canary.peak_canary = max(canary.peak_canary, own)
        _capital_lowered(canary, own)
    orders = canary_orders(canary)
    since = canary.unmeasured_since
    return Measured(
        capital=float(canary.capital),
        result=None if own is None else float(own),
        peak=float(canary.peak_canary),
        day_start=float(canary.day_canary),
        orders=orders.count(),
        rejected=orders.filter(status=OrderStatus.REJECTED).count(),
        lost=_lost(orders),
        unknown_s=_unknown_s(orders, moment),
        bars_behind=_bars_behind(canary, moment),
        quote_s=_quote_s(canary, moment),
        unmeasured_s=0.0 if since is None else (moment - since).total_seconds(),
        drifted=drift_alarmed(canary.version, since=canary.started_at),
        backtest_drawdown=canary.backtest_drawdown,
        slippage=_slippage(orders),
        divergence=_divergence(canary),
    )


def _capital_lowered(canary: Canary, own: Decimal) -> None:
    """Measure against what it has left where somebody took capital from it.

    What it had lost until then stays the same part of its capital. Where it has none left, what it had counts.
    """
    left = (
        StrategyInstance.objects.filter(strategy=canary.strategy).aggregate(all=Sum("allocation"))["all"]
        or ZERO
    )
    if not 0 < left < canary.capital:
        return
    part = left / canary.capital
    canary.peak_canary = own + (canary.peak_canary - own) * part
    canary.day_canary = own + (canary.day_canary - own) * part
    canary.capital = left


def _lost(orders: QuerySet[Order]) -> int:
    """Of these how many it was once not known of, or that never reached the venue."""
    unknown = OrderEvent.objects.filter(order=OuterRef("pk"), status=OrderStatus.UNKNOWN)
    return orders.filter(Q(status=OrderStatus.ABSENT) | Exists(unknown)).count()


def _unknown_s(orders: QuerySet[Order], moment: datetime) -> float:
    """For how long it is not known what became of the oldest that was sent; zero where all have an answer."""
    waiting = OrderEvent.objects.filter(
        order__in=orders.filter(status__in=(OrderStatus.SENDING, OrderStatus.UNKNOWN)),
        status=OrderStatus.SENDING,
    ).aggregate(since=Min("at"))["since"]
    return 0.0 if waiting is None else max(0.0, (moment - waiting).total_seconds())


def _quote_s(canary: Canary, moment: datetime) -> float:
    """Age of the oldest price it trades by; one that never came is as old as the canary."""
    places = StrategyInstance.objects.filter(strategy=canary.strategy, is_enabled=True, allocation__gt=0)
    ids = set(places.values_list("instrument_id", flat=True))
    heard = dict(Quote.objects.filter(instrument__in=ids).values_list("instrument_id", "received_at"))
    ages = ((moment - heard.get(pk, canary.started_at)).total_seconds() for pk in ids)
    return max(0.0, max(ages, default=0.0))


def _slippage(orders: QuerySet[Order]) -> Slippage | None:
    """Of each executed order its mean over the quantity, so that an order in many pieces counts once."""
    from mlregistry.domain.canary import Slippage

    size = Cast("quantity", FloatField())
    by_order = (
        Fill.objects.filter(order__in=orders, slippage_bps__isnull=False)
        .order_by()
        .values("order")
        .annotate(mean=Sum(F("slippage_bps") * size, output_field=FloatField()) / Sum(size))
    )
    found = by_order.aggregate(orders=Count("mean"), average=Avg("mean"), sd=StdDev("mean", sample=True))
    if not found["orders"]:
        return None
    return Slippage(found["orders"], float(found["average"]), float(found["sd"] or 0.0))


def _divergence(canary: Canary) -> float | None:
    """The largest difference of both exposures, each per capital, over their symbols; None without a price."""
    own, other = _exposures(canary.strategy), _exposures(canary.follower)
    pairs = [(own[place], other[place]) for place in own.keys() & other.keys()]
    if any(one is None or two is None for one, two in pairs):
        return None
    return max((abs(one - two) for one, two in pairs if one is not None and two is not None), default=0.0)


def _exposures(strategy: Strategy) -> dict[tuple[int, int], float | None]:
    """Signed notional per capital by (account id, instrument id), where a strategy has capital."""
    held: dict[tuple[int, int], Decimal] = {}
    for part in SubPosition.objects.filter(owner=strategy.name).select_related("position"):
        key = (part.position.account_id, part.position.instrument_id)
        held[key] = held.get(key, ZERO) + part.quantity
    places = StrategyInstance.objects.filter(strategy=strategy, is_enabled=True, allocation__gt=0)
    marks = marks_read(instrument for _, instrument in held)
    found: dict[tuple[int, int], float | None] = {}
    for place in places:
        key = (place.account_id, place.instrument_id)
        quantity, mark = held.get(key, ZERO), marks.of(place.instrument_id)
        if quantity and mark is None:
            found[key] = None
        else:
            found[key] = float(exact_product(quantity, mark or ZERO) / place.allocation)
    return found


def _bars_behind(canary: Canary, moment: datetime) -> int:
    """How many bars the canary's newest decisions lag the champion's or the closed bars, at worst.

    Before its first decision: none. The bars tell when nobody decides any more: both lag alike then.
    """
    step_ns = interval_ns(canary.follower.interval)
    others = {
        (row.account_id, row.instrument_id): row.last_bar_at
        for row in StrategyInstance.objects.filter(strategy=canary.follower, is_enabled=True)
    }
    worst = 0
    for own in StrategyInstance.objects.filter(strategy=canary.strategy, is_enabled=True):
        if own.last_bar_at is None:
            continue
        newest = (
            Bar.objects.filter(
                instrument=own.instrument_id,
                interval=canary.follower.interval,
                received_at__lte=moment - SETTLED,
            )
            .order_by("-open_time")
            .values_list("open_time", flat=True)
            .first()
        )
        for at in (others.get((own.account_id, own.instrument_id)), newest):
            if at is not None:
                worst = max(worst, (datetime_to_ns(at) - datetime_to_ns(own.last_bar_at)) // step_ns)
    return worst
