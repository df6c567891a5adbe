"""Tx B: no committed row, no send. Lease, level and age are read in the transaction that allows the send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from nautilus_site.common.services.leases import DEPLOYMENT, Held
from trading import metrics
from trading.domain.clock import datetime_to_ns
from trading.domain.execution import (
    LEASE_NEEDED_NS,
    RECV_WINDOW_MS,
    SECOND,
    LeaseView,
    Ready,
    Step,
    next_step,
)
from trading.domain.orders import OrderStatus, advance
from trading.domain.ports import VenueOrder, VenueOrderList
from trading.domain.prevention import SelfTradePrevention
from trading.domain.reservation import is_reducing
from trading.domain.values import (
    Level,
    ListKind,
    Market,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
    to_units,
)
from trading.models import Order, OrderList, PlanShare, Position
from trading.services.controls.states import KillUnreadable, effective_level
from trading.services.execution.release import order_release
from trading.services.order_events import order_event
from trading.services.scopes import scopes_of

# The columns that are sent, judged or told; an order carries its verdicts and an instrument its filters beside them.
_NEEDED = (
    *("uid", "origin", "client_order_id", "venue_order_id", "side", "type", "venue_type", "time_in_force"),
    *(
        "quantity",
        "price",
        "executed_quantity",
        "executed_quote",
        "stop_price",
        "callback_bps",
        "working_type",
        "close_position",
        "prevention",
        "service",
        "reduce_only",
        "position_side",
        "status",
        "code",
        "created_at",
        "expires_at",
        "model_version",
        "plan_id",
    ),
    *("account__name", "account__venue__name", "instrument__symbol", "instrument__market"),
    "strategy__name",
    *("order_list__kind", "order_list__client_list_id", "order_list__held_quantity"),
)


class LeaseLost(Exception):
    """The lease is not ours any more, ends too soon, or another build is deployed. Nothing was sent."""


@dataclass(frozen=True, slots=True)
class Authorised:
    """One order that may be sent exactly once, exactly like this."""

    order_id: int
    order: VenueOrder
    timestamp_ms: int
    recv_window_ms: int
    held: Held | None = None
    """The lease it leaves under: what its sender says of a refusal counts only while this is the newest."""


@dataclass(frozen=True, slots=True)
class AuthorisedList:
    """Orders that may be sent exactly once, as one request."""

    order_ids: tuple[int, ...]
    orders: VenueOrderList
    timestamp_ms: int
    recv_window_ms: int
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Orders that are not sent, and why."""

    order_ids: tuple[int, ...]
    code: str
    message: str


def order_authorise(*, order_id: int, held: Held, venue_time_ms: int) -> Authorised | AuthorisedList | None:
    """Move a RESERVED order to SENDING, and with it the list it belongs to.

    None when it was released, or is somebody else's already.

    Raises
    ------
    LeaseLost : stop draining.
    """
    try:
        outcome = _authorise(order_id, held, venue_time_ms)
    except KillUnreadable as error:
        outcome = GivenUp((order_id,), "TRADING_HALTED", str(error))
    if isinstance(outcome, GivenUp):
        for leg_id in outcome.order_ids:
            order_release(order_id=leg_id, code=outcome.code, message=outcome.message)
        return None
    return outcome


@transaction.atomic
def _authorise(order_id: int, held: Held, venue_time_ms: int) -> Authorised | AuthorisedList | GivenUp | None:
    order = (
        Order.objects.select_related("account__venue", "instrument", "strategy", "order_list")
        .only(*_NEEDED)
        .get(pk=order_id)
    )
    # The level first: a raise updates the row we share-lock, so it is either seen here or comes after our commit.
    level, scope = effective_level(_scopes(order), lock=True)
    lease = _lease_seen(held)
    moment = now()
    ready = Ready(
        status=OrderStatus(order.status),
        expires_ns=datetime_to_ns(order.expires_at) if order.expires_at is not None else None,
        reducing=level is not Level.ACTIVE and _reducing(order),
        flattener=order.origin == Order.Origin.FLATTEN,
    )
    decided = next_step(ready, lease, level, scope, datetime_to_ns(moment))
    if decided.step is Step.STOP:
        raise LeaseLost(f"{held.name}: {decided.code}")
    if decided.step is Step.SKIP:
        return None
    legs = _legs(order)
    if decided.step is Step.RELEASE:
        return GivenUp(tuple(leg.pk for leg in legs), decided.code, decided.message)
    waiting = [leg.pk for leg in legs if leg.status == OrderStatus.RESERVED]
    if len(waiting) < len(legs):
        return GivenUp(
            tuple(waiting), "LIST_INCOMPLETE", "a leg of its list was given up, so the others are too"
        )
    if order.order_list is not None:
        return _list_taken(order.order_list, legs, held, venue_time_ms)
    order.status = advance(OrderStatus.RESERVED, OrderStatus.SENDING)
    # What was read above never changes while an order is RESERVED. That it still is decides here, and for one only.
    taken = Order.objects.filter(pk=order_id, status=OrderStatus.RESERVED).update(
        status=order.status,
        fence=held.fence,
        timestamp_ms=venue_time_ms,
        recv_window_ms=RECV_WINDOW_MS,
        sent_at=moment,
        updated_at=moment,
    )
    if not taken:
        return None
    order_event(order, source="authorise", detail={"fence": held.fence, "checks": [_lease_check(lease)]})
    metrics.ORDERS_SUBMITTED.inc()
    crash_point("B")
    return Authorised(order.pk, venue_order(order), venue_time_ms, RECV_WINDOW_MS, held)


