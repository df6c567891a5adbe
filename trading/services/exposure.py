"""Caps as reservations. Rows are locked in one order everywhere: position, balances, buckets narrow to wide."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import F

from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.tables import Table
from trading.domain.values import PositionSide
from trading.models import Account, Balance, ExposureBucket, Position, RiskLimit
from trading.services.scopes import GLOBAL
from universe.models import Instrument

# Rows are locked in their order, and none at all while one of them is missing: a row made afterwards would be
# locked out of order, behind rows this transaction holds already.
_POSITION_ROWS, _BALANCE_ROWS = Table(Position), Table(Balance)


@cache
def _positions_sql() -> str:
    which = """account_id = %(account)s AND instrument_id = %(instrument)s
   AND position_side = ANY(%(sides)s::text[])"""
    return f"""
SELECT {_POSITION_ROWS.columns("row")} FROM trading_position AS row
 WHERE {which}
   AND (SELECT count(*) FROM trading_position WHERE {which}) = cardinality(%(sides)s::text[])
 ORDER BY position_side FOR NO KEY UPDATE
"""  # noqa: S608  only names of our own columns


@cache
def _balances_sql() -> str:
    which = "account_id = %(account)s AND asset = ANY(%(assets)s::text[])"
    return f"""
SELECT {_BALANCE_ROWS.columns("row")} FROM trading_balance AS row
 WHERE {which}
   AND (SELECT count(*) FROM trading_balance WHERE {which}) = cardinality(%(assets)s::text[])
 ORDER BY asset COLLATE "C" FOR NO KEY UPDATE
"""  # noqa: S608


_BUCKETS = """
SELECT * FROM trading_exposurebucket
 WHERE scope = ANY(%(scopes)s::text[])
   AND (SELECT count(*) FROM trading_exposurebucket WHERE scope = ANY(%(scopes)s::text[])) = %(expected)s
 ORDER BY array_position(%(scopes)s::text[], scope::text) FOR NO KEY UPDATE
"""
# What must happen whatever the cap. The rows are locked in the given order before the first one changes.
_MOVE = """
WITH held AS (
    SELECT scope FROM trading_exposurebucket WHERE scope = ANY(%(scopes)s::text[])
     ORDER BY array_position(%(scopes)s::text[], scope::text) FOR NO KEY UPDATE
), change AS (
    SELECT * FROM unnest(%(scopes)s::text[], %(deltas)s::numeric[]) AS change (scope, delta)
)
UPDATE trading_exposurebucket AS bucket
   SET used = greatest(bucket.used + change.delta, 0),
       cap = <cap>,
       overrun = greatest(greatest(bucket.used + change.delta, 0) - <cap>, 0),
       cap_target = CASE WHEN <cap> > bucket.cap_target THEN bucket.cap_target END
  FROM held JOIN change ON change.scope = held.scope
 WHERE bucket.scope = held.scope
RETURNING bucket.scope
""".replace(
    # A cap that was lowered below its use follows the use down. Only the row that is updated may be asked: another
    # reading of it in the same statement would be from before the wait for its lock.
    "<cap>",
    "CASE WHEN bucket.cap_target IS NULL THEN bucket.cap ELSE "
    "greatest(bucket.cap_target, least(bucket.cap, greatest(bucket.used + change.delta, 0))) END",
)


def position_locked(account: Account, instrument: Instrument, side: str = PositionSide.BOTH) -> Position:
    """The position row of one side, locked; made flat where there is none yet."""
    return positions_locked(account, instrument, {side})[side]


def positions_locked(account: Account, instrument: Instrument, sides: set[str]) -> dict[str, Position]:
    """The position rows of some sides, locked in the order of their names; flat ones made where missing."""
    names = sorted(str(side) for side in sides)
    parameters: dict[str, Any] = {"account": account.pk, "instrument": instrument.pk, "sides": names}
    found = _rows(_positions_sql(), parameters)
    if len(found) < len(names):
        flat = [Position(account=account, instrument=instrument, position_side=side) for side in names]
        Position.objects.bulk_create(flat, ignore_conflicts=True)
        found = _rows(_positions_sql(), parameters)
    rows = [_POSITION_ROWS.read(values) for values in found]
    for row in rows:
        row.account, row.instrument = account, instrument
    return {row.position_side: row for row in rows}


def balances_locked(account: Account, assets: set[str]) -> dict[str, Balance]:
    """The balance rows of some assets, locked in the order of their names; empty ones made where missing."""
    names = sorted(assets)
    parameters: dict[str, Any] = {"account": account.pk, "assets": names}
    found = _rows(_balances_sql(), parameters)
    if len(found) < len(names):
        Balance.objects.bulk_create(
            [Balance(account=account, asset=name) for name in names], ignore_conflicts=True
        )
        found = _rows(_balances_sql(), parameters)
    rows = [_BALANCE_ROWS.read(values) for values in found]
    return {row.asset: row for row in rows}


def _rows(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def bucket_scopes(account: str, symbol: str, strategy: str | None) -> list[str]:
    """The buckets an order counts in, narrow to wide; last the account's own part of the cap over everything."""
    scopes = [f"symbol:{account}:{symbol}"]
    if strategy:
        scopes += [strategy_symbol(strategy, symbol), f"strategy:{strategy}"]
    return [*scopes, f"account:{account}", part_of_global(account)]


