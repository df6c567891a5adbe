"""Stepping strategies on closed bars."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F, Max, Q

from nautilus_site.common.clock import now
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.outbox import publish
from trading import metrics
from trading.domain.clock import datetime_to_ns, interval_ns, ns_to_datetime
from trading.domain.orders import decision_id
from trading.domain.strategies import Desired, Observation
from trading.domain.strategies.base import Bar as StrategyBar
from trading.domain.strategies.catalogue import StrategyLoadError
from trading.domain.strategies.parameters import ParameterError, parse_params
from trading.domain.strategies.slower import bars_within, slower_closing
from trading.domain.values import decimal_text
from trading.models import Decision, Strategy, StrategyInstance, SubPosition
from trading.services.models import model_name, parameters_in_force, serving_note
from trading.services.strategy_kinds import strategy_load
from universe.domain.bars import BarRecord
from universe.models import Quote
from universe.selectors import bars_recent, bars_since

log = structlog.get_logger(__name__)
CATCH_UP = 1000


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
        StrategyInstance.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("strategy", "account__venue", "instrument")
        .filter(pk=instance_id, is_enabled=True, strategy__is_enabled=True)
        .first()
    )
    if instance is None:
        return None
    row = instance.strategy
    try:
        strategy = strategy_load(row.kind)()
        parameters = parameters_in_force(row)
        params: Any = parse_params(strategy.Params, parameters)
    except StrategyLoadError as error:
        log.error("strategy_not_loaded", strategy=row.name, kind=row.kind, error=str(error)[:300])
        return None
    except ParameterError as error:
        log.error("strategy_parameters_refused", strategy=row.name, error=str(error))
        return None
    digest = parameters_digest(row, parameters)
    step_ns = interval_ns(row.interval)
    warm = (
        instance.state is not None
        and instance.parameters_digest == digest
        and instance.last_bar_at is not None
    )
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
    if warm:
        state = strategy.load(json.dumps(instance.state))
    else:
        fresh = _unbroken_tail(bars, step_ns)
        instance.warm_from_at = ns_to_datetime(fresh[0].open_time_ns) if fresh else None
        try:
            state = strategy.initial(params)
        except ParameterError as error:
            log.error("strategy_refused_to_start", strategy=row.name, error=str(error))
            return None
    if not warm and len(fresh) < strategy.warmup(params):
        return None
    observation = _observation(instance, fresh[0])
    shown = [_bar(bar) for bar in bars] if asked else []
    number = len(bars) - len(fresh)
    decision: Decision | None = None
    wanted: Desired | None = None
    for bar in fresh:
        observation.bar, observation.now_ns = _bar(bar), bar.close_time_ns
        observation.listing_age_s = _listing_age_s(instance, bar)
        if asked:
            observation.slower = slower_closing(shown, number, row.interval, asked)
            number += 1
        try:
            state, desired = strategy.step(params, state, observation)
            _check_servable(desired)
        except ParameterError as error:
            # Nothing of this step is kept: what it wants cannot be done in full, so none of it is.
            log.error("strategy_refused", strategy=row.name, error=str(error))
            return None
        except Exception as error:  # noqa: BLE001  somebody's own code: it stops itself, not the others
            log.error("strategy_failed", strategy=row.name, error=f"{type(error).__name__}: {error}"[:300])
            return None
        if desired is not None:
            wanted = desired
        # Bars before the first warm one only fill the memory; a decision about them would be about the past.
        if desired is not None and (warm or bar is fresh[-1]):
            decision = _decide(instance, bar, desired, digest)
    serving_note(row)
    instance.state = json.loads(strategy.dump(state))
    instance.parameters_digest = digest
    instance.last_bar_at = ns_to_datetime(fresh[-1].open_time_ns)
    if wanted is not None:
        instance.target = wanted.target
        instance.protection = _protection_members(wanted)
    instance.save(
        update_fields=["state", "parameters_digest", "last_bar_at", "target", "protection", "warm_from_at"]
    )
    if decision is not None:
        enqueue_on_commit(
            "trading.tasks.plan_refresh",
            queue="trading",
            account_id=instance.account_id,
            instrument_id=instance.instrument_id,
        )
    return decision


def _protection_members(wanted: Desired) -> dict[str, float] | None:
    """The exits its position should carry, as they are stored; the bracket of the symbol follows them."""
    if wanted.protection is None:
        return None
    exits = wanted.protection
    members = {"stop": exits.stop, "take_profit": exits.take_profit, "trailing": exits.trailing}
    return {name: value for name, value in members.items() if value is not None} or None


def _check_servable(desired: Desired | None) -> None:
    """Refuse what live trading cannot do yet: quotes it should keep.

    Raises
    ------
    ParameterError : resting quotes are wanted.
    """
    if desired is None:
        return
    if desired.quotes is not None:
        raise ParameterError("quotes", "resting quotes are replayed, not yet traded live")


def parameters_digest(row: Strategy, parameters: Mapping[str, Any]) -> str:
    """Name what decides: a decision of other code, interval or parameters has another key."""
    text = json.dumps([row.kind, row.interval, parameters], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def decision_key(instance: StrategyInstance, digest: str, close_ns: int) -> str:
    """Return the key of the decision about the bar that closes at `close_ns`."""
    place = f"{instance.account.name}:{instance.instrument.symbol}"
    return decision_id(instance.strategy.name, digest[:12], place, close_ns)


def _decide(instance: StrategyInstance, bar: BarRecord, desired: Desired, digest: str) -> Decision:
    row = instance.strategy
    key = decision_key(instance, digest, bar.close_time_ns)
    decision, created = Decision.objects.get_or_create(
        instance=instance,
        bar_open_at=ns_to_datetime(bar.open_time_ns),
        defaults={
            "key": key,
            "price": bar.close,
            "target": desired.target,
            "confidence": desired.confidence,
            "reason": desired.reason,
            "features": dict(desired.features),
            "model": model_name(row),
            "decided_at": now(),
            "warm_from_at": instance.warm_from_at,
        },
    )
    if created:
        metrics.STRATEGY_DECISIONS.labels(strategy=row.name).inc()
        publish(
            "decisions",
            {
                "strategy": row.name,
                "account": instance.account.name,
                "symbol": instance.instrument.symbol,
                "target": desired.target,
                "confidence": desired.confidence,
                "reason": desired.reason,
                "model": model_name(row),
                "price": decimal_text(Decimal(bar.close)),
                "bar_open_at": decision.bar_open_at.isoformat(),
                "features": dict(desired.features),
            },
        )
    return decision


def _observation(instance: StrategyInstance, first: BarRecord) -> Observation:
    """What the strategy may know besides the bars: its holding and the top of the book now."""
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
        bar=_bar(first),
        now_ns=first.close_time_ns,
        bid=float(quote.bid or 0) if quote else 0.0,
        ask=float(quote.ask or 0) if quote else 0.0,
        bid_size=float(quote.bid_quantity) if quote else 0.0,
        ask_size=float(quote.ask_quantity) if quote else 0.0,
        position=held,
        average_price=average,
        unrealized=(mid - average) * held if mid else 0.0,
    )


def _listing_age_s(instance: StrategyInstance, bar: BarRecord) -> float | None:
    listed = instance.instrument.listed_at
    return None if listed is None else (ns_to_datetime(bar.close_time_ns) - listed).total_seconds()


def _bar(bar: BarRecord) -> StrategyBar:
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


def _unbroken_tail(bars: list[BarRecord], step_ns: int) -> list[BarRecord]:
    start = 0
    for index in range(1, len(bars)):
        if bars[index].open_time_ns - bars[index - 1].open_time_ns != step_ns:
            start = index
    return bars[start:]


def _seen(instance: StrategyInstance) -> datetime:
    assert instance.last_bar_at is not None
    return instance.last_bar_at
