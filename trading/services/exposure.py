"""Caps as reservations. Rows are locked in one order everywhere: position, balances, buckets narrow to wide."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from django.db.models import F, Value
from django.db.models.functions import Greatest

from nautilus_site.common.errors import ApplicationError
from trading.models import Account, Balance, ExposureBucket, Position, RiskLimit
from trading.services.scopes import GLOBAL
from universe.models import Instrument

ZERO = Decimal(0)


def position_locked(account: Account, instrument: Instrument) -> Position:
    """The position row, locked; made flat where there is none yet."""
    Position.objects.get_or_create(account=account, instrument=instrument)
    return Position.objects.select_for_update(of=("self",)).get(account=account, instrument=instrument)


def balances_locked(account: Account, assets: set[str]) -> dict[str, Balance]:
    """The balance rows of some assets, locked in the order of their names."""
    for asset in sorted(assets):
        Balance.objects.get_or_create(account=account, asset=asset)
    rows = (
        Balance.objects.select_for_update(of=("self",))
        .filter(account=account, asset__in=assets)
        .order_by("asset")
    )
    return {row.asset: row for row in rows}


def bucket_scopes(account: str, symbol: str, strategy: str | None) -> list[str]:
    """The buckets an order counts in, narrow to wide; the hottest row last."""
    scopes = [f"symbol:{account}:{symbol}"]
    if strategy:
        scopes.append(f"strategy:{strategy}")
    return [*scopes, f"account:{account}", GLOBAL]


_LIMIT_OF = {"symbol": "exposure_symbol", "strategy": "exposure_strategy", "account": "exposure_account"}


def buckets_locked(scopes: list[str]) -> dict[str, ExposureBucket]:
    """The bucket rows, locked in the given order, each made on first use with the cap of its limit."""
    found: dict[str, ExposureBucket] = {}
    for scope in scopes:
        bucket = ExposureBucket.objects.select_for_update().filter(scope=scope).first()
        if bucket is None:
            ExposureBucket.objects.get_or_create(scope=scope, defaults={"cap": _cap_for(scope)})
            bucket = ExposureBucket.objects.select_for_update().get(scope=scope)
        found[scope] = bucket
    return found


def _cap_for(scope: str) -> Decimal:
    kind, _, rest = scope.partition(":")
    name = _LIMIT_OF.get(kind, "exposure_global")
    limit_scope = f"symbol:{rest.rpartition(':')[2]}" if kind == "symbol" else scope
    values: list[Decimal] = list(
        RiskLimit.objects.filter(name=name, scope__in={GLOBAL, limit_scope}).values_list("value", flat=True)
    )
    if not values:
        raise ApplicationError("NOT_READY", f"limit {name} is not set", status=503)
    return min(values)


def buckets_reserve(scopes: list[str], amount: Decimal) -> bool:
    """Take `amount` in every bucket, or say False and leave the caller to roll back: no bucket passes its cap."""
    if amount == 0:
        return True
    for scope in scopes:
        taken = ExposureBucket.objects.filter(scope=scope, used__lte=F("cap") - amount).update(
            used=F("used") + amount
        )
        if not taken:
            return False
    return True


def buckets_move(deltas: Mapping[str, Decimal]) -> None:
    """Apply changes that must happen whatever the cap: releases, and real fills. Locks narrow to wide."""
    for scope in sorted(deltas, key=_width):
        delta = deltas[scope]
        if delta:
            after = Greatest(F("used") + delta, Value(ZERO))
            ExposureBucket.objects.filter(scope=scope).update(
                used=after, overrun=Greatest(after - F("cap"), Value(ZERO))
            )


def _width(scope: str) -> tuple[int, str]:
    order = {"symbol": 0, "strategy": 1, "account": 2}
    return order.get(scope.partition(":")[0], 3), scope
