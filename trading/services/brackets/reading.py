"""A bracket's row and its orders as the machine's facts: the edge between Decimals and ticks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Case, DecimalField, F, Q, Sum, When

from nautilus_site.common.clock import now
from trading.domain.brackets import BracketState, Exits, Facts, Leg, Role, TakeProfit
from trading.domain.brackets.exits import ratchet, tightest
from trading.domain.clock import datetime_to_ns
from trading.domain.conditional import MAX_CALLBACK_BPS, MIN_CALLBACK_BPS
from trading.domain.orders import OPEN, OrderStatus
from trading.domain.values import Instrument, Level, Market, Side, times_of
from trading.models import Bracket, BracketLeg, Fill, Order, OrderCommand, Position
from trading.services.controls.limits_in_force import limit_values
from trading.services.controls.states import effective_level
from trading.services.market import Market as Book
from trading.services.market import market_of
from trading.services.scopes import scopes_of

ZERO = Decimal(0)
FIRST_RETRY = timedelta(milliseconds=500)
LONGEST_RETRY = timedelta(seconds=30)
LEAST_TRAIL_STEPS = 20
"""A trail kept by us moves when the price has gained a twentieth of its distance."""
SPOT_ALGO_ORDERS = 5
USDM_SLICES = 20
_CAME_TO_NOTHING = (OrderStatus.DENIED, OrderStatus.REJECTED, OrderStatus.RELEASED, OrderStatus.ABSENT)
_OURSELVES = ("CANCELED_BEFORE_SENDING", "LIST_INCOMPLETE")
_JUMPED = ("immediately", "relationship of the prices")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The orders in a row that came to nothing, newest first: how many, why, and when to try again."""

    count: int = 0
    text: str = ""
    retry_at: datetime | None = None
    jumped: bool = False


def position_of(bracket: Bracket, *, lock: bool) -> Position:
    """The position a bracket guards; a flat one, not stored, where there never was any."""
    rows = Position.objects.filter(
        account_id=bracket.account_id,
        instrument_id=bracket.instrument_id,
        position_side=bracket.position_side,
    )
    if lock:
        rows = rows.select_for_update(of=("self",), no_key=True)
    found = rows.first()
    return found or Position(
        account=bracket.account, instrument=bracket.instrument, position_side=bracket.position_side
    )


def exits_of(bracket: Bracket, domain: Instrument) -> Exits:
    """The exits as asked for, in ticks: a stop gives a little more, a take-profit asks a little more."""
    away = Side(bracket.exit_side)
    return Exits(
        stop=_ticks(domain, bracket.stop_price, away, stop=True),
        stop_limit=_ticks(domain, bracket.stop_limit_price, away, stop=True),
        take_profits=tuple(
            TakeProfit(_known(domain, Decimal(entry["price"]), away), int(entry["share_bps"]))
            for entry in bracket.take_profits
        ),
        trailing_bps=bracket.trailing_bps,
        activation=_ticks(domain, bracket.activation_price, away, stop=False),
        exit_at_ns=datetime_to_ns(bracket.exit_at) if bracket.exit_at is not None else None,
    )


def covered_quantity(bracket: Bracket, position: Position) -> Decimal:
    """Base quantity to guard. What its entries bought and others sold is given up, on the row, for good."""
    held: Decimal = position.quantity if bracket.exit_side == Side.SELL else -position.quantity
    held = max(held, ZERO)
    if bracket.covers_all:
        return held
    legs = BracketLeg.objects.filter(bracket=bracket)
    entries = legs.filter(role=Role.ENTRY).values("order_id")
    exits = legs.exclude(role=Role.ENTRY).values("order_id")
    bought = _filled(Q(order__in=entries)) - _in_coin(entries, bracket.instrument.base_asset)
    covered: Decimal = bought - _filled(Q(order__in=exits)) - bracket.given_up_quantity
    if covered > held:
        bracket.given_up_quantity += covered - held
        covered = held
    return max(covered, ZERO)


def refusal_of(bracket: Bracket) -> Refusal:
    """Read from the orders themselves, so that a restart forgets nothing and counts nothing twice."""
    legs = BracketLeg.objects.filter(bracket=bracket).exclude(role=Role.ENTRY).select_related("order")
    count, text, last, seen, jumped = 0, "", None, set(), False
    for leg in legs.order_by("-id")[:24]:
        order = leg.order
        exit_missed = leg.role == Role.EXIT and order.status == OrderStatus.EXPIRED
        failed = (order.status in _CAME_TO_NOTHING and order.code not in _OURSELVES) or exit_missed
        if not failed or order.executed_quantity:
            break
        if leg.group in seen:
            continue
        seen.add(leg.group)
        count += 1
        if last is None:
            last, text = order.ended_at, f"{order.code or order.status}: {order.message}"[:200]
            jumped = leg.role != Role.EXIT and any(word in order.message for word in _JUMPED)
    if not count:
        return Refusal()
    wait = min(FIRST_RETRY * 2 ** (count - 1), LONGEST_RETRY)
    return Refusal(count, text, (last or now()) + wait, jumped)


