"""Circuit breakers as rows: fed by every call to a venue, judged by the kernel's state machine."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Any

import structlog
from django.db import DatabaseError, connection, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.outbox import publish
from trading import metrics
from trading.domain import breakers
from trading.domain.breakers import BreakerRule, BreakerState, Phase
from trading.domain.clock import datetime_to_ns, ns_to_datetime
from trading.models import CircuitBreaker, VenueCallWindow
from universe.adapters.binance import CallOutcome

log = structlog.get_logger(__name__)

VENUE_ERROR_RATE = "venue_error_rate"
VENUE_RATE_LIMIT = "venue_rate_limit"
DEFAULT_RULE = BreakerRule(
    window_s=60, min_samples=10, threshold=0.5, cooldown_s=10, cooldown_max_s=300, half_open_successes=3
)


def breakers_install(*, venue: str, actor: User | str) -> None:
    """Create the breakers of a venue, closed."""
    for name in (VENUE_ERROR_RATE, VENUE_RATE_LIMIT):
        _, created = CircuitBreaker.objects.get_or_create(
            name=name, scope=f"venue:{venue}", defaults={"rule": asdict(DEFAULT_RULE), "changed_at": now()}
        )
        if created:
            audit_record(action="breaker.installed", target=f"{name}@venue:{venue}", actor=actor)


def venue_call_observed(venue: str, outcome: CallOutcome, latency_s: float, code: int | None) -> None:
    """Count one finished call. Never raises: losing a figure must not lose an order's answer.

    A call of unknown outcome is not counted; asking what became of it is, and that call will be.
    """
    if outcome is CallOutcome.UNKNOWN:
        return
    failed = outcome is CallOutcome.ERROR
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO trading_venuecallwindow (venue, second, calls, errors) VALUES (%s, %s, 1, %s)
                ON CONFLICT (venue, second) DO UPDATE SET calls = trading_venuecallwindow.calls + 1,
                    errors = trading_venuecallwindow.errors + EXCLUDED.errors
                """,
                [venue, int(now().timestamp()), int(failed)],
            )
        if code in (-1003, -1015):
            metrics.RATE_LIMITED.labels(venue=venue).inc()
        half_open = CircuitBreaker.objects.filter(
            scope=f"venue:{venue}", state=CircuitBreaker.State.HALF_OPEN
        )
        if failed or half_open.exists():
            breakers_evaluate(venue=venue, probe_ok=not failed)
    except DatabaseError as error:
        log.warning("venue_call_not_counted", venue=venue, error=type(error).__name__)


@transaction.atomic
def breakers_evaluate(*, venue: str, probe_ok: bool | None = None) -> None:
    """Judge the breakers of a venue by the calls of their window, and let time and probes do their part."""
    moment = now()
    now_ns = datetime_to_ns(moment)
    for row in CircuitBreaker.objects.select_for_update().filter(scope=f"venue:{venue}").order_by("pk"):
        rule = BreakerRule(**row.rule)
        state = _load(row)
        if state.phase is Phase.closed and row.name == VENUE_ERROR_RATE:
            calls, errors = _window(venue, rule, row)
            row.measured = 100 * errors / calls if calls else 0.0
            after = breakers.observe(state, rule, now_ns, calls, errors, jitter=random.uniform(0, 0.1))
            after = after if after.phase is not Phase.closed else state
        else:
            after, _ = breakers.try_probe(state, rule, now_ns)
            if probe_ok is not None and state.phase is Phase.half_open:
                after = breakers.on_probe_result(after, rule, now_ns, probe_ok)
        _store(row, state, after)


def breaker_trip(*, name: str, scope: str, reason: str, for_s: float | None = None) -> None:
    """Open a breaker at once, for the time a venue asked or for its cool-down."""
    with transaction.atomic():
        row = CircuitBreaker.objects.select_for_update().filter(name=name, scope=scope).first()
        if row is None:
            return
        state = _load(row)
        after = breakers.trip(state, BreakerRule(**row.rule), datetime_to_ns(now()), reason, for_s=for_s)
        _store(row, state, after)


