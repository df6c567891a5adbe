"""Limits in force. Tightening is immediate for one person, loosening takes a second one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
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
from trading.selectors.credentials import KEY_MAX_AGE, KEY_MAX_AGE_DAYS
from trading.services.controls.limit_caps import caps_follow
from trading.services.scopes import GLOBAL, parse_scope


@dataclass(frozen=True, slots=True)
class LimitKind:
    """What a limit means and which direction is the safe one."""

    name: str
    unit: str
    tighter: str
    default: Decimal
    description: str
    bucket: str | None = None
    """The bucket prefix whose cap this limit sets."""
    is_of_orders: bool = True
    """Whether orders are judged by it: then none passes where it has no row. Else its default holds there."""

    def loosens(self, before: Decimal, after: Decimal) -> bool:
        """Whether a value allows more than another one."""
        return after > before if self.tighter == "lower" else after < before


LIMITS: dict[str, LimitKind] = {
    kind.name: kind
    for kind in (
        LimitKind(
            "min_notional", "USDT", "higher", Decimal(10), "smallest order; reducing exits may go below it"
        ),
        LimitKind("max_notional", "USDT", "lower", Decimal(5000), "largest order"),
        LimitKind("max_quantity", "base", "lower", Decimal(100000), "largest order in base units"),
        LimitKind(
            "exposure_symbol", "USDT", "lower", Decimal(10000), "gross exposure of one symbol", "symbol:"
        ),
        LimitKind(
            "exposure_strategy",
            "USDT",
            "lower",
            Decimal(20000),
            "gross exposure of one strategy",
            "strategy:",
        ),
        LimitKind(
            "exposure_strategy_symbol",
            "USDT",
            "lower",
            Decimal(10000),
            "gross exposure of one strategy in one symbol",
            "strategy_symbol:",
        ),
        LimitKind(
            "exposure_group",
            "USDT",
            "lower",
            Decimal(30000),
            "gross exposure of any group of correlated symbols",
        ),
        LimitKind(
            "exposure_account", "USDT", "lower", Decimal(40000), "gross exposure of one account", "account:"
        ),
        LimitKind("exposure_global", "USDT", "lower", Decimal(40000), "gross exposure of everything", GLOBAL),
        LimitKind("exposure_net_account", "USDT", "lower", Decimal(40000), "long less short of one account"),
        LimitKind("exposure_net_global", "USDT", "lower", Decimal(40000), "long less short of everything"),
        LimitKind(
            "soft_notional", "USDT", "lower", Decimal(5000), "largest order without a second person's grant"
        ),
        LimitKind(
            "leverage_max", "x", "lower", Decimal(5), "highest leverage a futures symbol may be set to"
        ),
        LimitKind(
            "margin_max_ratio", "share", "lower", Decimal("0.5"), "maintenance margin over margin balance"
        ),
        LimitKind(
            "margin_rate",
            "share",
            "higher",
            Decimal("0.01"),
            "maintenance margin assumed while the brackets are not known",
        ),
        LimitKind(
            "liquidation_min_distance",
            "share",
            "higher",
            Decimal("0.1"),
            "smallest move of all prices that may reach the maintenance margin",
        ),
        LimitKind(
            "orders_per_minute", "orders", "lower", Decimal(60), "orders an account may send in 60 seconds"
        ),
        LimitKind(
            "orders_per_minute_strategy",
            "orders",
            "lower",
            Decimal(60),
            "orders a strategy may send in 60 seconds",
        ),
        LimitKind("max_open_orders", "orders", "lower", Decimal(20), "working orders per symbol"),
        LimitKind(
            "max_open_orders_strategy", "orders", "lower", Decimal(60), "working orders of one strategy"
        ),
        LimitKind(
            "weight_headroom",
            "share",
            "higher",
            Decimal("0.2"),
            "request weight kept for cancels, look-ups and the kill",
        ),
        LimitKind(
            "repeated_executions",
            "fills",
            "lower",
            Decimal(30),
            "executions of one rule in 60 seconds before its strategy is switched off",
        ),
        LimitKind("near_duplicate_window", "s", "higher", Decimal(2), "time between two nearly equal orders"),
        LimitKind(
            "max_sends_per_decision", "orders", "lower", Decimal(10), "orders one decision may lead to"
        ),
        LimitKind("daily_loss", "USDT", "lower", Decimal(2000), "loss since 00:00 UTC, mark to market"),
        LimitKind("max_drawdown", "share", "lower", Decimal("0.25"), "fall from the peak, mark to market"),
        LimitKind("max_loss_streak", "losses", "lower", Decimal(25), "losing trades in a row on one day"),
        LimitKind("loss_cooldown", "s", "higher", Decimal(0), "pause of a strategy after a losing trade"),
        LimitKind("equity_max_age", "s", "lower", Decimal(120), "oldest measured result trading goes by"),
        LimitKind(
            "price_disagreement",
            "bps",
            "lower",
            Decimal(200),
            "how far middle, last trade and mark price may be apart",
        ),
        LimitKind("clock_max_offset", "s", "lower", Decimal("0.25"), "venue's clock against ours"),
        LimitKind("clock_max_age", "s", "lower", Decimal(60), "longest time since the clocks were compared"),
        LimitKind("stream_max_age", "s", "lower", Decimal(30), "longest silence of the user stream"),
        LimitKind(
            "price_collar",
            "bps",
            "lower",
            Decimal(50),
            "how far beyond the middle of the book a limit may pay",
        ),
        LimitKind(
            "market_slippage", "bps", "lower", Decimal(20), "how far beyond the touch a market order may pay"
        ),
        LimitKind("price_max_age", "s", "lower", Decimal(5), "oldest price an order may be judged by"),
        LimitKind("decision_ttl", "s", "lower", Decimal(15), "oldest decision that may be sent"),
        LimitKind(
            "reconcile_max_age", "s", "lower", Decimal(60), "longest time since the account was found clean"
        ),
        LimitKind(
            "unknown_max_age",
            "s",
            "lower",
            Decimal(30),
            "oldest unresolved order beside which a symbol trades",
        ),
        LimitKind(
            "unprotected_max_age",
            "s",
            "lower",
            Decimal(30),
            "longest time a position that should have a stop at the venue may have none; then it is closed",
        ),
        LimitKind(
            KEY_MAX_AGE,
            "days",
            "lower",
            KEY_MAX_AGE_DAYS,
            "age at which an exchange key is to be replaced",
            is_of_orders=False,
        ),
    )
}


OWN_SCOPE = frozenset({"daily_loss", "max_drawdown"})
"""Limits that are measured against exactly the scope they are set for, never against a narrower one."""


@dataclass(frozen=True, slots=True)
class LimitsInForce:
    """Every limit as it applies to some scopes: the tightest value, the version of the row it comes from."""

    values: dict[str, Decimal]
    versions: dict[str, int]
    expires_at: datetime | None
    by_scope: dict[tuple[str, str], Decimal]
    """Values of the `OWN_SCOPE` limits by name and scope."""


def limits_in_force(scopes: Iterable[str]) -> LimitsInForce:
    """The limits an order of these scopes is judged by.

    Raises
    ------
    ApplicationError : NOT_READY, a limit has no row: there is no "unlimited".
    """
    rows = RiskLimit.objects.filter(scope__in=list(scopes)).values_list(
        "name", "scope", "value", "tighter", "in_force_until", "policy_version"
    )
    return limits_of_rows(rows)


def limits_of_rows(
    rows: Iterable[tuple[str, str, Decimal, str, datetime | None, int]],
) -> LimitsInForce:
    """Fold rows of limits, as `limits_in_force` does."""
    values: dict[str, Decimal] = {}
    versions: dict[str, int] = {}
    by_scope: dict[tuple[str, str], Decimal] = {}
    earliest: datetime | None = None
    everywhere: set[str] = set()
    for name, scope, value, tighter, until, version in rows:
        if scope == GLOBAL:
            everywhere.add(name)
        known = values.get(name)
        if known is None or (value < known if tighter == "lower" else value > known):
            values[name], versions[name] = value, version
        if name in OWN_SCOPE:
            by_scope[name, scope] = value
        if until is not None and (earliest is None or until < earliest):
            earliest = until
    for kind in LIMITS.values():
        if not kind.is_of_orders and kind.name not in everywhere:
            value = values.get(kind.name, kind.default)
            values[kind.name] = kind.default if kind.loosens(kind.default, value) else value
    missing = LIMITS.keys() - values.keys()
    if missing:
        raise ApplicationError("NOT_READY", f"limits are not set: {', '.join(sorted(missing))}", status=503)
    return LimitsInForce(values, versions, earliest, by_scope)


def limit_values(scopes: Iterable[str]) -> tuple[dict[str, Decimal], datetime | None]:
    """The tightest value of every limit over the scopes, and the earliest expiry among them.

    Raises
    ------
    ApplicationError : NOT_READY, a limit has no row: there is no "unlimited".
    """
    found = limits_in_force(scopes)
    return found.values, found.expires_at


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
