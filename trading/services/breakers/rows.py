"""The rows themselves: made for whatever may be traded, opened by hand at once, reset and loosened by two people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from operator import itemgetter
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record, audit_record_each
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.outbox import publish
from nautilus_site.common.services.turns import one_at_a_time
from nautilus_site.common.tables import Table, insert_missing
from trading.domain import breakers
from trading.domain.breakers import BreakerState
from trading.domain.clock import datetime_to_ns
from trading.domain.values import Level
from trading.models import Account, CircuitBreaker, SymbolAllowance
from trading.models.breakers import RULE_FIELDS
from trading.services.breakers.catalogue import KINDS, BreakerKind
from trading.services.breakers.evaluation import (
    breaker_load,
    breaker_members,
    breaker_store,
    scope_level_follow,
)

_BREAKERS = Table(CircuitBreaker)
_FIELDS = {field.name: field for field in CircuitBreaker._meta.fields}
# Which way is the safe one: a smaller threshold opens earlier, a longer wait stays away longer.
_SAFER_LOWER = ("threshold", "min_samples")
_SAFER_HIGHER = ("cooldown_s", "cooldown_max_s", "half_open_successes")


def breakers_install(*, venue: str, actor: User | str) -> None:
    """Create the breakers of a venue, closed."""
    _create([(kind, f"venue:{venue}") for kind in KINDS.values() if kind.of == "venue"], actor)


def breakers_ensure(*, actor: User | str = "breakers") -> int:
    """Create what is missing for every active account, its venue and every symbol that may be traded."""
    accounts = list(Account.objects.select_related("venue").filter(is_active=True))
    symbols = SymbolAllowance.objects.order_by().values_list("instrument__symbol", flat=True).distinct()
    wanted: dict[tuple[str, str], BreakerKind] = {}
    for kind in KINDS.values():
        match kind.of:
            case "venue":
                scopes = {f"venue:{account.venue.name}" for account in accounts}
            case "account":
                scopes = {f"account:{a.name}" for a in accounts if kind.market in (None, a.venue.market)}
            case "symbol":
                scopes = {f"symbol:{symbol}" for symbol in symbols}
            case _:
                scopes = {"global"}
        wanted |= {(kind.name, scope): kind for scope in scopes}
    return _create([(kind, scope) for (_, scope), kind in sorted(wanted.items(), key=itemgetter(0))], actor)


@transaction.atomic
def _create(wanted: list[tuple[BreakerKind, str]], actor: User | str) -> int:
    """Create those that are missing and write each down; how many there were."""
    there = set(CircuitBreaker.objects.values_list("name", "scope"))
    missing = [
        CircuitBreaker(
            name=kind.name,
            scope=scope,
            **asdict(kind.rule),
            unit=kind.unit,
            action=kind.action,
            reset=kind.reset,
            changed_at=now(),
        )
        for kind, scope in wanted
        if (kind.name, scope) not in there
    ]
    created = insert_missing(_BREAKERS, missing, unique=("name", "scope"))
    targets = [f"{name}@{scope}" for name, scope in created]
    audit_record_each(action="breaker.installed", targets=targets, actor=actor)
    return len(created)


@transaction.atomic
def breaker_force_open(*, breaker_id: int, actor: User, reason: str) -> CircuitBreaker:
    """Open a breaker by hand. It recovers as its policy says, like any other."""
    row = _locked(breaker_id)
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    state = breaker_load(row)
    after = breakers.trip(state, row.rule, datetime_to_ns(now()), f"forced open by {actor}: {reason}")
    breaker_store(row, state, after)
    audit_record(action="breaker.forced_open", target=f"breaker:{row.pk}", actor=actor, reason=reason)
    return row


def breaker_reset_request(
    *, breaker_id: int, requester: User, reason: str, expires_in_s: int | None = None
) -> ChangeRequest:
    """Ask for an open breaker to be probed now instead of at the end of its cool-down, or never."""
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
        seen=_state_members(row),
        reason=reason,
        requester=requester,
        expires_in_s=expires_in_s,
    )


def breaker_snapshot(target: str) -> dict[str, Any]:
    """What must not change between a reset's request and its approval."""
    return _state_members(CircuitBreaker.objects.get(pk=_pk(target)))


def _state_members(row: CircuitBreaker) -> dict[str, Any]:
    return {"state": row.state, "changed_at": row.changed_at.isoformat()}


def breaker_rows(target: str) -> Rows:
    """What the snapshots of a reset and of a rule are read from."""
    return [CircuitBreaker.objects.filter(pk=_pk(target))]


def apply_reset(request: ChangeRequest, approver: User) -> None:
    """Move the breaker to half-open, never straight to closed; runs inside the approving transaction."""
    row = _locked(_pk(request.target))
    state = breaker_load(row)
    breaker_store(row, state, breakers.reset(state))


