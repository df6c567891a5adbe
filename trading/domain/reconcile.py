"""Differences between our books and the venue's answer. They become events, never edits.

Orders are matched by client order id and trades by symbol and trade id, nothing looser; an order the
venue does not list is asked for by its id, never assumed filled (W41).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from trading.domain.errors import IllegalTransition
from trading.domain.orders import OrderStatus, advance, from_venue, is_terminal
from trading.domain.ports import BalanceReport, OrderReport, TradeReport
from trading.domain.values import decimal_text

PROCESSING_TIMEOUT_MS: Final = 10_000
"""The venue gives up on a request after this long (its documented API processing timeout)."""

LAG_MARGIN_MS: Final = 5_000
"""A query may read a copy that lags behind the engine; nobody documents by how much."""

QUERY_SPACING_MS: Final = 2_000


class DivergenceKind(StrEnum):
    """What differs."""

    MISSING_FILL = "MISSING_FILL"
    FILL_MISMATCH = "FILL_MISMATCH"
    UNKNOWN_ORDER_AT_VENUE = "UNKNOWN_ORDER_AT_VENUE"
    ORDER_NOT_AT_VENUE = "ORDER_NOT_AT_VENUE"
    STATUS_BEHIND = "STATUS_BEHIND"
    BALANCE_MISMATCH = "BALANCE_MISMATCH"
    POSITION_MISMATCH = "POSITION_MISMATCH"
    ACCOUNT_EMPTY = "ACCOUNT_EMPTY"
    ACCOUNT_MODE = "ACCOUNT_MODE"
    KEY_PERMISSIONS = "KEY_PERMISSIONS"


@dataclass(frozen=True, slots=True)
class OrderView:
    """What one side believes of an order."""

    symbol: str
    client_order_id: str
    status: OrderStatus
    executed: Decimal


@dataclass(frozen=True, slots=True)
class TradeView:
    """What one side believes of a trade."""

    symbol: str
    trade_id: int
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Books:
    """One side's books, both taken over the same symbols and the same span of trade ids.

    For ours, `orders` are those that may be open (RESERVED ones are not at the venue yet and are left
    out) plus any others the caller wants compared; for the venue they are its open orders. `balances`
    are asset -> free plus locked, or None when not asked.
    """

    orders: Sequence[OrderView] = ()
    trades: Sequence[TradeView] = ()
    balances: Mapping[str, Decimal] | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Divergence:
    """One difference: its kind, what it is about, and both sides' values as text (None: not there)."""

    kind: DivergenceKind
    key: str
    ours: str | None
    theirs: str | None
    detail: str


def books_from_reports(
    orders: Sequence[OrderReport],
    trades: Sequence[TradeReport],
    balances: Sequence[BalanceReport] | None,
) -> Books:
    """Build the venue's side from its reports.

    Raises
    ------
    ValueError : the venue used an order status we do not know.
    """
    return Books(
        orders=tuple(
            OrderView(o.symbol, o.client_order_id, from_venue(o.status), o.executed_quantity) for o in orders
        ),
        trades=tuple(TradeView(t.symbol, t.trade_id, t.quantity, t.price) for t in trades),
        balances=None if balances is None else {b.asset: b.free + b.locked for b in balances},
    )


def differences(ours: Books, theirs: Books, *, tolerance: Decimal = Decimal(0)) -> tuple[Divergence, ...]:
    """Return every difference, trades first, so that repairs book fills before they judge orders.

    Parameters
    ----------
    tolerance : how far a balance may be off per asset without being reported.
    """
    return (
        *_trade_differences(ours, theirs),
        *_order_differences(ours, theirs),
        *_balance_differences(ours, theirs, tolerance),
    )


