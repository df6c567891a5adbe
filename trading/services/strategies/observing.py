"""What a strategy may know at one moment, read from the rows of this account and symbol."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from django.db.models import F, Max, Q, Value
from django.db.models.functions import Coalesce

from nautilus_site.common.clock import now
from trading.domain.clock import datetime_to_ns, ns_to_datetime
from trading.domain.orders import OPEN
from trading.domain.strategies import Execution, Observation, WorkingQuote
from trading.domain.strategies.base import NO_BAR
from trading.domain.strategies.base import Bar as StrategyBar
from trading.domain.values import Market, OrderType
from trading.models import Fill, Order, StrategyInstance, SubPosition
from universe.domain.bars import BarRecord
from universe.models import Quote
from universe.selectors import funding_in_force

_OPEN = [status.value for status in OPEN]
MOST_FILLS = 200
"""At most so many fills are shown to one step; the rest to the next."""


def observation_read(instance: StrategyInstance, bar: BarRecord | None) -> Observation:
    """Its own holding, the top of the book now, and a bar; `NO_BAR` where none has closed."""
    # Its own part, with its own average: what others hold of the symbol is none of its business.
    position = SubPosition.objects.filter(
        position__account=instance.account,
        position__instrument=instance.instrument,
        owner=instance.strategy.name,
    ).first()
    quote = Quote.objects.filter(instrument=instance.instrument).first()
    held = float(position.quantity) if position else 0.0
    average = float(position.cost / abs(position.quantity)) if position and position.quantity else 0.0
    mid = float((quote.bid + quote.ask) / 2) if quote and quote.bid and quote.ask else 0.0
    return Observation(
        symbol=instance.instrument.symbol,
        interval=instance.strategy.interval,
        bar=NO_BAR if bar is None else strategy_bar(bar),
        now_ns=0 if bar is None else bar.close_time_ns,
        bid=float(quote.bid or 0) if quote else 0.0,
        ask=float(quote.ask or 0) if quote else 0.0,
        bid_size=float(quote.bid_quantity) if quote else 0.0,
        ask_size=float(quote.ask_quantity) if quote else 0.0,
        position=held,
        average_price=average,
        unrealized=(mid - average) * held if mid else 0.0,
    )


def funding_of_bars(instance: StrategyInstance, bars: Sequence[BarRecord]) -> list[float | None]:
    """The funding rate in force at each bar's close as it is stored now; None where none is known, and on spot."""
    import numpy as np

    if instance.instrument.market != Market.usdm.value:
        return [None] * len(bars)
    known = funding_in_force(
        instance.instrument.symbol, np.array([bar.close_time_ns for bar in bars], dtype=np.int64)
    )
    if not len(known):
        return [None] * len(bars)
    return [None if math.isnan(rate) else rate for rate in known.tolist()]


def book_of_bar(observation: Observation, bar: BarRecord) -> None:
    """Show no book: a bar that closed before the book we know has its close on both sides, as in a backtest."""
    observation.bid = observation.ask = float(bar.close)
    observation.bid_size = observation.ask_size = 0.0


def quotes_working(instance: StrategyInstance) -> list[Order]:
    """Every quote of a market maker on its symbol that may still trade."""
    return list(
        Order.objects.filter(
            account_id=instance.account_id,
            instrument_id=instance.instrument_id,
            strategy_id=instance.strategy_id,
            origin=Order.Origin.STRATEGY,
            type=OrderType.LIMIT_MAKER,
            status__in=_OPEN,
        )
        .select_related("replaces")
        .order_by("pk")
    )


def quotes_seen(working: Sequence[Order]) -> tuple[WorkingQuote, ...]:
    """The resting ones as the strategy sees them; what was asked to go or is being replaced is its quote no more."""
    going = {order.replaces_id for order in working}
    return tuple(
        WorkingQuote(
            "BUY" if order.side == "BUY" else "SELL",
            float(order.price),
            float(order.quantity - order.executed_quantity),
        )
        for order in working
        if order.price is not None and order.cancel_requested_at is None and order.pk not in going
    )


def fills_since(instance: StrategyInstance) -> tuple[tuple[Execution, ...], int]:
    """Its own fills that no step has seen, oldest first, and the number of the newest.

    Of an order that was netted with others its share is its own.
    """
    rows = list(
        Fill.objects.filter(
            Q(order__plan__shares__decision__instance=instance)
            | Q(order__plan=None, order__strategy_id=instance.strategy_id),
            account_id=instance.account_id,
            instrument_id=instance.instrument_id,
            pk__gt=instance.fill_seen_id,
        )
        .annotate(part=Coalesce(F("order__plan__shares__share"), Value(Decimal(1))))
        .order_by("pk")[:MOST_FILLS]
    )
    told = tuple(
        Execution(
            float((row.quantity if row.side == "BUY" else -row.quantity) * row.part),
            float(row.price),
            float(row.commission_quote * row.part),
            row.maker,
            datetime_to_ns(row.traded_at),
        )
        for row in rows
    )
    return told, rows[-1].pk if rows else instance.fill_seen_id


def fill_newest(instance: StrategyInstance) -> int:
    """The number of the newest fill there is: what a strategy that begins anew has not missed."""
    rows = Fill.objects.filter(account_id=instance.account_id, instrument_id=instance.instrument_id)
    return int(rows.aggregate(newest=Max("pk"))["newest"] or 0)


def market_now_ns(instance: StrategyInstance) -> int | None:
    """Market time of the book as it stands now; None while the feed has not told any.

    The feed writes it with every change; where the strategy has seen that already it runs on with the wall clock.
    """
    row = (
        Quote.objects.filter(instrument=instance.instrument).values_list("market_time", "received_at").first()
    )
    if row is None or row[0] is None:
        return None
    told = datetime_to_ns(row[0])
    if told > instance.seen_ns:
        return told
    return datetime_to_ns(row[0] + max(timedelta(0), now() - row[1]))


def listing_age_s(instance: StrategyInstance, at_ns: int) -> float | None:
    """Seconds of market time since the symbol was listed, where that is known."""
    listed = instance.instrument.listed_at
    return None if listed is None else (ns_to_datetime(at_ns) - listed).total_seconds()


def strategy_bar(bar: BarRecord) -> StrategyBar:
    """A stored bar as strategies see it."""
    return StrategyBar(
        open_ns=bar.open_time_ns,
        close_ns=bar.close_time_ns,
        open=float(bar.open),
        high=float(bar.high),
        low=float(bar.low),
        close=float(bar.close),
        volume=float(bar.volume),
        quote_volume=float(bar.quote_volume),
        trades=bar.trades,
        taker_base=float(bar.taker_base),
    )