def strategy_symbol(strategy: str, symbol: str) -> str:
    """The bucket of one strategy in one symbol, over all accounts."""
    return f"strategy_symbol:{strategy}:{symbol}"


def owner_buckets(owner: str, symbol: str) -> tuple[str, str]:
    """The buckets that count what a strategy carries of a symbol."""
    return strategy_symbol(owner, symbol), f"strategy:{owner}"


def part_of_global(account: str) -> str:
    """The bucket that holds an account's part of the global cap."""
    return f"{GLOBAL}:{account}"


_LIMIT_OF = {
    "symbol": "exposure_symbol",
    "strategy_symbol": "exposure_strategy_symbol",
    "strategy": "exposure_strategy",
    "account": "exposure_account",
}


def buckets_locked(scopes: list[str]) -> dict[str, ExposureBucket]:
    """The bucket rows, locked in the given order, each made on first use with the cap of its limit."""
    parameters: dict[str, Any] = {"scopes": scopes, "expected": len(scopes)}
    found = {row.scope: row for row in ExposureBucket.objects.raw(_BUCKETS, parameters)}
    if len(found) < len(scopes):
        known = set(ExposureBucket.objects.filter(scope__in=scopes).values_list("scope", flat=True))
        missing = [ExposureBucket(scope=s, cap=_cap_for(s)) for s in scopes if s not in known]
        ExposureBucket.objects.bulk_create(missing, ignore_conflicts=True)
        found = {row.scope: row for row in ExposureBucket.objects.raw(_BUCKETS, parameters)}
    return found


def _cap_for(scope: str) -> Decimal:
    kind, _, rest = scope.partition(":")
    if kind == GLOBAL:
        return Decimal(0)  # the escrow grants it what it needs
    name = _LIMIT_OF[kind]
    limit_scope = f"symbol:{rest.rpartition(':')[2]}" if kind == "symbol" else scope
    values: list[Decimal] = list(
        RiskLimit.objects.filter(name=name, scope__in={GLOBAL, limit_scope}).values_list("value", flat=True)
    )
    if not values:
        raise ApplicationError("NOT_READY", f"limit {name} is not set", status=503)
    return min(values)


def buckets_reserve(scopes: list[str], amount: Decimal) -> bool:
    """Take `amount` in every bucket, or say False and leave the caller to roll back: no bucket passes its cap.

    Call with the buckets locked.
    """
    if amount == 0:
        return True
    room = ExposureBucket.objects.filter(scope__in=scopes, used__lte=F("cap") - amount)
    return room.update(used=F("used") + amount) == len(scopes)


def buckets_move(deltas: Mapping[str, Decimal]) -> None:
    """Apply changes that must happen whatever the cap: releases, and real fills. Locks narrow to wide.

    A bucket is made on first use: a strategy may come to carry something by an order in another one's name.
    """
    scopes = [scope for scope in sorted(deltas, key=_width) if deltas[scope]]
    if not scopes:
        return
    moved = _moved(scopes, deltas)
    missing = [scope for scope in scopes if scope not in moved]
    if missing:
        buckets_locked(missing)
        _moved(missing, deltas)


def _moved(scopes: list[str], deltas: Mapping[str, Decimal]) -> set[str]:
    with connection.cursor() as cursor:
        parameters: dict[str, Any] = {"scopes": scopes, "deltas": [deltas[scope] for scope in scopes]}
        cursor.execute(_MOVE, parameters)
        return {row[0] for row in cursor.fetchall()}


def _width(scope: str) -> tuple[int, str]:
    order = {"symbol": 0, "strategy_symbol": 1, "strategy": 2, "account": 3}
    return order.get(scope.partition(":")[0], 4), scope
