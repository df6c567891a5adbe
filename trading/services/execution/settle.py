"""Tx C: what the venue told of orders, from whatever source, booked once.

The response of a placement, the user stream, a query and a sweep all come through here. Fills are unique by the
venue's trade id and every consequence hangs on the inserted row, so order of arrival and repetition do not matter.
One report or a thousand about a symbol are settled in the same few statements: locked rows are changed in memory and
written back once (`booking.SymbolBooks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from django.db import connection, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from nautilus_site.common.services.hints import enqueue_on_commit
from trading import metrics
from trading.domain.errors import DomainError, IllegalTransition, InvariantViolation
from trading.domain.execution import state_after
from trading.domain.orders import OrderStatus, from_venue, is_terminal
from trading.domain.ports import OrderReport, TradeReport
from trading.domain.reservation import exposure_increase
from trading.domain.values import Level, OrderService, OrderType, Side, from_units, to_units
from trading.models import ExposureBucket, Fill, Order, OrderList
from trading.services.execution.booking import SymbolBooks
from trading.services.execution.holds import hold_again, hold_amended, hold_release
from trading.services.execution.locked import orders_locked
from trading.services.order_events import (
    STEP_ENDS,
    STEP_FOLLOWS,
    Step,
    fill_events,
    order_event,
    order_steps,
    step_parameters,
)
from trading.services.parents import child_give_back
from trading.services.protection_hints import protection_hint

log = structlog.get_logger(__name__)
_SETTLED = (
    *("status", "venue_order_id", "algo_id", "triggered_at", "acknowledged_at", "ended_at", "updated_at"),
    *("reported_status", "reported_executed", "quantity", "executed_quantity", "executed_quote"),
    *("open_quantity", "reserved_notional", "reserved_amount", "code", "message"),
)


_BOOKED = """
SELECT trade_id FROM trading_fill WHERE account_id = %s AND instrument_id = %s AND trade_id = ANY(%s::bigint[])
"""


@dataclass(frozen=True, slots=True)
class Settlement:
    """One message about one order: a report, trades, or both."""

    order_id: int
    report: OrderReport | None
    trades: tuple[TradeReport, ...]
    source: str


def order_settle(
    *, order_id: int, report: OrderReport | None, trades: Iterable[TradeReport], source: str
) -> Order:
    """Book fills that are new, then advance the order as far as what is known allows.

    A terminal report whose executed quantity is ahead of the fills we have stays open until those fills arrive:
    only executions are ever booked, never assumed.

    Raises
    ------
    InvariantViolation : more was executed than ordered, or the venue contradicts itself.
    """
    return orders_settle([Settlement(order_id, report, tuple(trades), source)])[order_id]


def settle_all(settlements: Sequence[Settlement]) -> dict[int, Order]:
    """Settle messages of one symbol together; where one of them cannot be, each by itself, so that it stops no other.

    Raises
    ------
    DomainError, LookupError, ValueError : of the first that cannot be settled, once all others are.
    """
    try:
        return orders_settle(settlements)
    except (DomainError, LookupError, ValueError):
        if len(settlements) == 1:
            raise
    settled: dict[int, Order] = {}
    failure: Exception | None = None
    for settlement in settlements:
        try:
            settled |= orders_settle([settlement])
        except (DomainError, LookupError, ValueError) as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return settled


@transaction.atomic
def orders_settle(settlements: Sequence[Settlement]) -> dict[int, Order]:
    """Settle messages about orders of one account and one symbol in one transaction, in the order given.

    Raises
    ------
    InvariantViolation : as `order_settle`; nothing of the batch is booked then.
    """
    wanted = {settlement.order_id for settlement in settlements}
    orders = orders_locked(wanted)
    if len(orders) < len(wanted):
        raise Order.DoesNotExist(f"no order {sorted(wanted - orders.keys())}")
    first = next(iter(orders.values()))
    if any(
        (order.account_id, order.instrument_id) != (first.account_id, first.instrument_id)
        for order in orders.values()
    ):
        raise ValueError("expected orders of one account and one symbol")
    books = SymbolBooks(first.account, first.instrument, orders)
    _fold(books, settlements)
    steps: list[Step] = []
    booked: list[Fill] = []
    for settlement in settlements:
        order = orders[settlement.order_id]
        fills, changed = _settle(order, settlement, books)
        booked += fills
        if changed:
            steps.append(Step(order, str(order.status), settlement.source, _detail(settlement.report)))
    books.write()
    moment = now()
    for order in orders.values():
        order.updated_at = moment
    if len(orders) == 1 and len(steps) == 1:
        _write_and_tell(steps[0])
    else:
        _write(orders.values())
        _tell(steps)
    fill_events(booked)
    if steps:
        protection_hint(first, traded=any(fill.order.origin == Order.Origin.PROTECTION for fill in booked))
    crash_point("C")
    if any(settlement.source in ("sweep", "query") for settlement in settlements):
        crash_point("C14")
    taken_back = any(
        order.plan_id is not None and order.cancel_requested_at is not None and order.ended_at is not None
        for order in (step.order for step in steps)
    )
    if taken_back or any(fill.order.plan_id is not None for fill in booked):
        # What was taken back to make room is certainly gone: what was to follow it may come now.
        enqueue_on_commit(
            "trading.tasks.plan_refresh",
            queue="trading",
            account_id=first.account_id,
            instrument_id=first.instrument_id,
        )
    return orders


_ONE = f"""
WITH stepped AS (
    UPDATE trading_order SET {", ".join(f"{name} = %({name})s" for name in _SETTLED)} WHERE id = %(order)s RETURNING id
), {STEP_FOLLOWS} {STEP_ENDS}
"""  # noqa: S608  only our own column names


def _write_and_tell(step: Step) -> None:
    """Write one order back with its step, in one statement."""
    order = step.order
    parameters = {name: getattr(order, name) for name in _SETTLED}
    parameters |= {"order": order.pk, **step_parameters(order, source=step.source, detail=step.detail)}
    with connection.cursor() as cursor:
        cursor.execute(_ONE, parameters)


def _write(orders: Iterable[Order]) -> None:
    """Write many orders back in one pipeline; building one statement for all of them costs more than running them."""
    columns = ", ".join(f"{name} = %s" for name in _SETTLED)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE trading_order SET {columns} WHERE id = %s",  # noqa: S608  only our own column names
            [[*(getattr(order, name) for name in _SETTLED), order.pk] for order in orders],
        )


def _fold(books: SymbolBooks, settlements: Sequence[Settlement]) -> None:
    """Fold every trade that is new into the positions, oldest first, whatever message it came with."""
    told: dict[int, tuple[TradeReport, Settlement]] = {}
    for settlement in settlements:
        for trade in settlement.trades:
            if trade.quantity > 0:
                told.setdefault(trade.trade_id, (trade, settlement))
    if not told:
        return
    with connection.cursor() as cursor:
        cursor.execute(_BOOKED, [books.account.pk, books.instrument.pk, list(told)])
        known = {trade_id for (trade_id,) in cursor.fetchall()}
    fresh = [told[trade_id] for trade_id in sorted(told) if trade_id not in known]
    if fresh:
        books.fold([(trade, settlement.order_id, settlement.source) for trade, settlement in fresh])


def _settle(order: Order, settlement: Settlement, books: SymbolBooks) -> tuple[list[Fill], bool]:
    before = (order.status, order.executed_quantity)
    report = settlement.report
    if report is not None:
        _note_report(order, report, books)
    fresh = [
        trade.trade_id for trade in settlement.trades if books.is_fresh(trade.trade_id, settlement.order_id)
    ]
    if fresh and order.status == OrderStatus.ABSENT:
        _reserve_again(order, books)
    booked = [books.book(trade_id) for trade_id in sorted(set(fresh))]
    _advance(order, books)
    return booked, bool(booked) or (order.status, order.executed_quantity) != before


def _note_report(order: Order, report: OrderReport, books: SymbolBooks) -> None:
    """Keep the furthest thing the venue has said; an older report changes nothing."""
    told = from_venue(report.status)
    if order.algo_id is None and report.algo_id is not None:
        order.algo_id = report.algo_id
    if order.venue_order_id is None and report.venue_order_id > 0:
        order.venue_order_id = report.venue_order_id
    is_algo = order.service == OrderService.ALGO
    if order.triggered_at is None and (report.triggered or (is_algo and order.venue_order_id is not None)):
        order.triggered_at = now()
    if report.venue_list_id is not None and order.order_list_id is not None:
        OrderList.objects.filter(pk=order.order_list_id, venue_list_id=None).update(
            venue_list_id=report.venue_list_id
        )
    refused_at_trigger = told is OrderStatus.REJECTED and order.acknowledged_at is not None
    if refused_at_trigger and OrderType(order.venue_type).is_conditional:
        # It was accepted, waited, and could not trade when its moment came: over, and nothing was executed.
        told, order.code = OrderStatus.EXPIRED, "TRIGGER_REJECTED"
        order.message = "the venue refused it when it triggered"
    if order.acknowledged_at is None:
        order.acknowledged_at = now()
        if order.sent_at is not None:
            metrics.SUBMIT_TO_ACK.observe((order.acknowledged_at - order.sent_at).total_seconds())
    _note_quantity(order, report, books)
    if report.executed_quantity > order.quantity:
        raise InvariantViolation(
            f"order {order.client_order_id}: {report.executed_quantity} executed of {order.quantity}"
        )
    order.reported_executed = max(order.reported_executed, report.executed_quantity)
    if not order.reported_status or not is_terminal(OrderStatus(order.reported_status)):
        order.reported_status = told


def _note_quantity(order: Order, report: OrderReport, books: SymbolBooks) -> None:
    """The venue may lower what an order is for: an amendment, or a reducing order cut to what was left.

    Never taken back: a report that still tells the larger quantity is an older one. An order to close a position gets
    its quantity when it triggers.
    """
    if report.quantity <= 0 or report.quantity == order.quantity:
        return
    if order.close_position:
        if report.triggered or report.venue_order_id > 0:
            order.quantity = report.quantity
    elif report.quantity < order.quantity:
        if report.quantity < order.executed_quantity:
            raise InvariantViolation(
                f"order {order.client_order_id}: lowered to {report.quantity}, {order.executed_quantity} is executed"
            )
        books.lock()
        hold_amended(order, report.quantity, books.changes)
        order.quantity = report.quantity


def _advance(order: Order, books: SymbolBooks) -> None:
    """Derive the state from what is booked and what was reported."""
    current = OrderStatus(order.status)
    try:
        after = state_after(
            current,
            quantity=to_units(order.quantity),
            executed=to_units(order.executed_quantity),
            told=OrderStatus(order.reported_status) if order.reported_status else None,
            told_executed=to_units(order.reported_executed),
        )
    except IllegalTransition as error:
        raise InvariantViolation(str(error)) from error
    if after == current:
        return
    if current == OrderStatus.ABSENT and order.ended_at is not None:
        _reserve_again(order, books)
    order.status = after
    if is_terminal(after):
        books.lock()
        hold_release(order, books.changes)
        books.order_over(order)
        child_give_back(order, after)
        order.ended_at = now()
        _count_end(after)


def _count_end(status: OrderStatus) -> None:
    if status is OrderStatus.FILLED:
        metrics.ORDERS_FILLED.inc()
    elif status is OrderStatus.REJECTED:
        metrics.ORDERS_REJECTED.inc()
    elif status is OrderStatus.CANCELED:
        metrics.ORDERS_CANCELED.inc()


def _reserve_again(order: Order, books: SymbolBooks) -> None:
    """An order proven absent has landed after all: it holds again what it had given back, whatever the caps.

    Taken before its fills are booked: they shrink the order's own hold, never that of another order.
    """
    log.error("late_landing", client_order_id=order.client_order_id)
    metrics.INVARIANT_VIOLATIONS.labels(invariant="I12_late_landing").inc()
    order.ended_at = None
    position, held = books.lock()[order.position_side], books.held(order)
    remaining = order.quantity - order.executed_quantity
    increase = exposure_increase(
        held, to_units(position.open_buy), to_units(position.open_sell), Side(order.side), to_units(remaining)
    )
    hold_again(order, position, books.changes, from_units(increase))
    books.then(lambda: _reduce_if_overrun(order))


def _reduce_if_overrun(order: Order) -> None:
    from trading.services.exposure import bucket_scopes

    strategy = order.strategy.name if order.strategy else None
    scopes = bucket_scopes(order.account.name, order.instrument.symbol, strategy)
    if ExposureBucket.objects.filter(scope__in=scopes, overrun__gt=0).exists():
        transaction.on_commit(lambda: _only_reduce(order.account.name))


def _only_reduce(account: str) -> None:
    from trading.services.controls.states import kill_raise  # it enforces through this module

    kill_raise(
        scope=f"account:{account}",
        level=Level.REDUCING,
        reason="an order proven absent landed after all and passed a cap",
        actor="settlement",
    )


def _tell(steps: Sequence[Step]) -> None:
    if len(steps) == 1:
        step = steps[0]
        order_event(step.order, source=step.source, detail=step.detail)
    elif steps:
        order_steps(steps)


def _detail(report: OrderReport | None) -> dict[str, str]:
    if report is None:
        return {}
    return {"venue_status": report.status, "executed": str(report.executed_quantity)}
