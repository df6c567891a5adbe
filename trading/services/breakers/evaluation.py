"""Judging breakers: each measure against its row's rule, and what an open breaker does to its scope."""

from __future__ import annotations

import random
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from trading import metrics
from trading.domain import breakers
from trading.domain.breakers import BreakerState, Phase, Reading
from trading.domain.clock import datetime_to_ns, ns_to_datetime
from trading.domain.values import Level
from trading.models import CircuitBreaker, TradingState
from trading.services.breakers.catalogue import KINDS
from trading.services.breakers.measures import MEASURES
from trading.services.controls.states import auto_level_set, kill_raise

log = structlog.get_logger(__name__)
_LONGEST_JITTER = 0.1


def breakers_evaluate(*, venue: str | None = None, probe_ok: bool | None = None) -> None:
    """Judge every enabled breaker, or those of a venue after one of its calls; let time and probes do their part."""
    rows = CircuitBreaker.objects.filter(is_enabled=True).order_by("pk")
    if venue is not None:
        rows = rows.filter(scope=f"venue:{venue}")
    for pk in rows.values_list("pk", flat=True):
        _evaluate(pk, probe_ok)


@transaction.atomic
def _evaluate(pk: int, probe_ok: bool | None) -> None:
    row = CircuitBreaker.objects.select_for_update(no_key=True).filter(pk=pk, is_enabled=True).first()
    if row is None:
        return
    moment = now()
    now_ns, state, kind = datetime_to_ns(moment), breaker_load(row), KINDS.get(row.name)
    recovers = row.reset == CircuitBreaker.Reset.AUTO
    reading = _measured(row, moment)
    if reading is None:
        # What cannot be measured is not known to be safe.
        after = breakers.trip(state, row.rule, now_ns, f"{row.name} cannot be measured")
    elif kind is not None and kind.probes == "calls" and state.phase is not Phase.closed:
        after, _ = breakers.try_probe(state, row.rule, now_ns) if recovers else (state, False)
        if probe_ok is not None and state.phase is Phase.half_open:
            after = breakers.on_probe_result(after, row.rule, now_ns, probe_ok)
    else:
        jitter = random.uniform(0, _LONGEST_JITTER)
        after = breakers.judge(state, row.rule, now_ns, reading, recovers=recovers, jitter=jitter)
    row.evaluated_at = moment
    breaker_store(row, state, after)


def _measured(row: CircuitBreaker, moment: datetime) -> Reading | None:
    # Closing clears the window: what opened it last time must not open it again.
    since = max(moment - timedelta(seconds=row.window_s), row.changed_at)
    try:
        with transaction.atomic():  # a query that failed must not take the verdict with it
            reading = MEASURES[row.name](row.scope, since, moment)
    except Exception as error:
        # The one broad catch: whatever goes wrong inside a measure opens its breaker, and none holds up the others.
        log.exception("breaker_not_measured", breaker=row.name, scope=row.scope, error=type(error).__name__)
        row.measured = row.samples = None
        return None
    row.measured, row.samples = reading.value, reading.samples
    return reading


def breaker_trip(*, name: str, scope: str, reason: str, for_s: float | None = None) -> bool:
    """Open a breaker at once, for the time a venue asked or for its cool-down. False where there is none in force."""
    with transaction.atomic():
        row = CircuitBreaker.objects.select_for_update(no_key=True).filter(name=name, scope=scope).first()
        if row is None or not row.is_enabled:
            return False
        state = breaker_load(row)
        breaker_store(row, state, breakers.trip(state, row.rule, datetime_to_ns(now()), reason, for_s=for_s))
        return True


def breaker_members(row: CircuitBreaker) -> dict[str, Any]:
    """A breaker as events show it."""
    return {
        "id": row.pk,
        "name": row.name,
        "scope": row.scope,
        "state": row.state,
        "reason": row.reason,
        "measured": row.measured,
        "retry_at": row.retry_at.isoformat() if row.retry_at else None,
        "changed_at": row.changed_at.isoformat(),
    }


def breaker_load(row: CircuitBreaker) -> BreakerState:
    """The kernel's record of where a breaker is."""
    memory = dict(row.memory)
    memory.pop("samples", None)
    return BreakerState(**{**memory, "phase": Phase(row.state), "reason": row.reason})


def breaker_store(row: CircuitBreaker, before: BreakerState, after: BreakerState) -> None:
    """Write where a locked breaker is now, tell whoever watches, and do what its action says of its scope."""
    turned = after.phase is not before.phase
    memory = asdict(after)
    for derived in ("samples", "phase", "reason"):
        memory.pop(derived)
    row.memory, row.reason, row.state = memory, after.reason[:200], after.phase.value
    row.retry_at = ns_to_datetime(after.until_ns) if after.until_ns and after.phase is Phase.open else None
    if row.reset == CircuitBreaker.Reset.MANUAL:
        row.retry_at = None
    if turned or after.until_ns != before.until_ns:
        row.changed_at = now()
    row.save()
    if turned:
        log.warning("breaker_changed", breaker=row.name, scope=row.scope, state=row.state, reason=row.reason)
        metrics.BREAKER_CHANGES.labels(breaker=row.name, state=row.state).inc()
        audit_record(
            action=f"breaker.{row.state}",
            target=f"{row.name}@{row.scope}",
            actor="breaker",
            reason=row.reason,
            before=before.phase.value,
            after={"state": row.state, "measured": row.measured},
        )
        publish("breakers", breaker_members(row))
        scope_level_follow(row, opened=after.phase is Phase.open)


def scope_level_follow(row: CircuitBreaker, *, opened: bool = False) -> None:
    """Make the scope's level what its breakers demand: latched where only people reset it, else while it is open."""
    if opened and row.action != CircuitBreaker.Action.OPEN and row.reset == CircuitBreaker.Reset.MANUAL:
        kill_raise(
            scope=row.scope,
            level=Level[row.action],
            reason=f"breaker {row.name}: {row.reason}",
            actor=f"breaker {row.name}",
        )
    before = TradingState.objects.filter(scope=row.scope).values_list("auto_level", flat=True).first()
    if row.action == CircuitBreaker.Action.OPEN and not before:
        return  # it demands no level, and nothing is demanded that it could have been part of
    demanding = CircuitBreaker.objects.filter(
        scope=row.scope,
        is_enabled=True,
        state=CircuitBreaker.State.OPEN,
        reset=CircuitBreaker.Reset.AUTO,
    ).exclude(action=CircuitBreaker.Action.OPEN)
    strictest = max(demanding, key=lambda other: Level[other.action], default=None)
    auto_level_set(
        scope=row.scope,
        level=Level[strictest.action] if strictest else Level.ACTIVE,
        reason=f"breaker {strictest.name}: {strictest.reason}" if strictest else "",
        actor=f"breaker {row.name}",
    )
