"""Amending a working order at the venue: written down, sent once, settled from what the venue says of the order.

An amendment only ever asks for less: a smaller quantity, at a price that is not nearer to the market. It takes nothing
the order does not hold already, so no rail has to pass again. Anything else is a new order with every rail: the
planner's once a cancel is certain, a person's on spot by one request (`trading.services.orders.change`).

Spot keeps the order's place in the queue (`amend/keepPriority`, quantity only); USD-M gives it a new one (`PUT order`).
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import structlog
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import enqueue_on_commit
from trading.domain.errors import OutcomeUnknown, VenueError, VenueRejected, VenueUnavailable
from trading.domain.execution import RECV_WINDOW_MS, CommandStep, next_amend
from trading.domain.orders import OrderStatus
from trading.domain.ports import ExecutionVenue
from trading.domain.reconcile import LAG_MARGIN_MS, PROCESSING_TIMEOUT_MS
from trading.domain.values import Market, Side, decimal_text
from trading.models import Order, OrderCommand
from trading.services.execution.authorise import venue_order
from trading.services.execution.commands import command_doubted, command_end
from trading.services.execution.settle import order_settle
from trading.services.execution.trades import report_trades

log = structlog.get_logger(__name__)
_SETTLED_AFTER_MS = RECV_WINDOW_MS + PROCESSING_TIMEOUT_MS + LAG_MARGIN_MS


@transaction.atomic
def order_amend_request(
    *,
    order: Order,
    quantity: Decimal,
    price: Decimal | None = None,
    actor: User | str,
    reason: str,
    key: str,
) -> OrderCommand:
    """Ask for less of a working order. The same key always means the same amendment.

    Raises
    ------
    Conflict : ORDER_CLOSED, or AMEND_IN_FLIGHT while an earlier one is not known to be over.
    ApplicationError : AMEND_NEEDS_REPLACE, it asks for more than the order holds.
    """
    locked = (
        Order.objects.select_for_update(of=("self",), no_key=True)
        .select_related("instrument")
        .get(pk=order.pk)
    )
    known = OrderCommand.objects.filter(intent_key=f"amend:{key}").first()
    if known is not None:
        return known
    if next_amend(OrderStatus(locked.status), sent=False) is not CommandStep.SEND:
        raise Conflict("ORDER_CLOSED", f"an order that is {locked.status} cannot be amended")
    if locked.commands.filter(ended_at=None).exists():
        raise Conflict("AMEND_IN_FLIGHT", "a cancel or an amendment of this order is not over yet")
    _asks_for_less(locked, quantity, price)
    command = OrderCommand.objects.create(
        order=locked,
        kind=OrderCommand.Kind.AMEND,
        intent_key=f"amend:{key}",
        quantity=quantity,
        price=price,
        requested_by=str(actor)[:150],
        reason=reason[:200],
        requested_at=now(),
    )
    audit_record(
        action="order.amend_requested",
        target=f"order:{locked.uid}",
        actor=actor,
        reason=reason,
        before={"quantity": decimal_text(locked.quantity), "price": _text(locked.price)},
        after={"quantity": decimal_text(quantity), "price": _text(price or locked.price)},
    )
    enqueue_on_commit("trading.tasks.order_amend", queue="control", command_id=command.pk)
    return command


def order_amend(*, command_id: int, venue: ExecutionVenue) -> str:
    """Take one step with an amendment: send it if it never was, else ask what came of it. Returns its state.

    Raises
    ------
    VenueError : the venue cannot be asked now.
    """
    command = OrderCommand.objects.select_related("order__account", "order__instrument").get(pk=command_id)
    if command.ended_at is not None:
        return command.state
    step = next_amend(OrderStatus(command.order.status), sent=command.sent_at is not None)
    if step is CommandStep.VOID:
        command_end(command, OrderCommand.State.VOID, message=f"the order was {command.order.status} first")
    elif step is CommandStep.SEND:
        _send(command, venue)
    elif command.sent_at is not None:
        _ask(command, venue)
    command.refresh_from_db()
    return command.state


def amendments_open(account_id: int) -> list[int]:
    """Amendments to take a step with; one on the wire right now is left to its sender for a while."""
    rows = OrderCommand.objects.filter(
        order__account_id=account_id, kind=OrderCommand.Kind.AMEND, ended_at=None
    )
    sent_lately = now() - timedelta(seconds=8)
    return [
        pk
        for pk, state, sent_at in rows.values_list("pk", "state", "sent_at")
        if state != OrderCommand.State.SENDING or sent_at is None or sent_at < sent_lately
    ]


def _asks_for_less(order: Order, quantity: Decimal, price: Decimal | None) -> None:
    if not order.executed_quantity < quantity <= order.quantity:
        raise ApplicationError(
            "AMEND_NEEDS_REPLACE",
            f"expected a quantity above the {decimal_text(order.executed_quantity)} executed and at most "
            f"{decimal_text(order.quantity)}",
            extra={"field": "quantity"},
        )
    if price is None or price == order.price:
        if quantity == order.quantity:
            raise ApplicationError(
                "INVALID_ORDER", "the amendment changes nothing", extra={"field": "quantity"}
            )
        return
    if order.instrument.market == Market.spot.value:
        raise ApplicationError(
            "AMEND_NEEDS_REPLACE", "spot amends the quantity only", extra={"field": "price"}
        )
    if order.price is None or (price > order.price if order.side == Side.BUY else price < order.price):
        raise ApplicationError(
            "AMEND_NEEDS_REPLACE", "a price nearer to the market needs a new order", extra={"field": "price"}
        )


def _send(command: OrderCommand, venue: ExecutionVenue) -> None:
    timestamp_ms = venue.server_time_ms()
    # The one transition that allows the send; two workers with the same hint cannot both make it.
    taken = OrderCommand.objects.filter(pk=command.pk, state=OrderCommand.State.REQUESTED).update(
        state=OrderCommand.State.SENDING,
        attempts=1,
        sent_at=now(),
        timestamp_ms=timestamp_ms,
        recv_window_ms=RECV_WINDOW_MS,
    )
    if not taken:
        return
    order = command.order
    wanted = venue_order(order)
    amended = type(wanted)(
        **{
            **{name: getattr(wanted, name) for name in wanted.__slots__},
            "quantity": command.quantity,
            "price": command.price if command.price is not None else order.price,
        }
    )
    try:
        report = venue.amend(amended, timestamp_ms=timestamp_ms, recv_window_ms=RECV_WINDOW_MS)
    except (VenueRejected, VenueUnavailable) as error:
        command_end(
            command,
            OrderCommand.State.REFUSED,
            code=str(error.code or "VENUE_UNAVAILABLE"),
            message=error.message,
        )
    except OutcomeUnknown as error:
        command_doubted(command, error.message)
        log.warning("amendment_outcome_unknown", client_order_id=order.client_order_id, message=error.message)
    else:
        order_settle(
            order_id=order.pk, report=report, trades=report_trades(order, report, venue), source="amend"
        )
        _siblings(order, venue)
        _done(command)


def _siblings(order: Order, venue: ExecutionVenue) -> None:
    """Settle the other legs of its list: amending one order of an OCO amends both."""
    if order.order_list_id is None:
        return
    others = Order.objects.select_related("account", "instrument").filter(
        order_list_id=order.order_list_id, ended_at=None
    )
    for leg in others.exclude(pk=order.pk):
        try:
            report = venue.query(leg.instrument.symbol, client_order_id=leg.client_order_id)
        except VenueError as error:
            log.warning("sibling_not_known", client_order_id=leg.client_order_id, error=str(error))
            return
        if report is not None:
            order_settle(
                order_id=leg.pk, report=report, trades=report_trades(leg, report, venue), source="amend"
            )


def _done(command: OrderCommand) -> None:
    if command.price is not None:
        Order.objects.filter(pk=command.order_id).update(price=command.price)
    command_end(command, OrderCommand.State.DONE)


def _ask(command: OrderCommand, venue: ExecutionVenue) -> None:
    """What the venue lists is what holds: the new quantity, or after every delay the old one."""
    order = command.order
    report = venue.query(order.instrument.symbol, client_order_id=order.client_order_id)
    if report is None:
        command_doubted(command, "the venue does not know the order")
        return
    order_settle(order_id=order.pk, report=report, trades=report_trades(order, report, venue), source="query")
    same_price = command.price is None or report.price == command.price
    if report.quantity == command.quantity and same_price:
        _siblings(order, venue)
        _done(command)
    elif venue.server_time_ms() > (command.timestamp_ms or 0) + _SETTLED_AFTER_MS:
        command_end(
            command, OrderCommand.State.REFUSED, code="NOT_AMENDED", message="the venue never carried it out"
        )
    else:
        command_doubted(command, "not seen at the venue yet")


def _text(value: Decimal | None) -> str | None:
    return None if value is None else decimal_text(value)
