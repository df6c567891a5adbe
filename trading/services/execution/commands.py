"""Cancels and amendments as rows: asked for, on the wire, and what came of it. One row per intent, for ever."""

from __future__ import annotations

from typing import Any

from django.db.models import F

from nautilus_site.common.clock import now
from trading.domain.execution import CommandStep, next_cancel
from trading.domain.orders import OrderStatus
from trading.models import Order, OrderCommand


def cancel_note(*, order: Order, actor: str, reason: str) -> OrderCommand:
    """The one cancel of an order, made when it is first asked for."""
    row, _ = OrderCommand.objects.get_or_create(
        intent_key=f"cancel:{order.pk}",
        defaults={
            "order": order,
            "kind": OrderCommand.Kind.CANCEL,
            "requested_by": actor[:150],
            "reason": reason[:200],
            "requested_at": now(),
        },
    )
    return row


def command_sending(command: OrderCommand) -> None:
    """Note that it goes on the wire now. Committed before it does."""
    OrderCommand.objects.filter(pk=command.pk, ended_at=None).update(
        state=OrderCommand.State.SENDING, attempts=F("attempts") + 1, sent_at=now()
    )


def command_doubted(command: OrderCommand, message: str) -> None:
    """Note that nobody knows what came of it."""
    OrderCommand.objects.filter(pk=command.pk, ended_at=None).update(
        state=OrderCommand.State.UNKNOWN, message=message[:500]
    )


def command_end(command: OrderCommand, state: str, *, code: str = "", message: str = "") -> None:
    """Close it, once."""
    OrderCommand.objects.filter(pk=command.pk, ended_at=None).update(
        state=state, code=code, message=message[:500], ended_at=now()
    )


def cancel_close(command: OrderCommand, status: OrderStatus) -> None:
    """Close a cancel once its order is over: done where that was the cancel's doing, else void."""
    step = next_cancel(status)
    if step is CommandStep.DONE:
        command_end(command, OrderCommand.State.DONE)
    elif step is CommandStep.VOID:
        command_end(command, OrderCommand.State.VOID, message=f"the order was {status} first")


def commands_of_ended(account_id: int) -> list[OrderCommand]:
    """Commands still open whose orders are over: told by the stream, a sweep, or another cancel."""
    rows: Any = OrderCommand.objects.filter(
        order__account_id=account_id, ended_at=None, order__ended_at__isnull=False
    ).select_related("order")
    return list(rows)


def commands_close(account_id: int) -> int:
    """Close them. Returns how many."""
    rows = commands_of_ended(account_id)
    for command in rows:
        status = OrderStatus(command.order.status)
        if command.kind == OrderCommand.Kind.CANCEL:
            cancel_close(command, status)
        else:
            command_end(command, OrderCommand.State.VOID, message=f"the order was {status} first")
    return len(rows)
