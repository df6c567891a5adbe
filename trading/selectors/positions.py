"""Positions valued at the middle of bid and ask."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from trading.domain.portfolio import is_dust
from trading.domain.values import Market, Side, exact_product, times_of
from trading.models import Fill, Position
from trading.selectors.marks import Marks, marks_read
from trading.selectors.notation import amount_text, quotient_text, utc_text

_UNIT = Decimal("1E-8")
_FILLS = 500
"""So many fills back is looked for the one that opened a position."""


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


def position_opened_at(position: Position) -> datetime | None:
    """When what is held was opened; None without fills.

    That is the newest fill before which nothing was held, a crumb, or the other side. Of a position of very many fills
    it is the oldest of those looked at: it is held for that long at least.
    """
    before = Position(account=position.account, instrument=position.instrument, quantity=position.quantity)
    mark = marks_read({position.instrument_id}).of(position.instrument_id)
    opened = None
    for fill in _fills_of(position):
        opened = fill.recorded_at
        spot_fee = position.instrument.market == Market.spot and (
            fill.commission_asset == position.instrument.base_asset
        )
        bought = fill.quantity if fill.side == Side.BUY else -fill.quantity
        before.quantity -= bought - (fill.commission if spot_fee else 0)
        if before.quantity * position.quantity <= 0 or position_is_dust(before, mark):
            break
    return opened


def _fills_of(position: Position) -> QuerySet[Fill]:
    fills = Fill.objects.filter(
        account_id=position.account_id,
        instrument_id=position.instrument_id,
        order__position_side=position.position_side,
    )
    return fills.order_by("-trade_id")[:_FILLS]


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
