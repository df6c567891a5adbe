"""Stepping strategies on closed bars."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import F, Max, Q

from nautilus_site.common.clock import now
from nautilus_site.common.services.hints import enqueue_on_commit
from trading.domain.clock import datetime_to_ns, interval_ns, ns_to_datetime
from trading.domain.strategies import Desired
from trading.domain.strategies.parameters import ParameterError
from trading.domain.strategies.slower import bars_within, slower_closing
from trading.models import Decision, StrategyInstance
from trading.services.models import serving_note
from trading.services.strategies.deciding import decide_at_bar, protection_members, quote_members
from trading.services.strategies.loading import step_taken, strategy_loaded
from trading.services.strategies.observing import (
    book_of_bar,
    fill_newest,
    fills_since,
    funding_of_bars,
    listing_age_s,
    observation_read,
    quotes_seen,
    quotes_working,
    strategy_bar,
)
from trading.services.strategies.recording import step_record
from universe.domain.bars import BarRecord
from universe.selectors import bars_recent, bars_since

log = structlog.get_logger(__name__)
CATCH_UP = 1000
STEPPED = [
    *("state", "parameters_digest", "last_bar_at", "target", "protection", "warm_from_at", "makes_market"),
    *("steps_at_books", "quotes", "said", "stepped_at", "seen_ns", "fill_seen_id"),
]
"""What a step writes of its instance."""


def instances_due() -> list[int]:
    """Instances for which a newer closed bar is stored than the last one they saw. One query; finds lost hints."""
    rows = (
        StrategyInstance.objects.filter(is_enabled=True, strategy__is_enabled=True)
        .annotate(
            latest=Max(
                "instrument__bars__open_time", filter=Q(instrument__bars__interval=F("strategy__interval"))
            )
        )
        .filter(Q(last_bar_at=None) | Q(latest__gt=F("last_bar_at")), latest__isnull=False)
    )
    return list(rows.values_list("pk", flat=True))


@transaction.atomic
def strategy_step(*, instance_id: int) -> Decision | None:
    """Step an instance over every closed bar it has not seen, once each, and record what it wants.

    Only the newest decision is planned; a hole in the bars makes it warm up again behind the hole.
    """
    instance = (
        StrategyInstance.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("strategy", "account__venue", "instrument")
        .filter(pk=instance_id, is_enabled=True, strategy__is_enabled=True)
        .first()
    )
    if instance is None:
        return None
    row = instance.strategy
    loaded = strategy_loaded(row)
    if loaded is None:
        return None
    strategy, params, digest = loaded.steps, loaded.params, loaded.digest
    step_ns = interval_ns(row.interval)
    begun = instance.state is not None and instance.parameters_digest == digest
    warm = begun and instance.last_bar_at is not None
    # A listing is looked at before its first bar has closed: what is remembered of that is not thrown away.
    before_bars = begun and instance.last_bar_at is None
    try:
        asked = strategy.slower_intervals(params)
        within = bars_within(row.interval, asked)
    except ValueError as error:
        log.error("strategy_refused_to_start", strategy=row.name, error=str(error))
        return None
    if warm and not asked:
        # A strategy that is warm keeps its own memory: only what it has not seen is read.
        unseen = _seen(instance) + timedelta(microseconds=1)
        bars = bars_since(instance.instrument, row.interval, unseen)[-CATCH_UP:]
    else:
        bars = bars_recent(instance.instrument, row.interval, CATCH_UP + within)
    if warm:
        fresh = [bar for bar in bars if ns_to_datetime(bar.open_time_ns) > _seen(instance)]
        if not fresh:
            return None
        warm = fresh[0].open_time_ns - step_ns <= datetime_to_ns(_seen(instance))
    if not warm:
        fresh = _unbroken_tail(bars, step_ns)
        instance.warm_from_at = ns_to_datetime(fresh[0].open_time_ns) if fresh else None
    if before_bars and not fresh:
        return None
    if warm or before_bars:
        warm, state = True, strategy.load(json.dumps(instance.state))
    else:
        try:
            state = strategy.initial(params)
        except ParameterError as error:
            log.error("strategy_refused_to_start", strategy=row.name, error=str(error))
            return None
    if not warm and len(fresh) < strategy.warmup(params):
        return None
    observation = observation_read(instance, fresh[0])
    if warm:
        observation.fills, instance.fill_seen_id = fills_since(instance)
    else:
        instance.fill_seen_id = fill_newest(instance)
    if strategy.makes_market:
        observation.quotes = quotes_seen(quotes_working(instance))
    top = observation.bid, observation.ask, observation.bid_size, observation.ask_size
    shown = [strategy_bar(bar) for bar in bars] if asked else []
    number = len(bars) - len(fresh)
    rates = funding_of_bars(instance, fresh) if strategy.reads_funding(params) else []
    decision: Decision | None = None
    wanted: Desired | None = None
    for at, bar in enumerate(fresh):
        observation.bar, observation.now_ns = strategy_bar(bar), bar.close_time_ns
        observation.funding = rates[at] if rates else None
        if strategy.steps_at_books:
            # The book of now belongs to the newest bar; time never goes back behind what a book was seen at.
            observation.now_ns = max(bar.close_time_ns, instance.seen_ns)
            observation.bid, observation.ask, observation.bid_size, observation.ask_size = top
            if bar is not fresh[-1]:
                book_of_bar(observation, bar)
        observation.listing_age_s = listing_age_s(instance, observation.now_ns)
        if asked:
            observation.slower = slower_closing(shown, number, row.interval, asked)
            number += 1
        memory = (json.loads(strategy.dump(state)),) if warm and strategy.steps_at_books else None
        taken = step_taken(row, loaded, state, observation)
        if taken is None:
            quotes_drop(instance)
            return None
        state, desired = taken
        if memory is not None:
            step_record(instance, observation, desired, digest=digest, memory=memory)
        observation.fills = ()
        if desired is not None:
            wanted = desired
        # Bars before the first warm one only fill the memory; a decision about them would be about the past.
        if desired is not None and (warm or bar is fresh[-1]):
            decision = decide_at_bar(instance, bar, desired, digest)
    serving_note(row)
    instance.state = json.loads(strategy.dump(state))
    instance.parameters_digest = digest
    instance.last_bar_at = ns_to_datetime(fresh[-1].open_time_ns)
    instance.makes_market, instance.steps_at_books = strategy.makes_market, strategy.steps_at_books
    instance.stepped_at, instance.seen_ns = now(), max(instance.seen_ns, observation.now_ns)
    if wanted is not None:
        instance.target = wanted.target
        instance.protection, instance.quotes = protection_members(wanted), quote_members(wanted)
        instance.said = None
    instance.save(update_fields=STEPPED)
    if decision is not None:
        enqueue_on_commit(
            "trading.tasks.plan_refresh",
            queue="trading",
            account_id=instance.account_id,
            instrument_id=instance.instrument_id,
        )
    return decision


def quotes_drop(instance: StrategyInstance) -> None:
    """Take back what a strategy quotes that has just failed; it is asked again when the next bar closes."""
    if not instance.makes_market:
        return
    instance.quotes, instance.said, instance.steps_at_books = None, None, False
    instance.save(update_fields=["quotes", "said", "steps_at_books"])
    enqueue_on_commit(
        "trading.tasks.plan_refresh",
        queue="trading",
        account_id=instance.account_id,
        instrument_id=instance.instrument_id,
    )


def _unbroken_tail(bars: list[BarRecord], step_ns: int) -> list[BarRecord]:
    start = 0
    for index in range(1, len(bars)):
        if bars[index].open_time_ns - bars[index - 1].open_time_ns != step_ns:
            start = index
    return bars[start:]


def _seen(instance: StrategyInstance) -> datetime:
    assert instance.last_bar_at is not None
    return instance.last_bar_at
