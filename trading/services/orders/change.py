"""Changing a working order of a person: made smaller in place, or replaced by another in one request.

A replacement is an order like any other: judged by every rail, reserved beside the one it replaces, sent once,
settled by the venue's word. What differs is the request: `order/cancelReplace` cancels the old one and places the new
one only if that succeeded (STOP_ON_FAILURE), and only if nothing of the old one has traded (ONLY_NEW), so that never
more is bought than was asked for. USD-M has no such request.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

from django.conf import settings
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from trading.domain.brackets import Role
from trading.domain.orders import OPEN, OrderStatus, client_order_id
from trading.domain.refusals import Refused
from trading.domain.router import build_intent
from trading.domain.values import Market, OrderType, PositionSide, Side, TimeInForce, decimal_text
from trading.models import Bracket, BracketLeg, Order
from trading.services.execution.amend import order_amend_request
from trading.services.market import market_of
from trading.services.orders.submission import OrderDenied, Submission
from trading.services.orders.submit import order_submit

REPLACEABLE = (OrderType.LIMIT, OrderType.LIMIT_MAKER)
NEEDS_REPLACE = "AMEND_NEEDS_REPLACE"


def order_change(
    *, order: Order, quantity: Decimal | None, price: Decimal | None, actor: User, reason: str, key: str
) -> Order:
    """Ask for another quantity or price of a working order; what is left out stays.

    Returns the order itself where it is amended in place, the new one where it is replaced. The same key of the same
    person always means the same change.

    Raises
    ------
    Conflict : ORDER_CLOSED, AMEND_IN_FLIGHT.
    ApplicationError : INVALID_ORDER; AMEND_NEEDS_REPLACE, it must be cancelled and placed anew.
    OrderDenied : a rail denied the replacement; the order stands as it was.
    """
    name = hashlib.sha256(f"{actor.pk}|{key}".encode()).hexdigest()[:32]
    known = Order.objects.filter(intent_key=_intent_key(name)).first()
    if known is not None:
        return known
    if order.origin not in (Order.Origin.MANUAL, Order.Origin.EXTERNAL):
        raise ApplicationError(
            "INVALID_ORDER", f"an order of {order.origin} is changed by what sent it, not by hand"
        )
    try:
        order_amend_request(
            order=order,
            quantity=order.quantity if quantity is None else quantity,
            price=price,
            actor=actor,
            reason=reason,
            key=name,
        )
    except ApplicationError as refusal:
        if refusal.code != NEEDS_REPLACE or not _replaceable(order):
            raise
    else:
        return order
    return _replace(order, quantity or order.quantity, price or order.price, actor, reason, name)


def _replaceable(order: Order) -> bool:
    return (
        order.instrument.market == Market.spot.value
        and order.origin == Order.Origin.MANUAL
        and OrderType(order.venue_type) in REPLACEABLE
        and order.order_list_id is None
    )


def _intent_key(name: str) -> str:
    return f"replace:{name}"


def _replace(
    order: Order, quantity: Decimal, price: Decimal | None, actor: User, reason: str, name: str
) -> Order:
    denied: OrderDenied | None = None
    with transaction.atomic():
        # The bracket before the order and the position, as everywhere.
        bracket = (
            Bracket.objects.select_for_update(of=("self",), no_key=True)
            .filter(legs__order=order, legs__role=Role.ENTRY, ended_at=None)
            .first()
        )
        locked = (
            Order.objects.select_for_update(of=("self",), no_key=True)
            .select_related("account__venue", "instrument", "strategy")
            .get(pk=order.pk)
        )
        _check_untouched(locked)
        submission = _submission(locked, quantity, price, actor, name)
        try:
            new = order_submit(submission)
        except OrderDenied as refusal:
            denied = refusal
        else:
            if bracket is not None:
                BracketLeg.objects.get_or_create(bracket=bracket, order=new, defaults={"role": Role.ENTRY})
            audit_record(
                action="order.replace_requested",
                target=f"order:{locked.uid}",
                actor=actor,
                reason=reason,
                before={"quantity": decimal_text(locked.quantity), "price": _text(locked.price)},
                after={
                    "order": str(new.uid),
                    "quantity": decimal_text(new.quantity),
                    "price": _text(new.price),
                },
            )
    if denied is not None:
        raise denied
    return new


def _check_untouched(order: Order) -> None:
    if order.status != OrderStatus.NEW or order.cancel_requested_at is not None:
        if order.status == OrderStatus.PARTIALLY_FILLED:
            raise ApplicationError(
                NEEDS_REPLACE, "a part of it has traded: cancel it and place what is still wanted"
            )
        raise Conflict("ORDER_CLOSED", f"an order that is {order.status} cannot be replaced")
    if order.commands.filter(ended_at=None).exists():
        raise Conflict("AMEND_IN_FLIGHT", "a cancel or an amendment of this order is not over yet")
    if order.replacements.filter(status__in=[status.value for status in OPEN]).exists():
        raise Conflict("AMEND_IN_FLIGHT", "its replacement is on the way")


def _submission(order: Order, quantity: Decimal, price: Decimal | None, actor: User, name: str) -> Submission:
    book = market_of(order.instrument)
    try:
        built = build_intent(
            order.instrument.to_domain(),
            symbol=order.instrument.symbol,
            side=Side(order.side),
            order_type=OrderType(order.type),
            time_in_force=TimeInForce(order.time_in_force or TimeInForce.GTC),
            quantity=quantity,
            price=price,
            best_bid=book.bid,
            best_ask=book.ask,
            collar_bps=0,  # only for what trades at the market
            reduce_only=order.reduce_only,
            position_side=PositionSide(order.position_side),
            reason=f"replaces {order.client_order_id}",
        )
    except ValueError as error:
        raise ApplicationError("INVALID_ORDER", str(error)) from None
    if isinstance(built, Refused):
        raise ApplicationError("INVALID_ORDER", built.detail)
    intent, adjustments = built
    return Submission(
        account=order.account,
        instrument=order.instrument,
        intent=intent,
        origin=Order.Origin.MANUAL,
        intent_key=_intent_key(name),
        client_order_id=client_order_id(
            settings.BINANCE_ENV, order.account.name, "manual", _intent_key(name), 0, 0
        ),
        decided_at=now(),
        strategy=order.strategy,
        requested_by=actor,
        adjustments=adjustments,
        replaces=order,
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else decimal_text(value)
