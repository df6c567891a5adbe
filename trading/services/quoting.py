"""From what a market maker wants to quote to the orders that stand in the book, for one account and symbol.

Level-triggered: called after a step, by the tick every second, and when a strategy is switched off. Whatever is not
known to be in order takes the quotes back: the strategy is off or silent, a level or a breaker is on, its grant is
gone or past its time, or it is not alone on its symbol.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import structlog
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.services.outbox import publish
from trading import metrics
from trading.domain.execution import RECV_WINDOW_MS
from trading.domain.hedge import position_sides
from trading.domain.orders import OrderStatus
from trading.domain.planner import WorkingOrder
from trading.domain.quote_plan import Amendment, QuotePlan, Room, plan_quotes, room
from trading.domain.strategies import Desired, Quotes
from trading.domain.values import Instrument as DomainInstrument
from trading.domain.values import OrderType, Side
from trading.models import (
    Decision,
    Order,
    OrderCommand,
    Plan,
    PlanShare,
    Position,
    StrategyInstance,
    SubPosition,
)
from trading.services.controls.limits_in_force import limit_values
from trading.services.execution.amend import order_amend_request
from trading.services.exposure import positions_locked
from trading.services.market import market_of
from trading.services.orders.cancel import order_cancel_request
from trading.services.plan_sending import plan_send
from trading.services.quotes_withheld import SILENT_BARS, Withdrawn, quotes_withheld
from trading.services.strategies.deciding import decide_at_book
from trading.services.strategies.observing import quotes_working

log = structlog.get_logger(__name__)

WISH_LIFE: Final = timedelta(seconds=5)
"""A quote is not placed on a step older than this; one that stands may stay until the strategy counts as silent."""
PACE: Final = timedelta(seconds=3)
"""Between two new quotes on one side; taking back is never paced. The rails' window for near duplicates if longer."""
PACE_DENIED: Final = timedelta(seconds=10)
"""The same after a rail said no."""
ANSWERED: Final = timedelta(milliseconds=RECV_WINDOW_MS)
"""A request without an answer for so long is in doubt, for what else stands on its side."""
_ROOM: Final = Decimal("0.98")
"""Of the largest order: prices move between here and the rail."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What stands, what should, and the way there. `why` is empty while quoting is in order."""

    maker: StrategyInstance
    why: str
    working: list[Order]
    plan: QuotePlan


def makers_of(account_id: int, instrument_id: int) -> list[StrategyInstance]:
    """The market makers of a symbol; there should be one at most."""
    return list(
        StrategyInstance.objects.select_related("strategy", "account__venue", "instrument")
        .filter(account_id=account_id, instrument_id=instrument_id, makes_market=True)
        .order_by("pk")
    )


def makers_watched() -> list[tuple[int, int]]:
    """Accounts and symbols whose quotes are looked after every second."""
    rows = StrategyInstance.objects.filter(makes_market=True).order_by("account_id", "instrument_id")
    return list(rows.values_list("account_id", "instrument_id").distinct())


def quotes_refresh(account_id: int, instrument_id: int) -> list[Order] | None:
    """Bring what stands in the book to what is wanted. Harmless to repeat. Returns the new orders.

    None means that nothing stands and the grant is gone: what is still held is to be sold like anybody's.
    """
    seen = [_outlook(maker) for maker in makers_of(account_id, instrument_id)]
    for outlook in seen:
        if outlook.why == Withdrawn.SILENT:
            _silence(outlook.maker)
    if all(outlook.plan.is_empty for outlook in seen):
        gone = all(outlook.why == Withdrawn.GRANTED_NOTHING and not outlook.working for outlook in seen)
        return None if gone else []
    placed: list[Order] = []
    for outlook in seen:
        if not outlook.plan.is_empty:
            placed += _act(outlook.maker)
    return placed


def _act(maker: StrategyInstance) -> list[Order]:
    orders, again = _place(maker.pk)
    by_id = {order.client_order_id: order for order in again.working}
    for client_order_id in again.plan.cancels:
        order = by_id[client_order_id]
        if order.cancel_requested_at is None:
            with contextlib.suppress(Conflict):  # over by itself in the meantime
                order_cancel_request(order=order, actor="planner", reason=again.why or "the quote moves")
    for amendment in again.plan.amends:
        _amend(by_id[amendment.client_order_id], amendment, maker.instrument.to_domain())
    return orders


