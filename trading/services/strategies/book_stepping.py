"""Stepping strategies at changes of the book: as their bar steps, on the same memory, as often as they allow."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.services.hints import enqueue_on_commit
from trading.domain.strategies import Desired, Observation
from trading.domain.values import decimal_text
from trading.models import StrategyInstance
from trading.services.models import serving_note
from trading.services.strategies.deciding import decide_at_book, protection_members, quote_members
from trading.services.strategies.loading import step_taken, strategy_loaded
from trading.services.strategies.observing import (
    fills_since,
    market_now_ns,
    observation_read,
    quotes_seen,
    quotes_working,
)
from trading.services.strategies.stepping import STEPPED, quotes_drop
from universe.selectors import bars_recent

WATCHED_EVERY = timedelta(seconds=1)
"""A book that does not change is looked at so often all the same: that it stands still is news too."""


def books_due() -> list[int]:
    """Instances that want to see their book and have not for a while: nothing changed there, or a hint was lost."""
    rows = StrategyInstance.objects.filter(
        steps_at_books=True,
        is_enabled=True,
        strategy__is_enabled=True,
        stepped_at__lt=now() - WATCHED_EVERY,
    )
    return list(rows.values_list("pk", flat=True))


@transaction.atomic
def book_step(*, instance_id: int) -> bool:
    """Step an instance on the book as it is now. Returns whether it was stepped.

    It is not while another step is at it, too soon after the last one, or before its first bar: the memory begins
    with bars.
    """
    instance = (
        StrategyInstance.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("strategy", "account__venue", "instrument")
        .filter(pk=instance_id, is_enabled=True, strategy__is_enabled=True, steps_at_books=True)
        .first()
    )
    if instance is None or instance.state is None or instance.last_bar_at is None:
        return False
    moment, row = now(), instance.strategy
    loaded = strategy_loaded(row)
    if loaded is None or loaded.digest != instance.parameters_digest:
        return False
    pause = timedelta(seconds=loaded.steps.book_step_s)
    if instance.stepped_at is not None and moment - instance.stepped_at < pause:
        return False
    at_ns = market_now_ns(instance)
    bars = bars_recent(instance.instrument, row.interval, 1)
    if at_ns is None or not bars:
        return False
    observation = observation_read(instance, bars[-1])
    observation.trigger = "book"
    observation.now_ns = max(at_ns, instance.seen_ns)
    observation.fills, instance.fill_seen_id = fills_since(instance)
    observation.quotes = quotes_seen(quotes_working(instance))
    taken = step_taken(row, loaded, loaded.steps.load(json.dumps(instance.state)), observation)
    if taken is None:
        quotes_drop(instance)
        return False
    state, desired = taken
    serving_note(row)
    instance.state = json.loads(loaded.steps.dump(state))
    instance.stepped_at, instance.seen_ns = moment, observation.now_ns
    if desired is not None:
        _take(instance, observation, desired, loaded.digest)
    instance.save(update_fields=STEPPED)
    return True


def _take(instance: StrategyInstance, seen: Observation, desired: Desired, digest: str) -> None:
    """Keep what it wants. A decision is written where it wants something else than before; where it only moves its
    quotes, by the planner, should that lead to an order.
    """
    before = instance.target, instance.protection, instance.quotes is not None
    instance.target, instance.protection = desired.target, protection_members(desired)
    instance.quotes = quote_members(desired)
    price = _price(seen)
    instance.said = {
        "at_ns": seen.now_ns,
        "price": decimal_text(price),
        "reason": desired.reason,
        "confidence": desired.confidence,
        "features": dict(desired.features),
    }
    after = instance.target, instance.protection, instance.quotes is not None
    if after == before or price <= 0:
        return
    assert instance.last_bar_at is not None
    decide_at_book(instance, instance.last_bar_at, seen.now_ns, price, desired, digest)
    enqueue_on_commit(
        "trading.tasks.plan_refresh",
        queue="trading",
        account_id=instance.account_id,
        instrument_id=instance.instrument_id,
    )


def _price(seen: Observation) -> Decimal:
    """The middle of the book, the bar's close where a side of it is empty."""
    if seen.bid > 0 and seen.ask > 0:
        return (Decimal(str(seen.bid)) + Decimal(str(seen.ask))) / 2
    return Decimal(str(seen.bar.close))