@one_at_a_time
def breaker_rule_change(
    *,
    breaker_id: int,
    values: Mapping[str, Any],
    actor: User,
    reason: str,
    expires_in_s: int | None = None,
) -> CircuitBreaker | ChangeRequest:
    """Change a rule: at once where every difference is on the safe side, else as a request for two people.

    Raises
    ------
    ApplicationError : INVALID_RULE, REASON_REQUIRED.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    row = CircuitBreaker.objects.filter(pk=breaker_id).first()
    if row is None:
        raise NotFound("UNKNOWN_BREAKER", "no such breaker")
    before, changed = row.rule_members, rule_clean(row, values)
    if not changed:
        raise Conflict("NO_CHANGE", "that is the rule in force")
    if rule_loosens(before, changed):
        return change_request_create(
            kind="breaker.rule",
            target=f"breaker:{row.pk}",
            payload=changed,
            diff={name: [before[name], value] for name, value in changed.items()},
            seen=before,
            reason=reason,
            requester=actor,
            expires_in_s=expires_in_s,
        )
    return _rule_apply(row.pk, changed, actor, reason)


def rule_loosens(before: Mapping[str, Any], changed: Mapping[str, Any]) -> bool:
    """Whether any difference makes the breaker open later, do less, or close earlier."""
    for name, value in changed.items():
        old = before[name]
        if name in _SAFER_LOWER:
            loosens = value > old
        elif name in _SAFER_HIGHER:
            loosens = value < old
        elif name == "is_enabled":
            loosens = not value
        elif name == "action":
            loosens = _strictness(value) < _strictness(old)
        elif name == "reset":
            loosens = value == CircuitBreaker.Reset.AUTO
        else:
            loosens = True  # of a window neither way is the safe one
        if loosens:
            return True
    return False


def rule_clean(row: CircuitBreaker, values: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a rule that differ from the row's, as the row would hold them.

    Raises
    ------
    ApplicationError : INVALID_RULE.
    """
    unknown = sorted(set(values) - set(RULE_FIELDS))
    if unknown:
        raise ApplicationError("INVALID_RULE", f"a breaker's rule has no {', '.join(unknown)}")
    changed: dict[str, Any] = {}
    candidate = CircuitBreaker.objects.get(pk=row.pk)
    try:
        for name, value in values.items():
            new = _FIELDS[name].clean(value, candidate)
            if new != getattr(row, name):
                changed[name] = new
            setattr(candidate, name, new)
        _ = candidate.rule
        candidate.full_clean(exclude=set(_FIELDS) - set(RULE_FIELDS), validate_unique=False)
    except (ValidationError, ValueError, TypeError) as error:
        words = "; ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        raise ApplicationError("INVALID_RULE", words) from None
    return changed


def rule_request_clean(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What a proposed rule change holds, whichever way it was proposed."""
    row = CircuitBreaker.objects.filter(pk=_pk(target)).first()
    if row is None:
        raise NotFound("UNKNOWN_BREAKER", "no such breaker")
    return rule_clean(row, payload)


def rule_snapshot(target: str) -> dict[str, Any]:
    """What must not change between a rule's request and its approval."""
    return CircuitBreaker.objects.get(pk=_pk(target)).rule_members


def apply_rule(request: ChangeRequest, approver: User) -> None:
    """Put the approved rule in force; runs inside the approving transaction."""
    _rule_apply(_pk(request.target), request.payload, approver, request.reason)


@transaction.atomic
def _rule_apply(pk: int, changed: Mapping[str, Any], actor: User, reason: str) -> CircuitBreaker:
    row = _locked(pk)
    before = row.rule_members
    for name, value in changed.items():
        setattr(row, name, value)
    row.save(update_fields=list(changed))
    audit_record(
        action="breaker.rule_changed",
        target=f"{row.name}@{row.scope}",
        actor=actor,
        reason=reason,
        before={name: before[name] for name in changed},
        after=dict(changed),
    )
    if not row.is_enabled and row.state != CircuitBreaker.State.CLOSED:
        breaker_store(row, breaker_load(row), BreakerState())
    publish("breakers", breaker_members(row))
    # A breaker that is open already does from now on what the new rule says.
    scope_level_follow(row, opened=row.state == CircuitBreaker.State.OPEN)
    return row


def _strictness(action: str) -> int:
    return int(Level[action]) if action in Level.__members__ else 0


def _locked(breaker_id: int) -> CircuitBreaker:
    row = CircuitBreaker.objects.select_for_update(no_key=True).filter(pk=breaker_id).first()
    if row is None:
        raise NotFound("UNKNOWN_BREAKER", "no such breaker")
    return row


def _pk(target: str) -> int:
    number = target.partition(":")[2]
    if not number.isdecimal():
        raise NotFound("UNKNOWN_BREAKER", f"{target!r} names no breaker")
    return int(number)