@transaction.atomic
def _place(maker_id: int) -> tuple[list[Order], Outlook]:
    """Place what is missing, the position locked from reading to reserving, so that two do not place it twice.

    What replaces another order is reserved beside it: until it is certain which of the two stands, both hold theirs.
    """
    maker = StrategyInstance.objects.select_related("strategy", "account__venue", "instrument").get(
        pk=maker_id
    )
    account, instrument = maker.account, maker.instrument
    sides = position_sides(instrument.to_domain().market, hedge=account.hedge_mode)
    position = positions_locked(account, instrument, set(sides))[sides[0]]
    outlook = _outlook(maker)
    if not outlook.plan.intents:
        return [], outlook
    decision = _decision(maker)
    if decision is None or maker.stepped_at is None:
        return [], outlook
    working = {order.client_order_id: order for order in outlook.working}
    plan = _record(maker, position, outlook.plan, decision)
    sent = [
        plan_send(
            account,
            instrument,
            plan,
            leg,
            intent,
            decision,
            decided_at=maker.stepped_at,
            replaces=None if old is None else working[old],
        )
        for leg, (intent, old) in enumerate(outlook.plan.intents)
    ]
    return [order for order in sent if order is not None], outlook


def _amend(order: Order, amendment: Amendment, domain: DomainInstrument) -> None:
    quantity = order.executed_quantity + domain.quantity(amendment.left)
    price = None if amendment.price is None else domain.price(amendment.price)
    try:
        command = order_amend_request(
            order=order,
            quantity=quantity,
            price=price,
            actor="planner",
            reason="less is quoted" if price is None else "the quote moves away",
            key=f"{order.pk}:{quantity}" + ("" if price is None else f":{order.price}:{price}"),
        )
        if price is not None and command.state == OrderCommand.State.REFUSED:
            order_cancel_request(order=order, actor="planner", reason="the quote moves")
    except (Conflict, ApplicationError) as error:
        # Over or traded in the meantime, or an earlier one is on its way: the next look sees what became of it.
        log.info("quote_not_amended", order_id=order.pk, code=error.code)


def _outlook(maker: StrategyInstance) -> Outlook:
    domain = maker.instrument.to_domain()
    working = quotes_working(maker)
    market = market_of(maker.instrument)
    why = quotes_withheld(maker, market)
    wanted = None if why or maker.quotes is None else Quotes(**maker.quotes)
    plan = plan_quotes(
        wanted,
        _working(working, domain),
        domain,
        best_bid=market.bid,
        best_ask=market.ask,
        room=Room(0, 0) if wanted is None or market.mid is None else _room(maker, domain, market.mid),
        paced=_paced(maker) if wanted is not None else (),
    )
    return Outlook(maker, why, working, plan)


def _silence(maker: StrategyInstance) -> None:
    """Forget what it wanted, and tell people, once."""
    forgotten = StrategyInstance.objects.filter(pk=maker.pk, quotes__isnull=False).update(
        quotes=None, said=None
    )
    if not forgotten:
        return
    metrics.INCIDENTS.labels(kind="quotes_silent").inc()
    log.error("quotes_silent", strategy=maker.strategy.name, symbol=maker.instrument.symbol)
    publish(
        "incidents",
        {
            "kind": "quotes_silent",
            "account": maker.account.name,
            "symbol": maker.instrument.symbol,
            "strategy": maker.strategy.name,
            "text": f"{maker.strategy.name} has not decided for {SILENT_BARS} bars: its quotes are taken back",
        },
    )


def _room(maker: StrategyInstance, domain: DomainInstrument, mid: Decimal) -> Room:
    values, _ = limit_values(["global", f"account:{maker.account.name}", f"symbol:{maker.instrument.symbol}"])
    own = SubPosition.objects.filter(
        position__account_id=maker.account_id,
        position__instrument_id=maker.instrument_id,
        owner=maker.strategy.name,
    ).values_list("quantity", flat=True)
    return room(
        domain,
        held=sum(own, start=Decimal(0)),
        capital=maker.allocation * maker.weight,
        price=mid,
        largest=values["max_notional"] * _ROOM,
    )