@transaction.atomic
def breaker_force_open(*, breaker_id: int, actor: User, reason: str) -> CircuitBreaker:
    """Open a breaker by hand. It recovers by probes like any other."""
    row = _locked(breaker_id)
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    state = _load(row)
    after = breakers.trip(
        state, BreakerRule(**row.rule), datetime_to_ns(now()), f"forced open by {actor}: {reason}"
    )
    _store(row, state, after)
    audit_record(action="breaker.forced_open", target=f"breaker:{row.pk}", actor=actor, reason=reason)
    return row


def breaker_reset_request(
    *, breaker_id: int, requester: User, reason: str, expires_in_s: int | None = None
) -> ChangeRequest:
    """Ask for an open breaker to be probed now instead of at the end of its cool-down."""
    row = CircuitBreaker.objects.filter(pk=breaker_id).first()
    if row is None:
        raise NotFound("UNKNOWN_BREAKER", "no such breaker")
    if row.state == CircuitBreaker.State.CLOSED:
        raise Conflict("BREAKER_CLOSED", "the breaker is closed already")
    return change_request_create(
        kind="breaker.reset",
        target=f"breaker:{row.pk}",
        payload={"breaker_id": row.pk},
        diff={"state": [row.state, "half_open"]},
        reason=reason,
        requester=requester,
        expires_in_s=expires_in_s,
    )


def breaker_snapshot(target: str) -> dict[str, Any]:
    row = CircuitBreaker.objects.get(pk=int(target.partition(":")[2]))
    return {"state": row.state, "changed_at": row.changed_at.isoformat()}


def apply_reset(request: ChangeRequest, approver: User) -> None:
    """Move the breaker to half-open, never straight to closed; runs inside the approving transaction."""
    row = _locked(request.payload["breaker_id"])
    state = _load(row)
    _store(row, state, breakers.reset(state))


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


def _locked(breaker_id: int) -> CircuitBreaker:
    row = CircuitBreaker.objects.select_for_update().filter(pk=breaker_id).first()
    if row is None:
        raise NotFound("UNKNOWN_BREAKER", "no such breaker")
    return row


def _window(venue: str, rule: BreakerRule, row: CircuitBreaker) -> tuple[int, int]:
    """Calls and errors of the window, none from before the breaker last changed: closing clears the window."""
    since = max(int(now().timestamp() - rule.window_s), int(row.changed_at.timestamp()))
    rows = VenueCallWindow.objects.filter(venue=venue, second__gt=since).values_list("calls", "errors")
    return sum(calls for calls, _ in rows), sum(errors for _, errors in rows)


def _load(row: CircuitBreaker) -> BreakerState:
    memory = dict(row.memory)
    memory.pop("samples", None)
    return BreakerState(**{**memory, "phase": Phase(row.state), "reason": row.reason})


def _store(row: CircuitBreaker, before: BreakerState, after: BreakerState) -> None:
    changed = after.phase is not before.phase or after.until_ns != before.until_ns
    memory = asdict(after)
    for derived in ("samples", "phase", "reason"):
        memory.pop(derived)
    row.memory, row.reason, row.state = memory, after.reason[:200], after.phase.value
    row.retry_at = ns_to_datetime(after.until_ns) if after.until_ns and after.phase is Phase.open else None
    if changed:
        row.changed_at = now()
    row.save()
    if after.phase is not before.phase:
        log.warning("breaker_changed", breaker=row.name, scope=row.scope, state=row.state, reason=row.reason)
        publish("breakers", breaker_members(row))


def breaker_windows_prune(keep_s: int = 3600) -> int:
    """Delete call counts older than any window. Returns how many."""
    deleted, _ = VenueCallWindow.objects.filter(second__lt=int(now().timestamp()) - keep_s).delete()
    return deleted
