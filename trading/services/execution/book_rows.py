"""The rows of one symbol's books: read as the kernel's book, written back in a few statements."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.tables import Table
from trading.domain import portfolio
from trading.domain.subaccounts import Book
from trading.domain.values import from_units, to_units
from trading.models import Fill, Position, SubPosition

_FILLS, _PARTS = Table(Fill), Table(SubPosition)
# A position and the parts of its owners that changed, under the lock of the position.
_FOLDED = """
WITH position AS (
    UPDATE trading_position
       SET quantity = %(quantity)s::numeric, cost = %(cost)s::numeric, realized = %(realized)s::numeric,
           commission = %(commission)s::numeric, last_trade_id = %(last_trade_id)s::bigint,
           splits = %(splits)s::jsonb, updated_at = %(updated_at)s::timestamptz,
           carried_notional = %(carried_notional)s::numeric, carried_by = %(carried_by)s::jsonb,
           open_buy = greatest(open_buy + %(buy)s::numeric, 0), open_sell = greatest(open_sell + %(sell)s::numeric, 0)
     WHERE id = %(position)s::bigint
)
INSERT INTO trading_subposition AS part (position_id, owner, quantity, cost, realized, commission, funding)
SELECT %(position)s::bigint, owner, quantity, cost, realized, commission, 0
  FROM unnest(%(owners)s::text[], %(quantities)s::numeric[], %(costs)s::numeric[], %(realizeds)s::numeric[],
              %(commissions)s::numeric[]) AS changed (owner, quantity, cost, realized, commission)
    ON CONFLICT (position_id, owner) DO UPDATE
   SET quantity = EXCLUDED.quantity, cost = EXCLUDED.cost, realized = EXCLUDED.realized,
       commission = EXCLUDED.commission
"""


def position_write(
    position: Position, book: Book, rows: Mapping[str, SubPosition], *, buy: Decimal, sell: Decimal
) -> None:
    """Write a folded position back with its owners' parts; open quantities change by `buy` and `sell`."""
    parts = parts_changed(position, book, rows)
    splits = {str(order): taken for order, taken in book.taken.items()}
    parameters: dict[str, Any] = {
        "position": position.pk,
        "quantity": from_units(book.position.quantity),
        "cost": from_units(book.position.cost),
        "realized": from_units(book.position.realized),
        "commission": from_units(book.position.fees),
        "last_trade_id": book.last_trade_id,
        "splits": json.dumps(splits),
        "updated_at": now(),
        "carried_notional": position.carried_notional,
        "carried_by": json.dumps(position.carried_by),
        "buy": buy,
        "sell": sell,
        "owners": [part.owner for part in parts],
        "quantities": [part.quantity for part in parts],
        "costs": [part.cost for part in parts],
        "realizeds": [part.realized for part in parts],
        "commissions": [part.commission for part in parts],
    }
    with connection.cursor() as cursor:
        cursor.execute(_FOLDED, parameters)


@cache
def _fills_sql() -> str:
    return f"{_FILLS.insert} RETURNING id, trade_id"


@cache
def _fill_sql() -> str:
    return f"{_FILLS.insert_one} RETURNING id, trade_id"


def fills_write(fills: Sequence[Fill]) -> None:
    """Store fills and give them their keys. A trade that is booked already violates a constraint."""
    with connection.cursor() as cursor:
        if len(fills) == 1:
            cursor.execute(_fill_sql(), _FILLS.row(fills[0]))
        else:
            cursor.execute(_fills_sql(), _FILLS.parameters(fills))
        keys = {trade_id: pk for pk, trade_id in cursor.fetchall()}
    for fill in fills:
        fill.pk, fill._state.adding = keys[fill.trade_id], False


@cache
def _parts_sql() -> str:
    return f"SELECT {_PARTS.columns('part')} FROM trading_subposition AS part WHERE position_id = %s"  # noqa: S608


def parts_read(position: Position) -> dict[str, SubPosition]:
    """The owners' parts of a position. Call with the position locked."""
    with connection.cursor() as cursor:
        cursor.execute(_parts_sql(), [position.pk])
        rows = [_PARTS.read(values) for values in cursor.fetchall()]
    return {row.owner: row for row in rows}


def book_of(position: Position, parts: Iterable[SubPosition]) -> Book:
    """The kernel's book of the rows."""
    return Book(
        position=_units(position),
        owners={part.owner: _units(part) for part in parts},
        taken={int(order): dict(taken) for order, taken in position.splits.items()},
        last_trade_id=position.last_trade_id,
    )


def parts_write(position: Position, book: Book, rows: Mapping[str, SubPosition]) -> None:
    """Write the owners' parts that changed, in one statement."""
    changed = parts_changed(position, book, rows)
    if changed:
        SubPosition.objects.bulk_create(
            changed,
            update_conflicts=True,
            unique_fields=["position", "owner"],
            update_fields=["quantity", "cost", "realized", "commission"],
        )


def parts_changed(position: Position, book: Book, rows: Mapping[str, SubPosition]) -> list[SubPosition]:
    """The owners' parts that differ from their rows, by owner."""
    changed = []
    for owner, held in sorted(book.owners.items()):
        row = rows.get(owner)
        if row is not None and _units(row) == held:
            continue
        changed.append(
            SubPosition(
                position=position,
                owner=owner,
                quantity=from_units(held.quantity),
                cost=from_units(held.cost),
                realized=from_units(held.realized),
                commission=from_units(held.fees),
            )
        )
    return changed


def _units(row: Position | SubPosition) -> portfolio.Position:
    return portfolio.Position(
        quantity=to_units(row.quantity),
        cost=to_units(row.cost),
        realized=to_units(row.realized),
        fees=to_units(row.commission),
    )
