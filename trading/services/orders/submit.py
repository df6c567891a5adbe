"""Tx A: every rail, the reservation, the order row, its audit and its event, or a denial; in one transaction."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from nautilus_site.common.errors import Unprocessable
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import enqueue_on_commit
from trading import metrics
from trading.domain.errors import InvariantViolation
from trading.domain.orders import OrderIntent, OrderStatus
from trading.domain.prevention import prevention_mode
from trading.domain.refusals import Refused
from trading.domain.reservation import exposure_increase
from trading.domain.risk import (
    OrderCheck,
    RailResult,
    RiskContext,
    check_order,
    first_denial,
    needs_grant,
    order_reserve,
)
from trading.domain.risk.answers import AMOUNT
from trading.domain.risk.reasons import DenyReason
from trading.domain.router import Routed, route
from trading.domain.values import Instrument as DomainInstrument
from trading.domain.values import Market as VenueMarket
from trading.domain.values import OrderService, PositionSide, Side, decimal_text, from_units, to_units
from trading.models import Account, Balance, Decision, ExposureBucket, Order, Plan, Position, Strategy
from trading.services.controls.limits import limits_in_force
from trading.services.controls.overrides import override_use
from trading.services.escrow import escrow_ensure
from trading.services.execution.holds import Changes, balance_hold, order_only_reduces
from trading.services.exposure import (
    balances_locked,
    bucket_scopes,
    buckets_locked,
    buckets_reserve,
    position_locked,
)
from trading.services.order_events import order_event
from trading.services.parents import child_take
from trading.services.risk_context import Asked, Books, Market, check_members, market_of, risk_context
from trading.services.scopes import scopes_of
from universe.models import Instrument


@dataclass(frozen=True, slots=True)
class Submission:
    """Everything that names one order before it exists."""

    account: Account
    instrument: Instrument
    intent: OrderIntent
    origin: str
    intent_key: str
    client_order_id: str
    decided_at: datetime
    strategy: Strategy | None = None
    plan: Plan | None = None
    decision: Decision | None = None
    requested_by: User | None = None
    adjustments: tuple[str, ...] = ()

    @property
    def model_version(self) -> str:
        """The model behind the decision, empty where there is none."""
        return self.decision.model if self.decision else ""


class OrderDenied(Unprocessable):
    """A rail said no. The order row that records it is kept, with every rail's verdict."""

    def __init__(self, denial: RailResult, checks: list[dict[str, Any]], order: Order | None) -> None:
        extra: dict[str, Any] = {
            "rail": denial.rail,
            "measured": denial.measured,
            "limit": denial.limit,
            "checks": checks,
        }
        if denial.rail == "kill_level":
            extra["level"] = denial.measured
        if denial.retry_after_s is not None:
            extra["retry_after"] = round(denial.retry_after_s, 3)
        if order is not None:
            extra["order_id"] = str(order.uid)
        super().__init__(str(denial.code), denial.detail, extra=extra)
        self.order = order


@dataclass(frozen=True, slots=True)
class Verdict:
    """What Tx A came to: an order that is reserved, or the denial and, when it could be written down, its row."""

    order: Order | None
    denial: RailResult | None
    checks: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Judged:
    """An order as the rails saw it, and what they said."""

    routed: Routed | None
    order: OrderCheck
    context: RiskContext
    denial: RailResult | None
    results: tuple[RailResult, ...]
    versions: dict[str, int]


def order_submit(submission: Submission) -> Order:
    """Reserve an order. Asking again with the same intent key returns the first one.

    Raises
    ------
    OrderDenied : a rail denied it, now or the first time.
    """
    verdict = _reserve(submission)
    if verdict.denial is not None:
        raise OrderDenied(verdict.denial, verdict.checks, verdict.order)
    assert verdict.order is not None
    return verdict.order


def order_known(intent_key: str) -> Order | None:
    """The order a key already stands for, whatever has become of the market since; None when there is none.

    Raises
    ------
    OrderDenied : it was denied then.
    """
    existing = asked_before(intent_key)
    if existing is None:
        return None
    verdict = verdict_again(existing)
    if verdict.denial is not None:
        raise OrderDenied(verdict.denial, verdict.checks, verdict.order)
    return existing


def order_judge(submission: Submission) -> Verdict:
    """Every rail's verdict and nothing else: nothing is stored, reserved, counted or sent."""
    with transaction.atomic():
        books = books_of(submission, lock=False)
        market = market_of(submission.instrument)
        judged = judge(submission, books, market)
        transaction.set_rollback(True)
    return Verdict(None, judged.denial, check_members(judged.results, judged.versions))