def _lease_check(lease: LeaseView) -> dict[str, Any]:
    """The one rail that is asked where the lease is, as the others are stored (P03)."""
    return {
        "rail": "lease",
        "passed": True,
        "measured": round(lease.left_ns / SECOND, 3),
        "limit": LEASE_NEEDED_NS / SECOND,
        "unit": "s",
    }


def _scopes(order: Order) -> list[str]:
    """Every scope an order lies in; a netted one lies in those of every strategy and model it stands for."""
    behind = {(order.strategy.name if order.strategy else None, order.model_version)}
    if order.plan_id is not None:
        shares = PlanShare.objects.filter(plan_id=order.plan_id)
        behind |= set(shares.values_list("decision__instance__strategy__name", "decision__model"))
    return sorted(
        {
            scope
            for strategy, model in behind
            for scope in scopes_of(
                venue=order.account.venue.name,
                account=order.account.name,
                symbol=order.instrument.symbol,
                strategy=strategy,
                model=model,
            )
        }
    )


def _legs(order: Order) -> list[Order]:
    if order.order_list_id is None:
        return [order]
    legs = Order.objects.select_related("account__venue", "instrument", "strategy", "order_list")
    return list(legs.only(*_NEEDED).filter(order_list_id=order.order_list_id).order_by("pk"))


def _list_taken(
    order_list: OrderList, legs: list[Order], held: Held, venue_time_ms: int
) -> AuthorisedList | None:
    # One statement takes all legs: that they all still are RESERVED decides here, and for one only.
    moment = now()
    taken = Order.objects.filter(order_list=order_list, status=OrderStatus.RESERVED).update(
        status=OrderStatus.SENDING,
        fence=held.fence,
        timestamp_ms=venue_time_ms,
        recv_window_ms=RECV_WINDOW_MS,
        sent_at=moment,
        updated_at=moment,
    )
    if taken != len(legs):
        transaction.set_rollback(True)
        return None
    for leg in legs:
        leg.status = advance(OrderStatus.RESERVED, OrderStatus.SENDING)
        order_event(leg, source="authorise", detail={"fence": held.fence})
    metrics.ORDERS_SUBMITTED.inc(len(legs))
    crash_point("B")
    orders = VenueOrderList(
        kind=ListKind(order_list.kind),
        symbol=legs[0].instrument.symbol,
        client_list_id=order_list.client_list_id,
        legs=tuple(venue_order(leg) for leg in legs),
    )
    ids = tuple(leg.pk for leg in legs)
    return AuthorisedList(ids, orders, venue_time_ms, RECV_WINDOW_MS, held)


def venue_order(order: Order) -> VenueOrder:
    """The order exactly as it is sent."""
    return VenueOrder(
        symbol=order.instrument.symbol,
        side=Side(order.side),
        type=OrderType(order.venue_type),
        time_in_force=TimeInForce(order.time_in_force) if order.time_in_force else None,
        quantity=order.quantity,
        price=order.price,
        client_order_id=order.client_order_id,
        reduce_only=order.reduce_only,
        position_side=PositionSide(order.position_side),
        stop_price=order.stop_price,
        callback_bps=order.callback_bps,
        working_type=WorkingType(order.working_type) if order.working_type else None,
        close_position=order.close_position,
        prevention=SelfTradePrevention(order.prevention) if order.prevention else None,
    )


def _lease_seen(held: Held) -> LeaseView:
    """The lease by the database's clock, share-locked: nobody takes it over before this transaction is over."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT extract(epoch FROM lease.until - clock_timestamp()),
                   NOT EXISTS (SELECT 1 FROM common_lease AS deployed
                                WHERE deployed.name = %s AND deployed.build <> %s)
              FROM common_lease AS lease
             WHERE lease.name = %s AND lease.fence = %s AND lease.holder = %s
               FOR SHARE OF lease
            """,
            [DEPLOYMENT, held.build, held.name, held.fence, held.holder],
        )
        row = cursor.fetchone()
    if row is None:
        return LeaseView(left_ns=0)
    return LeaseView(left_ns=int(row[0] * 1_000_000_000), build_fits=not held.build or row[1])


def _reducing(order: Order) -> bool:
    if venue_holds_to_reducing(order):
        return True
    position = Position.objects.get(
        account_id=order.account_id, instrument_id=order.instrument_id, position_side=order.position_side
    )
    # Its own quantity is already among the open ones; it must not count against itself.
    own = to_units(order.quantity)
    if order.order_list is not None:
        held = to_units(order.order_list.held_quantity)
    else:
        held = to_units(order.open_quantity)
    selling = order.side == Side.SELL
    return is_reducing(
        Side(order.side),
        own,
        position=to_units(position.quantity),
        open_buy=to_units(position.open_buy) - (0 if selling else held),
        open_sell=to_units(position.open_sell) - (held if selling else 0),
    )


def venue_holds_to_reducing(order: Order) -> bool:
    """Whether the venue itself cuts the order to the position: flagged so, or the closing side of hedge mode."""
    if order.instrument.market != Market.usdm:
        return False
    closing = {(PositionSide.LONG, Side.SELL), (PositionSide.SHORT, Side.BUY)}
    return order.reduce_only or order.close_position or (order.position_side, order.side) in closing
