"""Tx C: what the venue told of an order, from whatever source, booked once.

The response of a placement, the user stream, a query and a sweep all come through here. Fills are unique by the
venue's trade id and every consequence hangs on the inserted row, so order of arrival and repetition do not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

import structlog
from django.db import transaction
from django.db.models import F

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from nautilus_site.common.services.hints import enqueue_on_commit
from trading import metrics
from trading.domain import portfolio
from trading.domain.clock import ms_to_ns, ns_to_datetime
from trading.domain.errors import IllegalTransition, InvariantViolation
from trading.domain.execution import state_after
from trading.domain.orders import Fill as DomainFill
from trading.domain.orders import OrderStatus, from_venue, is_terminal
from trading.domain.ports import OrderReport, TradeReport
from trading.domain.reservation import Carried, Reservation, exposure_increase, settle_fill
from trading.domain.values import Level, Side, exact_product, floor_to_step, from_units, to_units
from trading.models import Balance, ExposureBucket, Fill, LedgerEntry, Order, OrderCommand, Position
from trading.services.execution.list_holds import list_hold_shrinks
from trading.services.execution.release import hold_release, hold_shrink
from trading.services.exposure import balances_locked, bucket_scopes, buckets_move, position_locked
from trading.services.ledger import Line, ledger_post
from trading.services.order_events import fill_event, order_event
from trading.services.parents import child_give_back
from universe.models import Quote

log = structlog.get_logger(__name__)
ZERO = Decimal(0)
UNIT = Decimal("1E-8")
_SETTLED = (
    *("status", "quantity", "venue_order_id", "acknowledged_at", "ended_at", "updated_at"),
    *("reported_status", "reported_executed", "executed_quantity", "executed_quote"),
    *("reserved_notional", "reserved_amount"),
)


@transaction.atomic
def order_settle(
    *, order_id: int, report: OrderReport | None, trades: Iterable[TradeReport], source: str
) -> Order:
    """Book fills that are new, then advance the order as far as what is known allows.

    A terminal report whose executed quantity is ahead of the fills we have stays open until those fills arrive:
    only executions are ever booked, never assumed.

    Raises
    ------
    InvariantViolation : more was executed than ordered, or the venue contradicts itself.
    """
    order = (
        Order.objects.select_for_update(of=("self",))
        .select_related("account__venue", "instrument", "strategy")
        .get(pk=order_id)
    )
    before = (order.status, order.executed_quantity)
    if report is not None:
        if report.quantity != order.quantity and _amended(order, report):
            hold_shrink(order, report.quantity)
        _note_report(order, report)
    fresh = sorted((t for t in trades if t.quantity > 0), key=lambda t: t.trade_id)
    if fresh:
        known = set(
            Fill.objects.filter(
                account=order.account, instrument=order.instrument, trade_id__in=[t.trade_id for t in fresh]
            ).values_list("trade_id", flat=True)
        )
        fresh = [t for t in fresh if t.trade_id not in known]
    booked: list[Fill] = []
    position: Position | None = None
    if fresh:
        position = position_locked(order.account, order.instrument)
        assets = {
            order.instrument.base_asset,
            order.instrument.quote_asset,
            *(t.commission_asset for t in fresh),
        }
        balances_locked(order.account, {a for a in assets if a})
        if order.status == OrderStatus.ABSENT:
            _reserve_again(order)
            position.refresh_from_db()
        booked = [_book(order, position, trade, source) for trade in fresh]
    _advance(order, position)
    order.updated_at = now()
    order.save(update_fields=_SETTLED)
    if (order.status, order.executed_quantity) != before or booked:
        order_event(order, source=source, detail=_detail(report))
    for fill in booked:
        fill_event(fill)
    crash_point("C")
    if source in ("sweep", "query"):
        crash_point("C14")
    if booked and order.plan_id is not None:
        enqueue_on_commit(
            "trading.tasks.plan_refresh",
            queue="trading",
            account_id=order.account_id,
            instrument_id=order.instrument_id,
        )
    return order


def _amended(order: Order, report: OrderReport) -> bool:
    """Whether the venue shows the smaller quantity that an amendment of ours asked for."""
    return (
        order.executed_quantity < report.quantity < order.quantity
        and order.ended_at is None
        and order.commands.filter(kind=OrderCommand.Kind.AMEND, quantity=report.quantity).exists()
    )


def _note_report(order: Order, report: OrderReport) -> None:
    """Keep the furthest thing the venue has said; an older report changes nothing."""
    told = from_venue(report.status)
    if order.venue_order_id is None and report.venue_order_id > 0:
        order.venue_order_id = report.venue_order_id
    if order.acknowledged_at is None:
        order.acknowledged_at = now()
        if order.sent_at is not None:
            metrics.SUBMIT_TO_ACK.observe((order.acknowledged_at - order.sent_at).total_seconds())
    if report.executed_quantity > order.quantity:
        raise InvariantViolation(
            f"order {order.client_order_id}: {report.executed_quantity} executed of {order.quantity}"
        )
    order.reported_executed = max(order.reported_executed, report.executed_quantity)
    if not order.reported_status or not is_terminal(OrderStatus(order.reported_status)):
        order.reported_status = told


def _advance(order: Order, locked: Position | None) -> None:
    """Derive the state from what is booked and what was reported. `locked` where the rows are in hand already."""
    current = OrderStatus(order.status)
    try:
        after = state_after(
            current,
            quantity=to_units(order.quantity),
            executed=to_units(order.executed_quantity),
            told=OrderStatus(order.reported_status) if order.reported_status else None,
            told_executed=to_units(order.reported_executed),
        )
    except IllegalTransition as error:
        raise InvariantViolation(str(error)) from error
    if after == current:
        return
    if current == OrderStatus.ABSENT and order.ended_at is not None:
        _reserve_again(order)
    order.status = after
    if is_terminal(after):
        position = locked or position_locked(order.account, order.instrument)
        if locked is None and order.reserved_amount:
            balances_locked(order.account, {order.reserved_asset})
        hold_release(order, position)
        child_give_back(order, after)
        order.ended_at = now()
        _count_end(after)


def _count_end(status: OrderStatus) -> None:
    if status is OrderStatus.FILLED:
        metrics.ORDERS_FILLED.inc()
    elif status is OrderStatus.REJECTED:
        metrics.ORDERS_REJECTED.inc()
    elif status is OrderStatus.CANCELED:
        metrics.ORDERS_CANCELED.inc()


def _reserve_again(order: Order) -> None:
    """An order proven absent has landed after all: it holds again what it had given back, whatever the caps.

    Taken before its fills are booked: they shrink the order's own hold, never that of another order.
    """
    log.error("late_landing", client_order_id=order.client_order_id)
    metrics.INVARIANT_VIOLATIONS.labels(invariant="I12_late_landing").inc()
    order.ended_at = None
    remaining = order.quantity - order.executed_quantity
    position = position_locked(order.account, order.instrument)
    side = Side(order.side)
    increase = exposure_increase(
        to_units(position.quantity),
        to_units(position.open_buy),
        to_units(position.open_sell),
        side,
        to_units(remaining),
    )
    if order.order_list_id is not None or not order.holds_open_quantity:
        return  # its siblings hold for it, or it can only ever reduce
    field = "open_buy" if side is Side.BUY else "open_sell"
    Position.objects.filter(pk=position.pk).update(**{field: F(field) + remaining})
    if order.price is None:
        return
    order.reserved_notional = floor_to_step(exact_product(from_units(increase), order.price), UNIT)
    order.reserved_amount = (
        floor_to_step(exact_product(remaining, order.price), UNIT) if side is Side.BUY else remaining
    )
    balances_locked(order.account, {order.reserved_asset})
    Balance.objects.filter(account=order.account, asset=order.reserved_asset).update(
        reserved=F("reserved") + order.reserved_amount
    )
    strategy = order.strategy.name if order.strategy else None
    scopes = bucket_scopes(order.account.name, order.instrument.symbol, strategy)
    buckets_move(dict.fromkeys(scopes, order.reserved_notional))
    if ExposureBucket.objects.filter(scope__in=scopes, overrun__gt=0).exists():
        transaction.on_commit(lambda: _only_reduce(order.account.name))


def _only_reduce(account: str) -> None:
    from trading.services.controls.states import kill_raise  # it enforces through this module

    kill_raise(
        scope=f"account:{account}",
        level=Level.REDUCING,
        reason="an order proven absent landed after all and passed a cap",
        actor="settlement",
    )


def _book(order: Order, position: Position, trade: TradeReport, source: str) -> Fill:
    """Insert one fill and everything that follows from it: position, caps, balances, ledger."""
    instrument = order.instrument.to_domain()
    side = Side(order.side)
    if order.executed_quantity + trade.quantity > order.quantity:
        raise InvariantViolation(f"order {order.client_order_id}: fills exceed the ordered {order.quantity}")
    fill = DomainFill(
        trade_id=trade.trade_id,
        symbol=instrument.symbol,
        side=side,
        price=instrument.ticks(trade.price),
        quantity=instrument.steps(trade.quantity),
        quote=to_units(trade.quote_quantity),
        fee=to_units(trade.commission),
        fee_asset=trade.commission_asset,
        maker=trade.maker,
        time_ms=trade.time_ms,
    )
    fee_value = portfolio.fee_value_units(fill, instrument, _rate(fill, order))
    held = portfolio.Position(
        quantity=to_units(position.quantity),
        cost=to_units(position.cost),
        realized=to_units(position.realized),
        fees=to_units(position.commission),
    )
    after = portfolio.apply_fill(held, fill, instrument, fee_value)
    _caps_follow(order, position, held.quantity, fill, to_units(trade.quantity))
    position.quantity = from_units(after.quantity)
    position.cost = from_units(after.cost)
    position.realized = from_units(after.realized)
    position.commission = from_units(after.fees)
    position.updated_at = now()
    field = "open_buy" if side is Side.BUY else "open_sell"
    if order.order_list_id is not None:
        list_hold_shrinks(order, position, trade.quantity)
    elif order.ended_at is None and order.holds_open_quantity:  # one that was over has given it back already
        setattr(position, field, max(getattr(position, field) - trade.quantity, ZERO))
    position.save()
    _balance_hold_shrinks(order, trade.quantity)
    row = Fill.objects.create(
        account=order.account,
        instrument=order.instrument,
        order=order,
        trade_id=trade.trade_id,
        side=side,
        price=trade.price,
        quantity=trade.quantity,
        quote_quantity=trade.quote_quantity,
        commission=trade.commission,
        commission_asset=trade.commission_asset,
        commission_quote=from_units(fee_value),
        realized=from_units(after.realized - held.realized),
        maker=trade.maker,
        slippage_bps=_slippage_bps(order, trade),
        traded_at=ns_to_datetime(ms_to_ns(trade.time_ms)),
        recorded_at=now(),
        source=source,
    )
    ledger_post(
        account=order.account,
        transaction=f"fill:{instrument.symbol}:{trade.trade_id}",
        lines=_lines(fill, instrument),
        at=row.traded_at,
        fill=row,
    )
    order.executed_quantity += trade.quantity
    order.executed_quote += trade.quote_quantity
    metrics.FILLS.inc()
    metrics.FEES_PAID_USD.inc(float(from_units(fee_value)))
    if row.slippage_bps is not None:
        metrics.EXEC_SLIPPAGE.observe(row.slippage_bps)
    return row


def _lines(fill: DomainFill, instrument) -> list[Line]:  # type: ignore[no-untyped-def]
    kinds = {"trade": LedgerEntry.Kind.TRADE, "fee": LedgerEntry.Kind.COMMISSION}
    return [
        Line(posting.asset, from_units(posting.amount), kinds[posting.kind])
        for posting in portfolio.postings(fill, instrument)
        if posting.account == portfolio.WALLET
    ]


def _rate(fill: DomainFill, order: Order) -> Decimal | None:
    """What one unit of a third fee asset (BNB) is worth in quote currency now; zero when nobody knows."""
    if fill.fee == 0 or fill.fee_asset in (order.instrument.base_asset, order.instrument.quote_asset):
        return None
    quote = Quote.objects.filter(
        instrument__symbol=f"{fill.fee_asset}{order.instrument.quote_asset}",
        instrument__venue=order.account.venue,
    ).first()
    if quote is None or quote.bid is None or quote.ask is None:
        log.warning("commission_not_valued", asset=fill.fee_asset, trade_id=fill.trade_id)
        return ZERO
    return (quote.bid + quote.ask) / 2


def _caps_follow(order: Order, position: Position, held: int, fill: DomainFill, filled: int) -> None:
    """Move the fill's part of the caps from the order to the position, or out when it reduces."""
    remaining = to_units(order.quantity - order.executed_quantity)
    side = Side(order.side)
    carried_notional = to_units(position.carried_notional)
    settlement = settle_fill(
        Reservation(quantity=remaining, notional=to_units(order.reserved_notional)),
        Carried(quantity=held, notional=carried_notional),
        side,
        filled,
        fill.quote,
        # Commission in the base asset leaves the position too: at zero nothing may stay carried.
        fill.fee if fill.fee_asset == order.instrument.base_asset else 0,
    )
    moved = order.reserved_notional - from_units(settlement.reservation.notional)
    carried_delta = from_units(settlement.carried.notional) - position.carried_notional
    order.reserved_notional = from_units(settlement.reservation.notional)
    position.carried_notional = from_units(settlement.carried.notional)
    name = order.strategy.name if order.strategy else ""
    deltas: defaultdict[str, Decimal] = defaultdict(Decimal)
    for scope in bucket_scopes(order.account.name, order.instrument.symbol, name or None):
        deltas[scope] -= moved
    shares = carried_split(position.carried_by, name, carried_delta)
    for owner, change in shares.items():
        if owner:
            deltas[f"strategy:{owner}"] += change
    for scope in bucket_scopes(order.account.name, order.instrument.symbol, None):
        deltas[scope] += carried_delta
    position.carried_by = _after(position.carried_by, shares)
    buckets_move(deltas)


