"""Tx A: every rail, the reservation, the order row, its audit and its event, or a denial; in one transaction."""

from __future__ import annotations

import time

from django.db import transaction

from nautilus_site.common.crash_points import crash_point
from trading import metrics
from trading.domain.errors import InvariantViolation
from trading.domain.orders import OrderStatus
from trading.domain.risk import RailResult, needs_grant
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import from_units
from trading.models import Order
from trading.services.controls.overrides import override_use
from trading.services.market import Market
from trading.services.orders.judging import Judged, global_room, judge, premises_read
from trading.services.orders.storing import announce, order_hold, order_row, order_store
from trading.services.orders.submission import OrderDenied, Submission, Verdict
from trading.services.parents import child_take
from trading.services.reserved_books import Books, books_locked, books_seen
from trading.services.verdicts import check_members
from trading.services.wide_caps import wide_room


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


def order_known(order_id: int) -> Order:
    """An order that was asked for before, whatever has become of the market since.

    Raises
    ------
    OrderDenied : it was denied then.
    """
    order = Order.objects.get(pk=order_id)
    verdict = verdict_again(order)
    if verdict.denial is not None:
        raise OrderDenied(verdict.denial, verdict.checks, verdict.order)
    return order


def order_judge(submission: Submission) -> Verdict:
    """Every rail's verdict and nothing else: nothing is stored, reserved, counted or sent."""
    with transaction.atomic():
        books = books_of(submission, lock=False)
        judged = judge(submission, books, premises_read(submission))
        transaction.set_rollback(True)
    return Verdict(None, judged.denial, check_members(judged.results, judged.versions))


@transaction.atomic
def _reserve(submission: Submission) -> Verdict:
    books = books_of(submission, lock=True)
    premises = premises_read(submission)
    if premises.existing is not None:  # asked for before, or somebody with the same key was ahead at the lock
        return verdict_again(Order.objects.get(pk=premises.existing))
    market = premises.market
    started = time.perf_counter()
    judged = judge(submission, books, premises)
    metrics.RISK_CHECK.observe(time.perf_counter() - started)
    checks = check_members(judged.results, judged.versions)
    denial = judged.denial
    if denial is None:
        denial = global_room(submission, judged, books) or wide_room(judged.order, judged.context)
    if denial is None and judged.routed is not None:
        denial = child_take(submission.plan, judged.routed.order.quantity)
    if denial is not None or judged.routed is None:
        assert denial is not None
        return deny(submission, judged, market, denial)
    order = order_row(submission, judged, market, OrderStatus.RESERVED, checks)
    order_hold(order, judged.routed, judged, books)
    announce(submission, order)
    if needs_grant(judged.order, judged.context) and not override_use(
        order=order, notional=from_units(judged.order.notional)
    ):
        raise InvariantViolation("a grant the rails had just counted on was gone")
    crash_point("C1")
    return Verdict(order, None, checks)


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
    order_store(order, detail={"rail": denial.rail, "code": str(denial.code)})
    return Verdict(order, denial, checks)


def _switch_off(strategy: str, why: str) -> None:
    """A rule that fires again and again is switched off until a person has looked (P29)."""
    from trading.services.strategies import strategy_disable  # it plans, and planning submits

    transaction.on_commit(
        lambda: strategy_disable(name=strategy, actor="rail:repeated_execution", reason=why)
    )


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
    """The rows an order is judged by; unlocked for an answer that stores nothing."""
    read = books_locked if lock else books_seen
    return read(
        submission.account,
        submission.instrument,
        str(submission.intent.position_side),
        submission.strategy_name,
    )
