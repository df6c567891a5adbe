"""Changing limits. Tightening is immediate for one person, loosening takes a second one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows, TargetChanged
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import (
    change_foreseen,
    change_request_create,
    fingerprint,
)
from nautilus_site.common.services.outbox import publish
from nautilus_site.common.services.turns import one_at_a_time
from trading.domain.values import decimal_text
from trading.models import RiskLimit
from trading.services.controls.limit_caps import caps_follow
from trading.services.controls.limit_kinds import LIMITS, LimitKind
from trading.services.controls.limits_in_force import limits_in_force
from trading.services.scopes import GLOBAL, parse_scope


def limit_change(
    *,
    name: str,
    scope: str,
    value: Decimal,
    reason: str,
    actor: User,
    expires_in_s: int | None = None,
) -> RiskLimit | ChangeRequest:
    """Tighten at once, or file a request to loosen. A first limit on a narrower scope always tightens.

    The first for everything does not: where it has no row, its default is what it tightens or loosens.
    """
    kind, scope = _checked(name, scope, value, reason)
    asked: dict[str, Any] = {
        "kind": "limit.loosen",
        "target": f"{name}@{scope}",
        "payload": {"value": decimal_text(value)},
        "requester": actor,
    }
    row = RiskLimit.objects.filter(name=name, scope=scope).first()
    before = _before(kind, scope, row)
    loosens = before is not None and kind.loosens(before, value)
    foreseen = change_foreseen(**asked) if loosens else None
    return _limit_changed(
        kind, scope, value, {**asked, "expires_in_s": expires_in_s, "foreseen": foreseen}, reason
    )


@one_at_a_time
def _limit_changed(
    kind: LimitKind, scope: str, value: Decimal, asked: dict[str, Any], reason: str
) -> RiskLimit | ChangeRequest:
    row = RiskLimit.objects.filter(name=kind.name, scope=scope).first()
    before = _before(kind, scope, row)
    if before is None or not kind.loosens(before, value):
        return _limit_set(kind, scope, value, actor=asked["requester"], reason=reason)
    diff = {"value": [decimal_text(before), decimal_text(value)]}
    return change_request_create(**asked, diff=diff, seen=_members(row), reason=reason)


def limit_tighten(*, name: str, scope: str, value: Decimal, reason: str, actor: User | str) -> RiskLimit:
    """Tighten at once; what would loosen the limit in force for the scope is refused, whoever asks.

    Raises
    ------
    NotFound : UNKNOWN_LIMIT.  ApplicationError : INVALID_VALUE, REASON_REQUIRED.  Conflict : NOT_TIGHTER.
    """
    kind, scope = _checked(name, scope, value, reason)
    in_force = limits_in_force({GLOBAL, scope}).values[name]
    if value == in_force or kind.loosens(in_force, value):
        raise Conflict("NOT_TIGHTER", f"{name} is {decimal_text(in_force)} in force for {scope}")
    return _limit_set(kind, scope, value, actor=actor, reason=reason, only_tighter=True)


def _checked(name: str, scope: str, value: Decimal, reason: str) -> tuple[LimitKind, str]:
    scope = parse_scope(scope)
    kind = LIMITS.get(name)
    if kind is None:
        raise NotFound("UNKNOWN_LIMIT", f"no limit is called {name!r}")
    if not value.is_finite() or value < 0:
        raise ApplicationError("INVALID_VALUE", f"expected a value of zero or more, was {value}")
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    return kind, scope


def _before(kind: LimitKind, scope: str, row: RiskLimit | None) -> Decimal | None:
    """What a scope's own limit is changed from; None where it has none, and so whatever is set is one more."""
    return row.value if row is not None else kind.default if scope == GLOBAL else None


@transaction.atomic
def _limit_set(
    kind: LimitKind,
    scope: str,
    value: Decimal,
    *,
    actor: User | str,
    reason: str,
    only_tighter: bool = False,
) -> RiskLimit:
    row = RiskLimit.objects.select_for_update(no_key=True).filter(name=kind.name, scope=scope).first()
    if only_tighter and row is not None and kind.loosens(row.value, value):
        # Somebody tightened it between the look and the lock.
        raise Conflict("NOT_TIGHTER", f"{kind.name} is {decimal_text(row.value)} by now for {scope}")
    before = decimal_text(row.value) if row else None
    if row is None:
        row = RiskLimit(
            name=kind.name,
            scope=scope,
            unit=kind.unit,
            tighter=kind.tighter,
            description=kind.description,
            policy_version=0,
        )
    row.value = value
    row.policy_version += 1
    row.changed_by, row.changed_at = str(actor), now()
    row.full_clean(exclude=["changed_by"])
    row.save()
    if kind.bucket is not None:
        caps_follow(kind.name, kind.bucket)
    audit_record(
        action="limit.changed",
        target=f"{kind.name}@{scope}",
        actor=actor,
        reason=reason,
        before=before,
        after=decimal_text(value),
    )
    publish("trading_state", {"limit": kind.name, "scope": scope, "value": decimal_text(value)})
    return row


def limit_snapshot(target: str) -> dict[str, Any]:
    """What must not change between the request and its approval."""
    name, _, scope = target.partition("@")
    row = RiskLimit.objects.filter(name=name, scope=scope).first()
    return _members(row)


def _members(row: RiskLimit | None) -> dict[str, Any]:
    return {"value": decimal_text(row.value), "version": row.policy_version} if row is not None else {}


def limit_rows(target: str) -> Rows:
    """What that is read from."""
    name, _, scope = target.partition("@")
    return [RiskLimit.objects.filter(name=name, scope=scope)]


def limit_effect(target: str, payload: Any) -> dict[str, Any]:
    """What the looser limit would let through: orders of the last week judged again by what was measured then."""
    from trading.selectors.denials import denials_by_limit
    from trading.selectors.what_if import limit_would_have

    name, _, scope = target.partition("@")
    kind, row = LIMITS[name], RiskLimit.objects.filter(name=name, scope=scope).first()
    found = limit_would_have(name, scope, Decimal(payload["value"]), tighter=kind.tighter)
    use = f"; the furthest came to {found['highest_use']} of it" if found["highest_use"] else ""
    return {
        "in_words": f"The last 7 days, {found['orders_last_7_days']} orders: would have blocked "
        f"{found['would_have_blocked']}, let through {found['would_have_let_through']} that were denied{use}.",
        "limit": name,
        "unit": kind.unit,
        "before": decimal_text(row.value if row is not None else kind.default),
        "after": payload["value"],
        "denied_last_7_days": denials_by_limit(name),
        **found,
    }


def apply_loosen(request: ChangeRequest, approver: User) -> None:
    """Set the limit as approved; runs inside the approving transaction."""
    name, _, scope = request.target.partition("@")
    # A row that was not there could not be locked before it was compared.
    row = RiskLimit.objects.select_for_update(no_key=True).filter(name=name, scope=scope).first()
    if fingerprint(_members(row)) != request.target_hash:
        raise TargetChanged
    _limit_set(
        LIMITS[name],
        scope,
        Decimal(request.payload["value"]),
        actor=f"{request.requester} and {approver}",
        reason=request.reason,
    )
