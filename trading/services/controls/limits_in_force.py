"""Limits as they apply to some scopes: the tightest value of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from nautilus_site.common.errors import ApplicationError
from trading.models import RiskLimit
from trading.services.controls.limit_kinds import LIMITS, OWN_SCOPE
from trading.services.scopes import GLOBAL


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
