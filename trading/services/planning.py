"""From what strategies want to the orders that lead there, for one account and symbol at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Max

from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from trading.domain import planner
from trading.domain.execution import parent_quantity
from trading.domain.hedge import OF_EXIT, on_sides, position_sides
from trading.domain.orders import OPEN, OrderIntent, OrderStatus
from trading.domain.planner import Desire, WorkingOrder
from trading.domain.subaccounts import PEOPLE
from trading.domain.values import Instrument as DomainInstrument
from trading.domain.values import Level, PositionSide, Side, from_units, to_units
from trading.models import (
    Account,
    Bracket,
    Decision,
    Order,
    Plan,
    PlanShare,
    Position,
    StrategyInstance,
    SubPosition,
)
from trading.services.books.transfers import positions_cross
from trading.services.brackets import bracket_in_the_way, bracket_leaves, bracket_yield, brackets_ensure
from trading.services.controls.limits_in_force import limit_values
from trading.services.controls.states import effective_level
from trading.services.exposure import positions_locked
from trading.services.market import market_of
from trading.services.models import model_name
from trading.services.orders.cancel import order_cancel_request
from trading.services.plan_sending import plan_send
from trading.services.quoting import makers_of, quotes_refresh
from trading.services.scopes import scopes_of
from universe.models import Instrument

REBALANCE_BAND = Decimal("0.10")
DECISION_LIFE = timedelta(seconds=15)
FALLBACK_LIMIT = Decimal(
    "0.98"
)  # of the largest order: the collared price of a market order is above the close


def plan_refresh(*, account_id: int, instrument_id: int) -> list[Order]:
    """Compare what is wanted with what is held and working, and send the difference. Harmless to repeat.

    The position row is locked from reading it until the orders are reserved, so two refreshes cannot both
    see the same difference. Cancels follow when it is let go: settling locks an order before its position.
    A market maker's symbol is planned by what it quotes, until its grant is gone and its quotes are too.
    """
    if makers_of(account_id, instrument_id):
        quoted = quotes_refresh(account_id, instrument_id)
        if quoted is not None:
            return quoted
    orders, cancels, held = _plan(account_id, instrument_id)
    if held is not None:
        bracket, keep = held
        bracket_yield(bracket_id=bracket.pk, keep=keep, reason="the target changed")
    # What was bought a moment ago is guarded as its strategies want it.
    brackets_ensure(account_id=account_id, instrument_id=instrument_id)
    for order in cancels:
        with contextlib.suppress(Conflict):  # over by itself in the meantime
            order_cancel_request(order=order, actor="planner", reason="the target changed")
    return orders


@transaction.atomic
def _plan(
    account_id: int, instrument_id: int
) -> tuple[list[Order], list[Order], tuple[Bracket, Decimal] | None]:
    account = Account.objects.select_related("venue").get(pk=account_id)
    instrument = Instrument.objects.get(pk=instrument_id)
    domain = instrument.to_domain()
    sides = position_sides(domain.market, hedge=account.hedge_mode)
    positions = positions_locked(account, instrument, set(sides))
    position = positions[sides[0]]
    instances = list(
        StrategyInstance.objects.select_related("strategy").filter(
            account=account, instrument=instrument, target__isnull=False
        )
    )
    # With every strategy of the symbol switched off its position is held, not sold.
    if not any(i.is_enabled and i.strategy.is_enabled for i in instances):
        return [], [], None
    # A stopped strategy stops the symbol it shares: a netted order cannot leave its part out.
    scopes = {
        scope
        for name, model in ((None, ""), *((i.strategy.name, model_name(i.strategy)) for i in instances))
        for scope in scopes_of(
            venue=account.venue.name,
            account=account.name,
            symbol=instrument.symbol,
            strategy=name,
            model=model,
        )
    }
    level, _ = effective_level(sorted(scopes))
    if level > Level.REDUCING or bracket_leaves(account, instrument):
        return [], [], None
    decisions = {i.pk: i.decisions.order_by("-bar_open_at", "-pk").first() for i in instances}
    latest = max((d for d in decisions.values() if d is not None), key=lambda d: d.bar_open_at, default=None)
    if latest is None:
        return [], [], None
    values, _ = limit_values(["global", f"account:{account.name}", f"symbol:{instrument.symbol}"])
    open_orders = list(
        Order.objects.filter(account=account, instrument=instrument, ended_at=None).order_by("pk")
    )
    working = [
        o
        for o in open_orders
        # A person's own orders, here or at the exchange, are never the planner's to count or to cancel.
        if OrderStatus(o.status) in OPEN and o.origin in (Order.Origin.STRATEGY, Order.Origin.FLATTEN)
    ]
    owned = _owned(positions.values())
    desires = [_desire(i, decisions[i.pk], owned) for i in instances]
    # What crosses stays inside one position; in hedge mode there are two, and the venue nets.
    if not working and len(sides) == 1 and _cross(position, instrument, desires, latest.price):
        owned = _owned(positions.values())
        desires = [_desire(i, decisions[i.pk], owned) for i in instances]
    wanted = planner.plan(
        desires,
        sum(owned.values()),
        [
            WorkingOrder(
                client_order_id=o.client_order_id,
                side=Side(o.side),
                remaining=domain.steps(o.quantity - o.executed_quantity),
                price=domain.ticks(o.price) if o.price is not None else None,
                status=OrderStatus(o.status),
            )
            for o in working
        ],
        domain,
        latest.price,
        rebalance_band=REBALANCE_BAND,
        max_child_notional=values["max_notional"] * FALLBACK_LIMIT,
        net_units=sum(to_units(row.quantity) for row in positions.values()),
    )
    if len(sides) > 1:
        wanted = replace(wanted, intents=_on_sides(wanted.intents, positions, working, domain))
    if not wanted.intents and not wanted.cancels:
        return [], [], None
    if wanted.intents and wanted.intents[0].side is Side.SELL:
        # What the protection holds cannot be sold: it lets go first, and the plan is made again then.
        selling = domain.quantity(sum(intent.quantity for intent in wanted.intents))
        held = bracket_in_the_way(account=account, instrument=instrument, side=Side.SELL, quantity=selling)
        if held is not None:
            return [], [], held
    plan = _record(account, instrument, position, sum(owned.values()), wanted, latest, decisions, instances)
    cancels = [
        o for o in open_orders if o.client_order_id in wanted.cancels and o.cancel_requested_at is None
    ]
    sent = [
        plan_send(account, instrument, plan, leg, intent, latest) for leg, intent in enumerate(wanted.intents)
    ]
    return [order for order in sent if order is not None], cancels, None


def plans_due() -> list[tuple[int, int]]:
    """Accounts and symbols with a decision still worth acting on and no plan since: their hint was lost."""
    fresh = now() - DECISION_LIFE
    decided = (
        Decision.objects.filter(decided_at__gt=fresh)
        .order_by()
        .values_list("instance__account_id", "instance__instrument_id")
        .annotate(latest=Max("decided_at"))
    )
    planned = {
        (account_id, instrument_id): latest
        for account_id, instrument_id, latest in Plan.objects.filter(created_at__gt=fresh)
        .order_by()
        .values_list("account_id", "instrument_id")
        .annotate(latest=Max("created_at"))
    }
    return [
        (account_id, instrument_id)
        for account_id, instrument_id, latest in decided
        if (account_id, instrument_id) not in planned or planned[account_id, instrument_id] < latest
    ]


def _owned(positions: Iterable[Position]) -> dict[str, int]:
    """What each strategy has of the positions, base units; what people hold is not the planner's to sell."""
    owned: dict[str, int] = {}
    for part in SubPosition.objects.filter(position__in=list(positions)).exclude(owner=PEOPLE):
        owned[part.owner] = owned.get(part.owner, 0) + to_units(part.quantity)
    return owned