def absence_proven(
    sent_ms: int,
    recv_window_ms: int,
    server_time_ms: int,
    not_found_at_ms: tuple[int, ...],
    in_open_orders: bool,
    unexplained_trades: bool,
) -> bool:
    """Tell whether an order of unknown outcome certainly never happened and never will.

    All of: the venue's clock is past timestamp + recvWindow + 10 s + 5 s; two lookups by client id, at
    least 2 s apart and both after that moment, said "does not exist"; it is not among the open orders;
    no trade of the symbol since the timestamp is unexplained. With a recvWindow of 2 s the earliest
    proof is 19 s after sending.

    Parameters
    ----------
    sent_ms : the signed timestamp.  not_found_at_ms : when the lookups were answered. All on the
        venue's clock.
    """
    safe_ms = sent_ms + recv_window_ms + PROCESSING_TIMEOUT_MS + LAG_MARGIN_MS
    lookups = [at for at in not_found_at_ms if safe_ms < at <= server_time_ms]
    return (
        server_time_ms > safe_ms
        and len(lookups) >= 2
        and max(lookups) - min(lookups) >= QUERY_SPACING_MS
        and not in_open_orders
        and not unexplained_trades
    )


def _trade_differences(ours: Books, theirs: Books) -> list[Divergence]:
    known = {(trade.symbol, trade.trade_id): trade for trade in ours.trades}
    found = []
    for trade in theirs.trades:
        mine = known.get((trade.symbol, trade.trade_id))
        if mine == trade:
            continue
        key = f"{trade.symbol}:{trade.trade_id}"
        if mine is None:
            detail = f"trade {key} is not in our books"
            found.append(Divergence(DivergenceKind.MISSING_FILL, key, None, _trade_text(trade), detail))
        else:
            detail = f"trade {key} is booked differently"
            found.append(
                Divergence(DivergenceKind.FILL_MISMATCH, key, _trade_text(mine), _trade_text(trade), detail)
            )
    return found


def _order_differences(ours: Books, theirs: Books) -> list[Divergence]:
    mine_by_id = {order.client_order_id: order for order in ours.orders}
    their_ids = {order.client_order_id for order in theirs.orders}
    found = []
    for order in theirs.orders:
        mine = mine_by_id.get(order.client_order_id)
        key = f"{order.symbol}:{order.client_order_id}"
        if mine is None:
            detail = f"order {key} is open at the venue and not ours"
            found.append(
                Divergence(DivergenceKind.UNKNOWN_ORDER_AT_VENUE, key, None, _order_text(order), detail)
            )
        elif detail := _status_difference(mine, order):
            found.append(
                Divergence(DivergenceKind.STATUS_BEHIND, key, _order_text(mine), _order_text(order), detail)
            )
    for mine in ours.orders:
        if mine.client_order_id in their_ids or is_terminal(mine.status):
            continue
        if mine.status is OrderStatus.RESERVED:
            continue  # committed and not sent: it cannot be at the venue
        key = f"{mine.symbol}:{mine.client_order_id}"
        detail = f"order {key} is not among the venue's open orders: ask for it by its id"
        found.append(Divergence(DivergenceKind.ORDER_NOT_AT_VENUE, key, _order_text(mine), None, detail))
    return found


def _status_difference(mine: OrderView, theirs: OrderView) -> str:
    if theirs.executed > mine.executed:
        return "the venue has executed more than we have booked"
    if is_terminal(mine.status) and not is_terminal(theirs.status):
        return f"we say {mine.status}, the venue has it open"
    if theirs.executed < mine.executed:
        return "we have booked more than the venue shows"
    try:
        if advance(mine.status, theirs.status) is not mine.status:
            return f"we say {mine.status}, the venue says {theirs.status}"
    except IllegalTransition as error:
        return str(error)
    return ""


def _balance_differences(ours: Books, theirs: Books, tolerance: Decimal) -> list[Divergence]:
    if ours.balances is None or theirs.balances is None:
        return []
    found = []
    for asset in sorted({*ours.balances, *theirs.balances}):
        mine, venue = ours.balances.get(asset, Decimal(0)), theirs.balances.get(asset, Decimal(0))
        if abs(mine - venue) > tolerance:
            detail = f"{asset}: {decimal_text(venue - mine)} more at the venue than in our books"
            found.append(
                Divergence(
                    DivergenceKind.BALANCE_MISMATCH,
                    asset,
                    decimal_text(mine),
                    decimal_text(venue),
                    detail,
                )
            )
    return found


def _trade_text(trade: TradeView) -> str:
    return f"{decimal_text(trade.quantity)} @ {decimal_text(trade.price)}"


def _order_text(order: OrderView) -> str:
    return f"{order.status} executed {decimal_text(order.executed)}"
