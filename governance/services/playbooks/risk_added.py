"""Orders that added risk where a playbook had acted: what a rehearsal takes points off for."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Case, F, Sum, When

from governance.models import PlaybookRun
from trading.domain.values import Market, Side
from trading.models import Fill, Order, Position
from trading.services.controls.enforcement import orders_of_scope

_ON_THEIR_WAY = timedelta(seconds=5)


def risk_added(run: PlaybookRun, until: datetime) -> int:
    """Orders of the run's scope, sent after its steps were in force, that could grow an exposure; either side."""
    sent = Order.objects.filter(
        sent_at__gt=run.at + _ON_THEIR_WAY, sent_at__lte=until, reduce_only=False, close_position=False
    ).exclude(origin__in=(Order.Origin.EXTERNAL, Order.Origin.PROTECTION))
    return sum(_adds(order) for order in orders_of_scope(sent, run.scope).select_related("instrument"))


def _adds(order: Order) -> bool:
    """Whether an order was more than what shrinks the position it met. On spot nothing that is sold adds any."""
    if order.instrument.market == Market.spot:
        return order.side == Side.BUY
    met, sign = _position_at(order), Side(order.side).sign
    return met * sign >= 0 or order.quantity > abs(met)


def _position_at(order: Order) -> Decimal:
    """The position it met, signed: what is held now less what was traded since it was sent."""
    position = Position.objects.filter(
        account_id=order.account_id, instrument_id=order.instrument_id, position_side=order.position_side
    ).first()
    since = Fill.objects.filter(
        account_id=order.account_id,
        instrument_id=order.instrument_id,
        order__position_side=order.position_side,
        recorded_at__gt=order.sent_at,
    )
    signed = Sum(Case(When(side=Side.BUY, then=F("quantity")), default=-F("quantity")))
    traded = since.order_by().aggregate(signed=signed)["signed"] or Decimal(0)
    return (position.quantity if position is not None else Decimal(0)) - traded