@transaction.atomic
def _reserve(submission: Submission) -> Verdict:
    books = books_of(submission, lock=True)
    existing = asked_before(submission.intent_key)
    if existing is not None:  # asked for before, or somebody with the same key was ahead of us at the lock
        return verdict_again(existing)
    market = market_of(submission.instrument)
    started = time.perf_counter()
    judged = judge(submission, books, market)
    metrics.RISK_CHECK.observe(time.perf_counter() - started)
    checks = check_members(judged.results, judged.versions)
    denial = judged.denial
    if denial is None:
        denial = _global_room(submission, judged)
    if denial is None and judged.routed is not None:
        denial = child_take(submission.plan, judged.routed.order.quantity)
    if denial is not None or judged.routed is None:
        assert denial is not None
        return deny(submission, judged, market, denial)
    order = order_row(submission, judged, market, OrderStatus.RESERVED, checks)
    _hold(order, judged.routed, judged, books)
    announce(submission, order)
    if needs_grant(judged.order, judged.context) and not override_use(
        order=order, notional=from_units(judged.order.notional)
    ):
        raise InvariantViolation("a grant the rails had just counted on was gone")
    crash_point("C1")
    return Verdict(order, None, checks)


def _global_room(submission: Submission, judged: Judged) -> RailResult | None:
    """Have room for the order in the account's part of the global cap, or say that none is left anywhere.

    The rail has read the sum of all parts without a lock; here it is made good under one.
    """
    reserve = order_reserve(judged.order, judged.context)
    if not reserve or escrow_ensure(submission.account.name, from_units(reserve)):
        return None
    cap = judged.context.limits.exposure_global
    detail = "no room is left under the cap over everything"
    after = judged.context.used_global + reserve
    unit = submission.instrument.quote_asset
    return RailResult(
        "exposure_global", False, DenyReason.EXPOSURE_GLOBAL, after, cap, unit, detail, None, AMOUNT
    )


def deny(submission: Submission, judged: Judged, market: Market, denial: RailResult) -> Verdict:
    """Write down an order that a rail stopped, with every verdict."""
    checks = check_members(judged.results, judged.versions)
    if denial not in judged.results:
        # Found out under a lock, after the rails: it stands in the place of that rail's first verdict.
        checks = [c for c in checks if c["rail"] != denial.rail or not c["passed"]]
        checks += check_members((denial,), judged.versions)
    metrics.ORDERS_DENIED.labels(rail=denial.rail).inc()
    if denial.code is DenyReason.BREAKER_OPEN:
        metrics.BREAKER_REJECTIONS.inc()
    if denial.code is DenyReason.DUPLICATE_DECISION:
        return Verdict(None, denial, checks)  # its key is taken: the first order is the record
    if denial.code is DenyReason.REPEATED_EXECUTION and submission.strategy is not None:
        _switch_off(submission.strategy.name, denial.detail)
    order = order_row(submission, judged, market, OrderStatus.DENIED, checks)
    order.code, order.message, order.ended_at = str(denial.code), denial.detail, order.created_at
    order.save(force_insert=True)
    order_event(order, source="rails", detail={"rail": denial.rail, "code": str(denial.code)})
    return Verdict(order, denial, checks)