def facts_of(bracket: Bracket, position: Position) -> Facts:
    """Everything the machine may know. Moves the row's own memory: best price, trail, breach, given-up quantity."""
    domain = bracket.instrument.to_domain()
    moment = now()
    book = market_of(bracket.instrument)
    covered = covered_quantity(bracket, position)
    exits = _trailed(bracket, domain, book, covered, exits_of(bracket, domain))
    refusal = refusal_of(bracket)
    bracket.last_refusal = refusal.text
    keep = bracket.yield_to
    if keep is not None and (covered <= keep or bracket.yield_until is None or bracket.yield_until <= moment):
        bracket.yield_to = bracket.yield_until = keep = None
    steps = domain.floor_steps(covered)
    taken = _taken(bracket, domain)
    values, _ = limit_values(
        scopes_of(
            venue=bracket.account.venue.name,
            account=bracket.account.name,
            symbol=domain.symbol,
            strategy=None,
        )
    )
    reason = bracket.exit_reason
    if not reason and refusal.jumped and refusal.count >= 2:
        reason = "STOP_BREACHED"  # the venue's last price is ahead of the book we see
    return Facts(
        state=BracketState(bracket.state),
        market=domain.market,
        exit_side=Side(bracket.exit_side),
        exits=exits,
        covered=steps,
        entry_open=_entries(bracket).exists(),
        legs=_legs(bracket, domain),
        now_ns=datetime_to_ns(moment),
        bid=_floor(domain, book.bid),
        ask=_floor(domain, book.ask),
        yielded=0 if keep is None else steps - domain.floor_steps(max(keep, ZERO)),
        taken=taken,
        entered=steps + sum(taken),
        closing=_has_traded(bracket),
        may_place=_level(bracket) <= Level.REDUCING,
        wait_ns=_since(moment, refusal.retry_at) if refusal.retry_at else 0,
        unprotected_ns=_since(bracket.unprotected_since, moment) if bracket.unprotected_since else 0,
        unprotected_max_ns=int(values["unprotected_max_age"] * 1_000_000_000),
        breached_ns=_since(bracket.breached_at, moment) if bracket.breached_at else 0,
        escalate_ns=bracket.escalate_after_s * 1_000_000_000,
        exit_reason=reason,
        min_steps=max(1, domain.floor_steps(domain.min_quantity)),
        min_product=_smallest_product(domain),
        max_slices=_slots(bracket),
    )


def open_legs(bracket: Bracket) -> list[BracketLeg]:
    """Its protective orders and exits that may still trade."""
    rows = BracketLeg.objects.filter(bracket=bracket, order__status__in=[s.value for s in OPEN])
    return list(rows.exclude(role=Role.ENTRY).select_related("order").order_by("id"))


def open_entries(bracket: Bracket) -> list[Order]:
    """Its entry orders that may still fill."""
    return list(_entries(bracket))


def _entries(bracket: Bracket):  # type: ignore[no-untyped-def]
    return Order.objects.filter(
        bracket_leg__bracket=bracket, bracket_leg__role=Role.ENTRY, status__in=[s.value for s in OPEN]
    )


def _legs(bracket: Bracket, domain: Instrument) -> tuple[Leg, ...]:
    rows = open_legs(bracket)
    asked = OrderCommand.objects.filter(
        order__in=[row.order_id for row in rows], kind=OrderCommand.Kind.AMEND
    ).values_list("order_id", "state", "ended_at")
    amending = {order_id for order_id, _, ended_at in asked if ended_at is None}
    refused = {order_id for order_id, state, _ in asked if state == OrderCommand.State.REFUSED}
    return tuple(
        replace(
            _leg(row, domain),
            amending=row.order_id in amending,
            # USD-M amends limit orders only, and protection there is none.
            amendable=domain.market is Market.spot
            and row.order.status == OrderStatus.NEW
            and row.order_id not in refused,
        )
        for row in rows
    )


def _leg(leg: BracketLeg, domain: Instrument) -> Leg:
    order = leg.order
    return Leg(
        key=order.client_order_id,
        role=Role(leg.role),
        group=leg.group,
        # Rounded, not demanded: the venue may have changed its tick or step since the order was sent.
        quantity=domain.floor_steps(order.quantity),
        executed=domain.floor_steps(order.executed_quantity),
        status=OrderStatus(order.status),
        stop=_floor(domain, order.stop_price),
        # An exit's price is only its collar; a lone market stop has none.
        price=_floor(domain, order.price) if leg.role != Role.EXIT else None,
        callback_bps=order.callback_bps,
        target=leg.target,
        cancel_requested=order.cancel_requested_at is not None,
    )


