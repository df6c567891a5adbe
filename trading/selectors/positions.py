"""Positions valued at the middle of bid and ask."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from trading.domain.portfolio import is_dust
from trading.domain.values import exact_product, times_of
from trading.models import Position
from trading.selectors.marks import Marks, marks_read
from trading.selectors.notation import amount_text, quotient_text, utc_text

_UNIT = Decimal("1E-8")


def position_queryset() -> QuerySet[Position]:
    """Positions with everything `position_members` reads, newest first."""
    return Position.objects.select_related("account", "instrument").order_by("-id")


def position_unrealized(position: Position, mark: Decimal | None) -> Decimal | None:
    """The result of closing at `mark`, quote units before commission; None without a mark, 0 when flat.

    The cost is a positive amount for a long and for a short: what was paid, or what it was sold for.
    """
    if position.quantity == 0:
        return Decimal(0)
    if mark is None:
        return None
    value, cost = exact_product(abs(position.quantity), mark), Decimal(position.cost)
    return value - cost if position.quantity > 0 else cost - value


def position_notional(position: Position, mark: Decimal | None) -> Decimal:
    """Signed value at `mark`; at cost while there is no mark, so that an exposure never vanishes."""
    if mark is None:
        cost = Decimal(position.cost)
        return cost if position.quantity >= 0 else -cost
    return exact_product(position.quantity, mark)


def position_is_dust(position: Position, mark: Decimal | None) -> bool:
    """Whether what is held is too little for the venue to trade; False for an instrument without filters."""
    try:
        domain = position.instrument.to_domain()
    except (KeyError, ValueError):
        return False
    return is_dust(times_of(position.quantity, _UNIT)[0], domain, mark)


def position_members(position: Position, marks: Marks) -> dict[str, Any]:
    """The public members of a position."""
    mark = marks.by_instrument.get(position.instrument_id)
    mid = mark.mid if mark else None
    return {
        "account": position.account.name,
        "symbol": position.instrument.symbol,
        "position_side": position.position_side,
        "quantity": amount_text(position.quantity),
        "entry_price": quotient_text(position.cost, abs(position.quantity)),
        "mark_price": amount_text(mid),
        "unrealized_pnl": amount_text(position_unrealized(position, mid)),
        "realized_pnl": amount_text(position.realized),
        "fees": amount_text(position.commission),
        "funding": amount_text(position.funding),
        "dust": position_is_dust(position, mid),
        "market_value": amount_text(position_notional(position, mid)),
        "mark_received_at": utc_text(mark.received_at) if mark else None,
        "updated_at": utc_text(position.updated_at),
    }


def position_list(*, account: str | None = None, symbol: str | None = None) -> list[dict[str, Any]]:
    """Every position with its members, in two queries."""
    positions = position_queryset()
    if account is not None:
        positions = positions.filter(account__name=account)
    if symbol is not None:
        positions = positions.filter(instrument__symbol=symbol)
    rows = list(positions)
    marks = marks_read(row.instrument_id for row in rows)
    return [position_members(row, marks) for row in rows]