def announce(submission: Submission, order: Order) -> None:
    """Store a reserved order, with its event, its audit entry and the hint to send it."""
    order.save(force_insert=True)
    order_event(order, source="rails")
    audit_record(
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
    enqueue_on_commit(
        "trading.tasks.orders_drain", queue="trading", account_id=order.account_id, shard=order.shard
    )


def _switch_off(strategy: str, why: str) -> None:
    """A rule that fires again and again is switched off until a person has looked (P29)."""
    from trading.services.strategies import strategy_disable  # it plans, and planning submits

    transaction.on_commit(
        lambda: strategy_disable(name=strategy, actor="rail:repeated_execution", reason=why)
    )


def asked_before(intent_key: str) -> Order | None:
    # Almost always nobody has; the wide row is read only when it is there.
    same = Order.objects.filter(intent_key=intent_key)
    return same.get() if same.exists() else None


def verdict_again(order: Order) -> Verdict:
    if order.status != OrderStatus.DENIED:
        return Verdict(order, None, order.checks)
    failed = next((c for c in order.checks if not c["passed"]), None)
    denial = RailResult(
        rail=failed["rail"] if failed else "router",
        passed=False,
        code=DenyReason(order.code),
        raw_measured=failed["measured"] if failed else None,
        raw_limit=failed["limit"] if failed else None,
        unit=failed["unit"] if failed else "",
        detail=order.message,
    )
    return Verdict(order, denial, order.checks)


def books_of(submission: Submission, *, lock: bool) -> Books:
    account, instrument = submission.account, submission.instrument
    name = submission.strategy.name if submission.strategy else None
    scopes = bucket_scopes(account.name, instrument.symbol, name)
    assets = {instrument.base_asset, instrument.quote_asset}
    if not lock:
        side = submission.intent.position_side
        held = Position.objects.filter(account=account, instrument=instrument, position_side=side)
        position = held.first() or Position(
            account=account,
            instrument=instrument,
            position_side=side,
            quantity=Decimal(0),
            open_buy=Decimal(0),
            open_sell=Decimal(0),
        )
        return Books(
            position,
            {row.asset: row for row in Balance.objects.filter(account=account, asset__in=assets)},
            {row.scope: row for row in ExposureBucket.objects.filter(scope__in=scopes)},
        )
    return Books(
        position_locked(account, instrument, submission.intent.position_side),
        balances_locked(account, assets),
        buckets_locked(scopes),
    )


def judge(submission: Submission, books: Books, market: Market) -> Judged:
    domain = submission.instrument.to_domain()
    name = submission.strategy.name if submission.strategy else None
    limits = limits_in_force(
        scopes_of(
            venue=submission.account.venue.name,
            account=submission.account.name,
            symbol=submission.instrument.symbol,
            strategy=name,
            model=submission.model_version,
        )
    )
    intent = submission.intent
    # Open orders are counted by the rail of the venue's filters, under the lock.
    routed = route(
        intent,
        domain,
        best_bid=market.bid,
        best_ask=market.ask,
        collar_bps=int(limits.values["market_slippage"]),
        client_order_id=submission.client_order_id,
    )
    sent = routed if isinstance(routed, Routed) else None
    ticks, steps = (sent.ticks, sent.steps) if sent else (intent.price, intent.quantity)
    by_hand = submission.origin == Order.Origin.MANUAL
    context = risk_context(
        account=submission.account,
        instrument=submission.instrument,
        domain=domain,
        strategy=submission.strategy,
        model=submission.model_version,
        asked=Asked(
            side=intent.side,
            type=intent.type,
            quantity=domain.quantity(steps),
            price=domain.price(ticks) if ticks is not None else None,
            client_order_id=submission.client_order_id,
            plan=submission.plan,
            decision=submission.decision,
            by_hand=by_hand,
        ),
        books=books,
        market=market,
        limits=limits,
    )
    order = OrderCheck(
        account=submission.account.name,
        strategy=name,
        symbol=submission.instrument.symbol,
        side=intent.side,
        type=intent.type,
        ticks=ticks,
        steps=steps,
        notional=_notional(routed, submission, domain, market),
        reduce_only=intent.reduce_only,
        decision_age_ns=int((now() - submission.decided_at).total_seconds() * 1e9),
        sent_type=sent.order.type if sent else None,
        sent_tif=sent.order.time_in_force if sent else None,
        is_manual=by_hand,
        is_flattener=submission.origin == Order.Origin.FLATTEN,
        is_protective=submission.origin == Order.Origin.PROTECTION,
        stop=submission.intent.stop,
    )
    results = check_order(order, context)
    denial = first_denial(results)
    if isinstance(routed, Refused):
        refusal = RailResult(
            routed.rule, False, routed.code, routed.measured, routed.limit, "", routed.detail
        )
        # The rails' own order decides which "no" is told first; the router's comes where the venue filters stand.
        if denial is None:
            denial, results = refusal, (*results, refusal)
        return Judged(None, order, context, denial, results, limits.versions)
    return Judged(routed, order, context, denial, results, limits.versions)


def _notional(
    routed: Routed | Refused, submission: Submission, domain: DomainInstrument, market: Market
) -> int:
    if isinstance(routed, Routed):
        return routed.notional_units
    ticks = submission.intent.price
    if ticks is None:
        price = market.ask if submission.intent.side is Side.BUY else market.bid
        ticks = domain.ticks(price) if price else 0
    return domain.notional_units(ticks, submission.intent.quantity)


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
        expires_at=submission.decided_at
        + timedelta(microseconds=judged.context.limits.decision_ttl_ns // 1_000),
    )


def _hold(order: Order, routed: Routed, judged: Judged, books: Books) -> None:
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
    changes = Changes(order.account)
    changes.open(order, order.quantity)
    changes.open_write(position)
    changes.reserved[order.reserved_asset] += order.reserved_amount
    changes.write()
    if not buckets_reserve(list(books.buckets), Decimal(order.reserved_notional)):
        raise InvariantViolation("a cap the rails had just approved was full: the rows were not locked")