def _on_sides(
    intents: Sequence[OrderIntent],
    positions: dict[str, Position],
    working: Sequence[Order],
    domain: DomainInstrument,
) -> tuple[OrderIntent, ...]:
    """The orders of a net plan on the positions of hedge mode, less what orders on their way close already."""
    free = {side: domain.floor_steps(abs(row.quantity)) for side, row in positions.items()}
    for order in working:
        if OF_EXIT[Side(order.side)] == order.position_side:
            free[order.position_side] -= domain.floor_steps(order.quantity - order.executed_quantity)
    long, short = (max(0, free[side]) for side in (PositionSide.LONG, PositionSide.SHORT))
    return on_sides(intents, long=long, short=short)


def _cross(position: Position, instrument: Instrument, desires: list[Desire], price: Decimal) -> bool:
    """Let opposite targets cross inside the account at the middle of the book, as transfers between their owners."""
    if len(desires) < 2:
        return False
    mid = market_of(instrument).mid
    if mid is None:
        return False
    domain = instrument.to_domain()
    pairs = planner.crossings(desires, domain, price, rebalance_band=REBALANCE_BAND)
    for taker, giver, steps in pairs:
        positions_cross(
            position,
            instrument,
            taker=taker,
            giver=giver,
            quantity=steps * domain.step_units,
            price=mid,
            plan=None,
        )
    return bool(pairs)


def _desire(instance: StrategyInstance, decision: Decision | None, owned: dict[str, int]) -> Desire:
    assert instance.target is not None
    return Desire(
        strategy=instance.strategy.name,
        target=instance.target,
        weight=instance.weight,
        allocation=instance.allocation,
        decision_id=decision.key if decision else "",
        attributed=owned.get(instance.strategy.name, 0),
    )


def _record(
    account: Account,
    instrument: Instrument,
    position: Position,
    held: int,
    wanted: planner.Plan,
    latest: Decision,
    decisions: dict[int, Decision | None],
    instances: list[StrategyInstance],
) -> Plan:
    position.plan_version += 1
    position.save(update_fields=["plan_version"])
    plan = Plan.objects.create(
        account=account,
        instrument=instrument,
        version=position.plan_version,
        price=latest.price,
        position_quantity=from_units(held),
        target_quantity=from_units(wanted.target),
        # Not summed from the intents: what a faulty planner or router may ask for is bounded by this.
        parent_quantity=from_units(parent_quantity(wanted.target, held)),
        notes=[{"code": note.code, "detail": note.detail} for note in wanted.notes],
        created_at=now(),
    )
    total = sum(share.steps for share in wanted.shares)
    by_strategy = {i.strategy.name: decisions[i.pk] for i in instances}
    for share in wanted.shares:
        decision = by_strategy[share.strategy]
        if decision is not None and total:
            PlanShare.objects.create(
                plan=plan, decision=decision, share=(Decimal(share.steps) / total).quantize(Decimal("1E-8"))
            )
    return plan
