"""Orders at the venue that are not ours: taken into the books as EXTERNAL, never guessed to be something else."""

from __future__ import annotations

import structlog
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.services.audit import audit_record
from trading.domain.orders import OrderStatus, is_terminal
from trading.domain.ports import OrderReport
from trading.domain.values import OrderService, OrderType
from trading.models import Account, Order
from trading.services.execution.holds import Changes, order_only_reduces
from trading.services.execution.settle import order_settle
from trading.services.exposure import position_locked
from trading.services.order_events import order_event
from universe.models import Instrument

log = structlog.get_logger(__name__)


@transaction.atomic
def order_adopt(*, account: Account, report: OrderReport, source: str) -> Order | None:
    """Write down an order somebody else placed on this account. None when its symbol is not known."""
    instrument = Instrument.objects.filter(venue=account.venue, symbol=report.symbol).first()
    if instrument is None:
        log.error("external_order_of_unknown_symbol", symbol=report.symbol)
        return None
    moment = now()
    order, created = Order.objects.get_or_create(
        account=account,
        client_order_id=_own_id(account, report),
        defaults={
            "instrument": instrument,
            "origin": Order.Origin.EXTERNAL,
            "intent_key": f"external:{account.pk}:{report.symbol}:{_venue_key(report)}",
            "venue_order_id": report.venue_order_id or None,
            "service": report.service,
            "algo_id": report.algo_id,
            "side": report.side,
            "position_side": report.position_side,
            "reduce_only": report.reduce_only,
            "stop_price": report.stop_price,
            "type": report.type,
            "venue_type": report.type if report.type in OrderType.__members__ else OrderType.LIMIT,
            "time_in_force": report.time_in_force or "",
            "quantity": report.quantity,
            "price": report.price or None,
            "status": OrderStatus.NEW,
            "created_at": moment,
            "updated_at": moment,
            "sent_at": moment,
            "acknowledged_at": moment,
        },
    )
    if created:
        position = position_locked(account, instrument, order.position_side)
        if not order_only_reduces(order):
            order.open_quantity = report.quantity
            order.save(update_fields=["open_quantity"])
            changes = Changes(account)
            changes.open(order, report.quantity)
            changes.open_write(position)
        order_event(order, source=source, detail={"adopted": True})
        audit_record(
            action="order.adopted",
            target=f"order:{order.uid}",
            actor="reconciliation",
            reason="found at the venue, not placed by us",
            after={"symbol": report.symbol, "client_order_id": report.client_order_id},
        )
    return order


def _venue_key(report: OrderReport) -> str:
    # A conditional order of USD-M has no order id before it triggers.
    return str(report.venue_order_id) if report.venue_order_id else f"algo-{report.algo_id}"


def _own_id(account: Account, report: OrderReport) -> str:
    # One account keeps each id once; a second order under the same one is named by the venue's id.
    used = Order.objects.filter(account=account, client_order_id=report.client_order_id[:36]).exclude(
        instrument__symbol=report.symbol, venue_order_id=report.venue_order_id or None, algo_id=report.algo_id
    )
    return (
        f"external-{report.symbol[:16]}-{_venue_key(report)}"[:36]
        if used.exists()
        else report.client_order_id[:36]
    )


def order_of_report(account: Account, report: OrderReport) -> Order | None:
    """Our row of a reported order: by the venue's own id, else by our id where the row has no other venue id.

    The venue lets a client order id be used again once its order is over, so that id alone proves nothing.
    """
    of_symbol = Order.objects.filter(account=account, instrument__symbol=report.symbol)
    found = of_symbol.filter(venue_order_id=report.venue_order_id).first() if report.venue_order_id else None
    if found is None and report.algo_id is not None:
        found = (
            of_symbol.filter(algo_id=report.algo_id).first()
            # Told late, of one that has triggered meanwhile and whose number here was never learned.
            or of_symbol.filter(
                service=OrderService.ALGO, client_order_id=report.client_order_id, algo_id=None
            ).first()
        )
    return found or of_symbol.filter(client_order_id=report.client_order_id, venue_order_id=None).first()


def report_settle(*, account: Account, report: OrderReport, source: str) -> Order | None:
    """Settle a report of an order, adopting the order first when it is not ours."""
    order = order_of_report(account, report) or order_adopt(account=account, report=report, source=source)
    if order is None:
        return None
    if is_terminal(OrderStatus(order.status)) and not report.fills and order.reported_status:
        return order
    return order_settle(order_id=order.pk, report=report, trades=report.fills, source=source)