def carried_split(carried_by: dict[str, str], owner: str, delta: Decimal) -> dict[str, Decimal]:
    """Whose carried notional changes: what is added belongs to the buyer, what is released to all pro rata."""
    if delta >= 0:
        return {owner: delta} if delta else {}
    held = {name: Decimal(text) for name, text in carried_by.items()}
    total = sum(held.values(), ZERO)
    if total <= 0:
        return {owner: delta}
    shares = {name: (delta * amount / total).quantize(Decimal("1E-8")) for name, amount in held.items()}
    largest = max(held, key=lambda name: held[name])
    shares[largest] += delta - sum(shares.values(), ZERO)
    return shares


def _after(carried_by: dict[str, str], changes: dict[str, Decimal]) -> dict[str, str]:
    totals = {name: Decimal(text) for name, text in carried_by.items()}
    for name, change in changes.items():
        totals[name] = totals.get(name, ZERO) + change
    return {name: str(amount) for name, amount in totals.items() if amount != 0}


def _balance_hold_shrinks(order: Order, filled: Decimal) -> None:
    """A fill uses its share of the balance the order holds; the last fill frees all that is left of it."""
    if not order.reserved_amount:
        return
    remaining = order.quantity - order.executed_quantity
    if filled >= remaining:
        freed = order.reserved_amount
    else:
        freed = (order.reserved_amount * filled / remaining).quantize(Decimal("1E-8"))
    Balance.objects.filter(account=order.account, asset=order.reserved_asset).update(
        reserved=F("reserved") - freed
    )
    order.reserved_amount -= freed


def _slippage_bps(order: Order, trade: TradeReport) -> float | None:
    if not order.arrival_mid:
        return None
    worse = trade.price - order.arrival_mid if order.side == Side.BUY else order.arrival_mid - trade.price
    return float(worse / order.arrival_mid * 10_000)


def _detail(report: OrderReport | None) -> dict[str, str]:
    if report is None:
        return {}
    return {"venue_status": report.status, "executed": str(report.executed_quantity)}
