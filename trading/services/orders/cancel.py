"""Taking orders back. A cancel is safe to repeat; the venue's answer decides what really happened."""

from __future__ import annotations

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import enqueue_on_commit
from trading.domain.orders import TERMINAL, OrderStatus
from trading.models import Order
from trading.services.execution.commands import cancel_note
from trading.services.execution.release import order_release


@transaction.atomic
def order_cancel_request(*, order: Order, actor: User | str, reason: str) -> Order:
    """Ask for a cancel. An order that was not sent yet is released at once.

    Raises
    ------
    Conflict : ORDER_CLOSED, it is over already.
    """
    locked = Order.objects.select_for_update(of=("self",), no_key=True).get(pk=order.pk)
    if OrderStatus(locked.status) in TERMINAL:
        raise Conflict("ORDER_CLOSED", f"the order is {locked.status} already")
    if locked.cancel_requested_at is None:
        locked.cancel_requested_at, locked.cancel_reason = now(), reason[:200]
        locked.save(update_fields=["cancel_requested_at", "cancel_reason"])
        cancel_note(order=locked, actor=str(actor), reason=reason)
        audit_record(
            action="order.cancel_requested", target=f"order:{locked.uid}", actor=actor, reason=reason
        )
    if not order_release(order_id=locked.pk, code="CANCELED_BEFORE_SENDING", message=reason):
        enqueue_on_commit("trading.tasks.order_cancel", queue="control", order_id=locked.pk)
    locked.refresh_from_db()
    return locked


def orders_cancel_request(
    *, account_name: str | None, symbol: str | None, actor: User | str, reason: str
) -> int:
    """Ask for the cancel of every open order of an account or symbol. Returns how many were asked for."""
    # What protects a position is taken down at its bracket; cancelled here it would only be placed again.
    orders = Order.objects.filter(ended_at=None).exclude(
        origin=Order.Origin.PROTECTION, bracket_leg__bracket__ended_at=None
    )
    if account_name:
        orders = orders.filter(account__name=account_name)
    if symbol:
        orders = orders.filter(instrument__symbol=symbol)
    asked = 0
    for order in orders.order_by("pk"):
        try:
            order_cancel_request(order=order, actor=actor, reason=reason)
        except Conflict:
            continue
        asked += 1
    return asked