def _paced(maker: StrategyInstance) -> set[Side]:
    """Sides on which nothing new is placed yet; both where the strategy's last step is too old to place on."""
    moment = now()
    if maker.stepped_at is None or moment - maker.stepped_at > WISH_LIFE:
        return {Side.BUY, Side.SELL}
    values, _ = limit_values(["global", f"account:{maker.account.name}"])
    pace = max(PACE, timedelta(seconds=float(values["near_duplicate_window"])))
    denied = max(PACE_DENIED, pace)
    recent = Order.objects.filter(
        account_id=maker.account_id,
        instrument_id=maker.instrument_id,
        strategy_id=maker.strategy_id,
        type=OrderType.LIMIT_MAKER,
        created_at__gt=moment - denied,
    ).values_list("side", "status", "created_at")
    paced: set[Side] = set()
    for side, status, created_at in recent:
        wait = denied if status == OrderStatus.DENIED else pace
        if moment - created_at < wait:
            paced.add(Side(side))
    return paced


def _working(orders: Sequence[Order], domain: DomainInstrument) -> list[WorkingOrder]:
    open_commands = OrderCommand.objects.filter(order__in=orders, ended_at=None) if orders else ()
    commands = {command.order_id: command for command in open_commands}
    return [_as_working(order, commands.get(order.pk), domain) for order in orders]


def _as_working(order: Order, command: OrderCommand | None, domain: DomainInstrument) -> WorkingOrder:
    status = OrderStatus(order.status)
    if status is OrderStatus.SENDING and order.sent_at is not None and now() - order.sent_at > ANSWERED:
        status = OrderStatus.UNKNOWN  # its sender may be gone: whoever waits for it does not wait longer
    changing = command is not None and command.kind == OrderCommand.Kind.AMEND
    in_doubt = command is not None and command.state == OrderCommand.State.UNKNOWN
    return WorkingOrder(
        client_order_id=order.client_order_id,
        side=Side(order.side),
        remaining=domain.steps(order.quantity - order.executed_quantity),
        price=domain.ticks(order.price) if order.price is not None else None,
        status=status,
        replaces=order.replaces.client_order_id if order.replaces is not None else None,
        is_going=order.cancel_requested_at is not None or in_doubt,
        is_changing=changing and not in_doubt,
    )


def _decision(maker: StrategyInstance) -> Decision | None:
    """The decision the quotes are from; at a book it is written down now that an order comes of it."""
    said: dict[str, Any] | None = maker.said
    if said is None or maker.quotes is None or maker.last_bar_at is None:
        return maker.decisions.order_by("-bar_open_at", "-pk").first()
    desired = Desired(
        target=maker.target or 0.0,
        confidence=said["confidence"],
        reason=said["reason"],
        quotes=Quotes(**maker.quotes),
        features=said["features"],
    )
    return decide_at_book(
        maker, maker.last_bar_at, said["at_ns"], Decimal(said["price"]), desired, maker.parameters_digest
    )


def _record(maker: StrategyInstance, position: Position, wanted: QuotePlan, decision: Decision) -> Plan:
    position.plan_version += 1
    position.save(update_fields=["plan_version"])
    plan = Plan.objects.create(
        account=maker.account,
        instrument=maker.instrument,
        version=position.plan_version,
        price=decision.price,
        position_quantity=position.quantity,
        target_quantity=position.quantity,
        parent_quantity=_total(wanted, maker.instrument.to_domain()),
        notes=_notes(wanted),
        created_at=now(),
    )
    PlanShare.objects.create(plan=plan, decision=decision, share=Decimal(1))
    return plan


def _total(wanted: QuotePlan, domain: DomainInstrument) -> Decimal:
    return sum((domain.quantity(intent.quantity) for intent, _ in wanted.intents), start=Decimal(0))


def _notes(wanted: QuotePlan) -> Sequence[dict[str, str]]:
    return [
        {
            "code": "QUOTES",
            "detail": f"{len(wanted.places)} to place, {len(wanted.replaces)} to replace, "
            f"{len(wanted.cancels)} to take back",
        },
        *({"code": str(code), "detail": f"{side} side"} for side, code in wanted.notes),
    ]
