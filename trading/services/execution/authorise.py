"""Tx B: no committed row, no send. Lease, level and age are read in the transaction that allows the send."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import connection, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from nautilus_site.common.services.leases import Held
from nautilus_site.common.tables import Table
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
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
    to_units,
)
from trading.models import Account, Order, OrderList, PlanShare, Position, Strategy
from trading.services.controls.states import KillUnreadable
from trading.services.execution.gate import gate_read
from trading.services.execution.holds import order_only_reduces
from trading.services.execution.joined import orders_joined
from trading.services.execution.release import order_release
from trading.services.order_events import STEP_ENDS, STEP_FOLLOWS, order_event, step_parameters
from trading.services.scopes import scopes_of
from universe.models import Instrument, Venue

# The columns that are sent, judged or told; an order carries its verdicts and an instrument its filters beside them.
_ORDERS = Table(
    Order,
    *(
        "uid",
        "account_id",
        "instrument_id",
        "strategy_id",
        "order_list_id",
        "replaces_id",
        "plan_id",
        "model_version",
        "origin",
    ),
    *(
        "client_order_id",
        "venue_order_id",
        "side",
        "type",
        "venue_type",
        "time_in_force",
        "quantity",
        "price",
    ),
    *("executed_quantity", "executed_quote", "open_quantity", "stop_price", "callback_bps", "working_type"),
    *(
        "close_position",
        "prevention",
        "service",
        "reduce_only",
        "position_side",
        "status",
        "code",
        "created_at",
        "expires_at",
    ),
)
_ACCOUNTS, _VENUES = Table(Account, "name", "venue_id"), Table(Venue, "name", "market", "environment")
_INSTRUMENTS = Table(Instrument, "symbol", "market", "base_asset", "quote_asset", "venue_id")
_STRATEGIES = Table(Strategy, "name")


@cache
def _order_sql() -> str:
    return orders_joined(_ORDERS, _ACCOUNTS, _VENUES, _INSTRUMENTS, _STRATEGIES)


# What was read of it never changes while an order is RESERVED. That it still is decides here, and for one only.
_TAKE = f"""
WITH stepped AS (
    UPDATE trading_order
       SET status = %(step_status)s::text, fence = %(fence)s::bigint, timestamp_ms = %(timestamp_ms)s::bigint,
           recv_window_ms = %(recv_window_ms)s::integer, sent_at = %(at)s::timestamptz,
           updated_at = %(at)s::timestamptz
     WHERE id = %(order)s::bigint AND status = 'RESERVED'
    RETURNING id
), {STEP_FOLLOWS} {STEP_ENDS}
"""  # noqa: S608  only our own constants are put in


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
    order = _orders("o.id = %(key)s", order_id)[0]
    # The level first: a raise updates the row we share-lock, so it is either seen here or comes after our commit.
    level, scope, lease = gate_read(_scopes(order), held)
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
    parameters: dict[str, Any] = {
        "order": order_id,
        "fence": held.fence,
        "timestamp_ms": venue_time_ms,
        "recv_window_ms": RECV_WINDOW_MS,
        "at": moment,
    }
    detail = {"fence": held.fence, "checks": [_lease_check(lease)]}
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, parameters | step_parameters(order, source="authorise", detail=detail))
        if cursor.fetchone() is None:
            return None
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
    return _orders("o.order_list_id = %(key)s", order.order_list_id)


def _orders(which: str, key: int) -> list[Order]:
    """Orders with what they belong to, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_order_sql()} WHERE {which} ORDER BY o.id", {"key": key})
        rows = cursor.fetchall()
    if not rows:
        raise Order.DoesNotExist(f"no order {key}")
    found = []
    for row in rows:
        parts: list[Any] = []
        rest = row
        for table in (_ORDERS, _ACCOUNTS, _VENUES, _INSTRUMENTS, _STRATEGIES):
            parts.append(table.read_if(rest[: table.width]))
            rest = rest[table.width :]
        order, account, venue, instrument, strategy = parts
        account.venue = venue
        order.account, order.instrument, order.strategy = account, instrument, strategy
        found.append(order)
    return found


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
        replaces=order.replaces.client_order_id if order.replaces is not None else None,
    )


def _reducing(order: Order) -> bool:
    if order_only_reduces(order):
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
