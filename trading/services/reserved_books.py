"""The rows an order is judged by and reserves in: position, balances, buckets, locked in that order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from trading.models import Account, Balance, ExposureBucket, Position
from trading.services.exposure import balances_locked, bucket_scopes, buckets_locked, position_locked
from universe.models import Instrument

ZERO = Decimal(0)

# Each part waits for the locks of the one before it, because it counts its rows; and none is locked while a row of
# it is missing, as in `exposure`. A lock that had to be waited for returns the row as its holder left it.
_LOCKED: Final = """
WITH position AS MATERIALIZED (
    SELECT id, quantity, open_buy, open_sell FROM trading_position
     WHERE account_id = %(account)s AND instrument_id = %(instrument)s AND position_side = %(side)s
       FOR NO KEY UPDATE
), balance AS MATERIALIZED (
    SELECT asset, amount, reserved FROM trading_balance
     WHERE account_id = %(account)s AND asset = ANY(%(assets)s::text[])
       AND (SELECT count(*) FROM position) = 1
       AND (SELECT count(*) FROM trading_balance
             WHERE account_id = %(account)s AND asset = ANY(%(assets)s::text[])) = cardinality(%(assets)s::text[])
     ORDER BY asset COLLATE "C" FOR NO KEY UPDATE
), bucket AS MATERIALIZED (
    SELECT scope, used, cap FROM trading_exposurebucket
     WHERE scope = ANY(%(scopes)s::text[])
       AND (SELECT count(*) FROM balance) = cardinality(%(assets)s::text[])
       AND (SELECT count(*) FROM trading_exposurebucket
             WHERE scope = ANY(%(scopes)s::text[])) = cardinality(%(scopes)s::text[])
     ORDER BY array_position(%(scopes)s::text[], scope::text) FOR NO KEY UPDATE
)
SELECT 'position', '', id, quantity, open_buy, open_sell FROM position
 UNION ALL SELECT 'balance', asset, 0, amount, reserved, 0 FROM balance
 UNION ALL SELECT 'bucket', scope, 0, used, cap, 0 FROM bucket
"""
# The rows are locked: what the rails have just approved is still there, and the count of buckets says that it was.
_TAKE: Final = """
WITH open AS (
    UPDATE trading_position
       SET open_buy = greatest(open_buy + %(buy)s::numeric, 0), open_sell = greatest(open_sell + %(sell)s::numeric, 0)
     WHERE id = %(position)s
), promise AS (
    UPDATE trading_balance SET reserved = reserved + %(promised)s::numeric
     WHERE account_id = %(account)s AND asset = %(asset)s AND %(promised)s::numeric <> 0
), taken AS (
    UPDATE trading_exposurebucket SET used = used + %(notional)s::numeric
     WHERE scope = ANY(%(scopes)s::text[]) AND used <= cap - %(notional)s::numeric
       AND %(notional)s::numeric <> 0
    RETURNING scope
)
SELECT count(*) FROM taken
"""


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """One side of a symbol: signed base quantity and open quantities; `pk` is None where there is no row yet."""

    pk: int | None
    side: str
    quantity: Decimal = ZERO
    open_buy: Decimal = ZERO
    open_sell: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class HeldBalance:
    """What the ledger holds of an asset, and how much of it open orders have promised."""

    amount: Decimal = ZERO
    reserved: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class HeldBucket:
    """What is used of a cap, quote currency."""

    used: Decimal
    cap: Decimal


@dataclass(frozen=True, slots=True)
class Books:
    """The rows an order is judged by."""

    position: HeldPosition
    balances: Mapping[str, HeldBalance]
    buckets: Mapping[str, HeldBucket]


def books_locked(account: Account, instrument: Instrument, side: str, strategy: str | None) -> Books:
    """The rows locked, each made where it is missing: in one statement but for the first time."""
    scopes = bucket_scopes(account.name, instrument.symbol, strategy)
    assets = sorted({instrument.base_asset, instrument.quote_asset})
    parameters: dict[str, Any] = {
        "account": account.pk,
        "instrument": instrument.pk,
        "side": str(side),
        "assets": assets,
        "scopes": scopes,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LOCKED, parameters)
        rows = cursor.fetchall()
    if len(rows) < 1 + len(assets) + len(scopes):
        return _of_rows(
            side,
            position_locked(account, instrument, side),
            balances_locked(account, set(assets)),
            buckets_locked(scopes),
        )
    return Books(
        next(HeldPosition(row[2], side, *row[3:]) for row in rows if row[0] == "position"),
        {row[1]: HeldBalance(row[3], row[4]) for row in rows if row[0] == "balance"},
        {row[1]: HeldBucket(row[3], row[4]) for row in rows if row[0] == "bucket"},
    )


def books_seen(account: Account, instrument: Instrument, side: str, strategy: str | None) -> Books:
    """The rows as they are, without a lock and without making any."""
    assets = {instrument.base_asset, instrument.quote_asset}
    scopes = bucket_scopes(account.name, instrument.symbol, strategy)
    return _of_rows(
        side,
        Position.objects.filter(account=account, instrument=instrument, position_side=side).first(),
        {row.asset: row for row in Balance.objects.filter(account=account, asset__in=assets)},
        {row.scope: row for row in ExposureBucket.objects.filter(scope__in=scopes)},
    )


def _of_rows(
    side: str,
    position: Position | None,
    balances: Mapping[str, Balance],
    buckets: Mapping[str, ExposureBucket],
) -> Books:
    return Books(
        HeldPosition(position.pk, side, position.quantity, position.open_buy, position.open_sell)
        if position
        else HeldPosition(None, side),
        {name: HeldBalance(row.amount, row.reserved) for name, row in balances.items()},
        {name: HeldBucket(row.used, row.cap) for name, row in buckets.items()},
    )


def books_take(
    books: Books,
    account: Account,
    *,
    buy: Decimal = ZERO,
    sell: Decimal = ZERO,
    asset: str = "",
    promised: Decimal = ZERO,
    notional: Decimal = ZERO,
) -> bool:
    """Take open quantity, balance and caps together. False when a cap is full: the caller rolls back."""
    scopes = list(books.buckets)
    parameters: dict[str, Any] = {
        "position": books.position.pk,
        "buy": buy,
        "sell": sell,
        "account": account.pk,
        "asset": asset,
        "promised": promised,
        "notional": notional,
        "scopes": scopes,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, parameters)
        return notional == 0 or cursor.fetchone()[0] == len(scopes)
