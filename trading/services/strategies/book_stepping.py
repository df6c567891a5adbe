"""Stepping strategies at changes of the book: as their bar steps, on the same memory, as often as they allow."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal

import structlog
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.services.hints import enqueue_on_commit
from trading.domain.clock import interval_ns, ns_to_datetime
from trading.domain.strategies import Desired, Observation
from trading.domain.strategies.parameters import ParameterError
from trading.domain.values import decimal_text
from trading.models import StrategyInstance
from trading.services.models import serving_note
from trading.services.strategies.deciding import decide_at_book, protection_members, quote_members
from trading.services.strategies.loading import step_taken, strategy_loaded
from trading.services.strategies.observing import (
    fills_since,
    listing_age_s,
    market_now_ns,
    observation_read,
    quotes_seen,
    quotes_working,
)
from trading.services.strategies.recording import step_record
from trading.services.strategies.stepping import STEPPED, quotes_drop
from universe.metrics import LISTING_DELAY
from universe.selectors import bars_recent

log = structlog.get_logger(__name__)
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
    with bars. That of a listing begins with its first book, which is the listing's own step.
    """
    instance = (
        StrategyInstance.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("strategy", "account__venue", "instrument")
        .filter(pk=instance_id, is_enabled=True, strategy__is_enabled=True, steps_at_books=True)
        .first()
    )
    if instance is None:
        return False
    moment, row = now(), instance.strategy
    loaded = strategy_loaded(row)
    if loaded is None:
        return False
    begins = (
        instance.state is None and loaded.steps.trades_listings and instance.instrument.listed_at is not None
    )
    if not begins and (instance.state is None or loaded.digest != instance.parameters_digest):
        return False
    pause = timedelta(seconds=loaded.steps.book_step_s)
    if instance.stepped_at is not None and moment - instance.stepped_at < pause:
        return False
    at_ns = market_now_ns(instance)
    bars = bars_recent(instance.instrument, row.interval, 1)
    if at_ns is None or not (bars or instance.last_bar_at is None):
        return False
    if begins and bars:
        return False  # its bars come first, from the one it was listed in: that one has its first price
    try:
        state = (
            loaded.steps.initial(loaded.params) if begins else loaded.steps.load(json.dumps(instance.state))
        )
    except ParameterError as error:
        log.error("strategy_refused_to_start", strategy=row.name, error=str(error))
        return False
    observation = observation_read(instance, bars[-1] if bars else None)
    observation.trigger = "listing" if begins else "book"
    observation.now_ns = max(at_ns, instance.seen_ns)
    observation.listing_age_s = listing_age_s(instance, observation.now_ns)
    observation.fills, instance.fill_seen_id = fills_since(instance)
    observation.quotes = quotes_seen(quotes_working(instance))
    memory = (json.loads(loaded.steps.dump(state)),) if begins else None
    taken = step_taken(row, loaded, state, observation)
    if taken is None:
        quotes_drop(instance)
        return False
    state, desired = taken
    step_record(instance, observation, desired, digest=loaded.digest, memory=memory)
    if begins:
        instance.parameters_digest = loaded.digest
        LISTING_DELAY.observe(observation.listing_age_s or 0.0)
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
    decide_at_book(instance, _last_bar(instance, seen), seen.now_ns, price, desired, digest)
    enqueue_on_commit(
        "trading.tasks.plan_refresh",
        queue="trading",
        account_id=instance.account_id,
        instrument_id=instance.instrument_id,
    )


def _last_bar(instance: StrategyInstance, seen: Observation) -> datetime:
    """Open time of the last bar that closed; of a listing without one, of the bar before it began."""
    if instance.last_bar_at is not None:
        return instance.last_bar_at
    step = interval_ns(instance.strategy.interval)
    return ns_to_datetime((seen.now_ns // step - 1) * step)


def _price(seen: Observation) -> Decimal:
    """The middle of the book, the bar's close where a side of it is empty."""
    if seen.bid > 0 and seen.ask > 0:
        return (Decimal(str(seen.bid)) + Decimal(str(seen.ask))) / 2
    return Decimal(str(seen.bar.close))