def _trailed(bracket: Bracket, domain: Instrument, book: Book, covered: Decimal, exits: Exits) -> Exits:
    """Follow the best price; where the venue cannot trail, the resting stop is moved up behind it."""
    if exits.trailing_bps is None:
        return exits
    touch = book.bid if bracket.exit_side == Side.SELL else book.ask
    if touch and covered:
        better = max if bracket.exit_side == Side.SELL else min
        bracket.best_price = better(bracket.best_price or touch, touch)
    native = domain.market is Market.usdm and MIN_CALLBACK_BPS <= exits.trailing_bps <= MAX_CALLBACK_BPS
    if native:
        return exits
    best = _floor(domain, bracket.best_price)
    away = Side(bracket.exit_side)
    active = best is not None and (exits.activation is None or (best - exits.activation) * -away.sign >= 0)
    if active and best is not None:
        current = _floor(domain, bracket.trailed_price)
        least = max(1, exits.trailing_bps // LEAST_TRAIL_STEPS)
        level = ratchet(away, current, best, exits.trailing_bps, least_move_bps=least)
        bracket.trailed_price = domain.price(level) if level is not None else None
    trailed = _floor(domain, bracket.trailed_price)
    stop = tightest(away, exits.stop, trailed)
    return Exits(
        stop=stop,
        stop_limit=exits.stop_limit if stop == exits.stop else None,
        take_profits=exits.take_profits,
        exit_at_ns=exits.exit_at_ns,
    )


def _taken(bracket: Bracket, domain: Instrument) -> tuple[int, ...]:
    rows = (
        BracketLeg.objects.filter(bracket=bracket, target__isnull=False)
        .values_list("target")
        .annotate(total=Sum("order__executed_quantity"))
    )
    done = dict(rows)
    return tuple(domain.floor_steps(done.get(i) or ZERO) for i in range(len(bracket.take_profits)))


def _has_traded(bracket: Bracket) -> bool:
    exits = BracketLeg.objects.filter(bracket=bracket, order__executed_quantity__gt=0)
    return bool(exits.exclude(role=Role.ENTRY).exists())


def _filled(which: Q) -> Decimal:
    total: Decimal | None = Fill.objects.filter(which).aggregate(total=Sum("quantity"))["total"]
    return total or ZERO


def _in_coin(entries, asset: str) -> Decimal:  # type: ignore[no-untyped-def]
    """Commission of purchases that was taken from the coin itself: it cannot be sold again."""
    bought = Case(When(side=Side.BUY, then=F("commission")), default=ZERO, output_field=DecimalField())
    rows = Fill.objects.filter(order__in=entries, commission_asset=asset)
    total: Decimal | None = rows.aggregate(total=Sum(bought))["total"]
    return total or ZERO


def _level(bracket: Bracket) -> Level:
    scopes = scopes_of(
        venue=bracket.account.venue.name,
        account=bracket.account.name,
        symbol=bracket.instrument.symbol,
        strategy=bracket.strategy.name if bracket.strategy else None,
    )
    return effective_level(scopes)[0]


def _smallest_product(domain: Instrument) -> int:
    if domain.market is Market.usdm or not domain.min_notional:
        return 0  # USD-M frees reduce-only orders from its minimum
    exact = domain.min_notional / (domain.tick_size * domain.step_size)
    return int(exact.to_integral_value(rounding="ROUND_CEILING"))


def _slots(bracket: Bracket) -> int:
    if bracket.instrument.market == Market.usdm:
        return USDM_SLICES
    filters = bracket.instrument.filters.get("filters", ())
    named = [f for f in filters if f.get("filterType") == "MAX_NUM_ALGO_ORDERS"]
    limit = int(named[0].get("maxNumAlgoOrders", SPOT_ALGO_ORDERS)) if named else SPOT_ALGO_ORDERS
    return max(1, min(limit, SPOT_ALGO_ORDERS) - 1)


def _ticks(domain: Instrument, price: Decimal | None, away: Side, *, stop: bool) -> int | None:
    if price is None:
        return None
    # A sale's stop is rounded down and its take-profit up; a buy-back's the other way.
    return domain.round_ticks(price, away.opposite if stop else away)


def _known(domain: Instrument, price: Decimal, away: Side) -> int:
    return domain.round_ticks(price, away)


def _floor(domain: Instrument, price: Decimal | None) -> int | None:
    return times_of(price, domain.tick_size)[0] if price else None


def _since(start: datetime, end: datetime) -> int:
    return int((end - start).total_seconds() * 1_000_000_000)
