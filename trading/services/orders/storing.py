"""Writing an order down: its row, what it holds, its first step, and the hint to send it."""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.services.audit import audit_clause, audit_parameters
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.tables import Table
from trading.domain.errors import InvariantViolation
from trading.domain.orders import OrderStatus
from trading.domain.prevention import prevention_mode
from trading.domain.reservation import exposure_increase
from trading.domain.risk import order_reserve
from trading.domain.router import Routed
from trading.domain.values import Market as VenueMarket
from trading.domain.values import OrderService, PositionSide, Side, decimal_text, from_units, to_units
from trading.models import Order
from trading.services.execution.holds import balance_hold, order_only_reduces
from trading.services.market import Market
from trading.services.order_events import STEP_ENDS, STEP_FOLLOWS, step_parameters
from trading.services.orders.judging import Judged
from trading.services.orders.submission import Submission
from trading.services.reserved_books import Books, books_take

_ORDERS = Table(Order)


@cache
def _store_sql(*, audited: bool) -> str:
    audit = f"{audit_clause()}, " if audited else ""
    return f"WITH {audit}stepped AS ({_ORDERS.insert_one} RETURNING id), {STEP_FOLLOWS} {STEP_ENDS}"


def order_row(
    submission: Submission,
    judged: Judged,
    market: Market,
    status: OrderStatus,
    checks: list[dict[str, Any]],
) -> Order:
    domain = submission.instrument.to_domain()
    moment = now()
    intent, routed = submission.intent, judged.routed
    waits = intent.type.is_conditional
    if routed is not None:
        quantity, price = routed.order.quantity, routed.order.price
        venue_type, tif = routed.order.type.value, routed.order.time_in_force
    else:
        quantity = domain.quantity(intent.quantity)
        price = domain.price(intent.price) if intent.price is not None else None
        venue_type, tif = intent.type.value, intent.time_in_force
    return Order(
        account=submission.account,
        instrument=submission.instrument,
        shard=zlib.crc32(submission.instrument.symbol.encode()) % submission.account.shards,
        origin=submission.origin,
        intent_key=submission.intent_key,
        client_order_id=submission.client_order_id,
        plan=submission.plan,
        decision=submission.decision,
        model_version=submission.model_version,
        strategy=submission.strategy,
        requested_by=submission.requested_by,
        replaces=submission.replaces,
        side=intent.side,
        position_side=intent.position_side,
        type=intent.type,
        venue_type=venue_type,
        service=OrderService.ALGO if waits and domain.market is VenueMarket.usdm else OrderService.ORDER,
        stop_price=domain.price(intent.stop) if intent.stop is not None else None,
        callback_bps=intent.callback_bps,
        working_type=intent.working_type or "",
        time_in_force=tif or "",
        quantity=quantity,
        price=price,
        reduce_only=intent.reduce_only,
        prevention=prevention_mode(
            domain.prevention_modes,
            exits=intent.reduce_only or submission.origin in (Order.Origin.FLATTEN, Order.Origin.PROTECTION),
        )
        or "",
        arrival_mid=market.mid,
        status=status,
        checks=checks,
        adjustments=[*submission.adjustments, *(routed.adjustments if routed else ())],
        created_at=moment,
        updated_at=moment,
        expires_at=_sent_until(submission, judged),
    )


def _sent_until(submission: Submission, judged: Judged) -> datetime | None:
    """After which it is not sent any more. What protects a position is wanted for as long as that is open."""
    if submission.origin == Order.Origin.PROTECTION:
        return None
    return submission.decided_at + timedelta(microseconds=judged.context.limits.decision_ttl_ns // 1_000)


def order_hold(order: Order, routed: Routed, judged: Judged, books: Books) -> None:
    """Take the caps, the balance and the open quantity. The rows are locked, so the rails' numbers still hold."""
    if order.order_list_id is not None or order_only_reduces(order):
        return  # its list holds for it, or the venue keeps it from ever adding to a position
    position, side = books.position, Side(order.side)
    increase = exposure_increase(
        to_units(position.quantity),
        to_units(position.open_buy),
        to_units(position.open_sell),
        side,
        to_units(order.quantity),
    )
    order.reserved_notional = from_units(order_reserve(judged.order, judged.context))
    order.reserved_asset, order.reserved_amount = balance_hold(
        account=order.account,
        instrument=order.instrument,
        side=side,
        position_side=PositionSide(order.position_side),
        reduce_only=order.reduce_only,
        close_position=order.close_position,
        quantity=order.quantity,
        notional=routed.notional_units,
        increase=increase,
    )
    order.open_quantity = order.quantity
    opened = {"buy" if side is Side.BUY else "sell": order.quantity}
    taken = books_take(
        books,
        order.account,
        asset=order.reserved_asset,
        promised=order.reserved_amount,
        notional=order.reserved_notional,
        **opened,
    )
    if not taken:
        raise InvariantViolation("a cap the rails had just approved was full: the rows were not locked")


def order_store(
    order: Order, *, detail: dict[str, Any] | None = None, audit: dict[str, Any] | None = None
) -> None:
    """Store a new order with its first step and the event that tells of it, in one statement.

    Parameters
    ----------
    audit : `audit_parameters` of an entry that is written by the same statement.
    """
    parameters = _ORDERS.row(order) | step_parameters(order, source="rails", detail=detail)
    with connection.cursor() as cursor:
        cursor.execute(_store_sql(audited=audit is not None), parameters | (audit or {}))
        order.pk = cursor.fetchone()[0]
    order._state.adding = False


def announce(submission: Submission, order: Order) -> None:
    """Store a reserved order, with its event, its audit entry and the hint to send it."""
    audit = audit_parameters(
        action="order.reserved",
        target=f"order:{order.uid}",
        actor=submission.requested_by
        or (submission.strategy.name if submission.strategy else submission.origin),
        after={
            "client_order_id": order.client_order_id,
            "symbol": submission.instrument.symbol,
            "side": order.side,
            "quantity": decimal_text(order.quantity),
            "price": decimal_text(order.price) if order.price is not None else None,
        },
    )
    order_store(order, audit=audit)
    enqueue_on_commit(
        "trading.tasks.orders_drain", queue="trading", account_id=order.account_id, shard=order.shard
    )
