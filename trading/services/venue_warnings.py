"""What the venue warns of on the user stream: a position near its liquidation, an order it could not place."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import structlog
from django.db.models import Q

from nautilus_site.common.services.outbox import publish
from trading.domain.ports import OrderReport
from trading.domain.values import OrderService, PositionSide, Side
from trading.models import Account, CircuitBreaker, Order
from trading.services.breakers import breaker_trip, breakers_ensure, sample_note
from trading.services.breakers.catalogue import MARGIN_CALL
from trading.services.execution.settle import order_settle

log = structlog.get_logger(__name__)

Payload = Mapping[str, Any]


def margin_call(account: Account, payload: Payload) -> None:
    """A position is close to its liquidation: the account only reduces from here, and everybody shall see why.

    What it does to the account is the action of the breaker `margin_call`, a row like those of the others.
    """
    scope = f"account:{account.name}"
    positions = [{k: p.get(k) for k in ("s", "ps", "pa", "mp", "up", "mm")} for p in payload.get("p", ())]
    log.error("margin_call", account=account.name, positions=positions)
    symbols = ", ".join(sorted({str(p["s"]) for p in positions})) or "no position named"
    sample_note(name=MARGIN_CALL, scope=scope, value=1)
    if not CircuitBreaker.objects.filter(name=MARGIN_CALL, scope=scope).exists():
        breakers_ensure(actor="margin call")
    breaker_trip(name=MARGIN_CALL, scope=scope, reason=f"margin call of the venue: {symbols}")
    publish("incidents", {"kind": "margin_call", "account": account.name, "positions": positions})


def trigger_refused(account: Account, payload: Payload) -> None:
    """A conditional order was refused when it triggered: it is over, and what it protected needs protection again.

    Settling its end is what makes the bracket of the position step: it protects anew, or closes where the market is
    beyond the stop.
    """
    told = payload["or"]
    number = int(told["i"])
    order = (
        Order.objects.select_related("instrument")
        .filter(account=account, instrument__symbol=str(told["s"]), ended_at=None)
        .filter(Q(algo_id=number) | Q(venue_order_id=number))
        .first()
    )
    if order is not None:
        order_settle(order_id=order.pk, report=_refused(order, payload), trades=(), source="stream")
    log.error("conditional_order_refused", account=account.name, symbol=told.get("s"), reason=told.get("r"))
    publish(
        "incidents",
        {
            "kind": "trigger_rejected",
            "account": account.name,
            "symbol": told.get("s"),
            "algo_id": told.get("i"),
            "reason": told.get("r"),
        },
    )


def _refused(order: Order, payload: Payload) -> OrderReport:
    """What the venue has said of an order by refusing its trigger, as a report of it."""
    return OrderReport(
        symbol=order.instrument.symbol,
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id or 0,
        side=Side(order.side),
        type=order.venue_type,
        time_in_force=order.time_in_force or None,
        price=order.price or Decimal(0),
        quantity=order.quantity,
        executed_quantity=order.executed_quantity,
        cumulative_quote=order.executed_quote,
        status="REJECTED",
        time_ms=int(payload.get("T") or 0),
        service=OrderService(order.service),
        position_side=PositionSide(order.position_side),
        reduce_only=order.reduce_only,
        stop_price=order.stop_price,
        algo_id=order.algo_id,
    )
