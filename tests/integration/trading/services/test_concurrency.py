"""Everything at once: no two services ever wait for each other, and the books come out even."""

from __future__ import annotations

import random
import time
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import OperationalError

from nautilus_site.common.errors import ApplicationError
from tests.factories.reports import report_of
from tests.factories.threads import of_type, run_together
from trading.domain.orders import OPEN
from trading.domain.values import Level
from trading.models import ExposureBucket, LedgerEntry, Order, Position
from trading.services.controls import kill_raise
from trading.services.execution.authorise import order_authorise
from trading.services.execution.drain import orders_drain
from trading.services.execution.settle import order_settle
from trading.services.orders import OrderDenied, order_cancel_request, order_submit
from trading.services.planning import plan_refresh
from trading.services.reconcile import account_reconcile

if TYPE_CHECKING:
    from tests.factories.trading import Desk

LASTS_S = 4.0


def test_every_service_at_once_never_deadlocks_and_leaves_the_books_even(
    shared_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = shared_desk
    desk.limit(orders_per_minute=100_000, max_open_orders=1000, exposure_global=30_000)
    monkeypatch.setattr("trading.services.execution.drain.execution_venue", lambda account: desk.venue)
    until = time.monotonic() + LASTS_S
    symbols = {"BTCUSDT": ("0.001", "60010", "59000", "59990"), "ETHUSDT": ("0.02", "3001", "2950", "2999")}

    def submitter(seed: int) -> int:
        rng, sent = random.Random(seed), 0
        while time.monotonic() < until:
            symbol = rng.choice(list(symbols))
            quantity, take, rest, sell = symbols[symbol]
            side, price = rng.choice([("BUY", take), ("BUY", rest), ("SELL", sell)])
            strategy = rng.choice([None, desk.strategies["trend"], desk.strategies["swing"]])
            try:
                desk.submit(side, quantity, symbol=symbol, price=price, strategy=strategy)
                sent += 1
            except OrderDenied:
                continue
        return sent

    def drainer() -> int:
        sent = 0
        while time.monotonic() < until:
            sent += orders_drain(account_id=desk.account.pk, shard=0)
        return sent

    def streamer() -> int:
        """What the user stream would tell, again and again, in no particular order."""
        told = 0
        while time.monotonic() < until:
            with desk.venue.lock:
                reports = list(desk.venue.orders)
            for report in random.sample(reports, min(5, len(reports))):
                order = Order.objects.filter(client_order_id=report.client_order_id).first()
                if order is not None and order.status != "RESERVED":
                    order_settle(order_id=order.pk, report=report, trades=report.fills, source="stream")
                    told += 1
        return told

    def canceller() -> None:
        from trading.services.execution.cancel import order_cancel

        while time.monotonic() < until:
            for order in Order.objects.filter(status__in=["NEW", "RESERVED"]).order_by("?")[:3]:
                try:
                    order_cancel_request(order=order, actor="test", reason="drill")
                except ApplicationError:
                    continue
                order_cancel(order_id=order.pk, venue=desk.venue)

    def killer() -> None:
        while time.monotonic() < until:
            kill_raise(scope="symbol:BNBUSDT", level=Level.CANCEL, reason="drill", actor="test")
            time.sleep(0.05)

    def planner() -> None:
        rng = random.Random(5)
        while time.monotonic() < until:
            symbol = rng.choice(list(symbols))
            desk.decide(rng.choice([0.0, 0.3, 0.6]), symbol=symbol)
            plan_refresh(account_id=desk.account.pk, instrument_id=desk.instruments[symbol].pk)
            time.sleep(0.02)

    def reconciler() -> None:
        while time.monotonic() < until:
            account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger="periodic")
            time.sleep(0.1)

    results = run_together(
        lambda: submitter(1), lambda: submitter(2), drainer, streamer, streamer, canceller, killer, planner, reconciler
    )  # fmt: skip
    assert not of_type(results, OperationalError), "two transactions waited for each other"
    assert not of_type(results, Exception)
    assert results[0] + results[1] > 0
    assert results[2] > 0
    sums_of_the_books(desk)
    for order in Order.objects.filter(status="RESERVED"):
        order_cancel_request(order=order, actor="test", reason="over")
    run = account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger="periodic")
    assert run is not None
    assert run.outcome in ("clean", "repaired"), run.report
    sums_of_the_books(desk)


def sums_of_the_books(desk: Desk) -> None:
    """Every held amount is the sum over the orders and positions that hold it; no cent is held by nobody."""
    live = list(Order.objects.filter(status__in=[s.value for s in OPEN]).select_related("instrument"))
    for position in Position.objects.select_related("instrument"):
        own = [o for o in live if o.instrument_id == position.instrument_id]
        for side, held in (("BUY", position.open_buy), ("SELL", position.open_sell)):
            left = sum((o.quantity - o.executed_quantity for o in own if o.side == side), Decimal(0))
            assert held == left, f"open {side} of {position.instrument.symbol}"
        bucket = ExposureBucket.objects.get(scope=f"symbol:desk:{position.instrument.symbol}")
        assert bucket.used == position.carried_notional + sum((o.reserved_notional for o in own), Decimal(0))
    total = sum((p.carried_notional for p in Position.objects.all()), Decimal(0))
    total += sum((o.reserved_notional for o in live), Decimal(0))
    assert ExposureBucket.objects.get(scope="global:desk").used == total
    for balance in desk.account.balances.all():
        promised = sum((o.reserved_amount for o in live if o.reserved_asset == balance.asset), Decimal(0))
        assert balance.reserved == promised, balance.asset
        entries = LedgerEntry.objects.filter(owner="account", asset=balance.asset)
        assert balance.amount == sum((e.amount for e in entries), Decimal(0)), balance.asset


def test_a_plan_that_cancels_and_a_fill_of_the_same_order_do_not_wait_for_each_other(
    shared_desk: Desk,
) -> None:
    """Settling locks the order and then its position; a plan must not hold the position and ask for the order."""
    desk = shared_desk
    desk.limit(orders_per_minute=1000, price_max_age=600)
    held = desk.lease()
    for _ in range(8):
        desk.decide(0.0)
        order = order_submit(desk.submission("BUY", "0.001", price="59000", origin=Order.Origin.STRATEGY))
        authorised = order_authorise(order_id=order.pk, held=held, venue_time_ms=desk.venue.now_ms)
        assert authorised is not None
        report = desk.venue.place(
            authorised.order, timestamp_ms=authorised.timestamp_ms, recv_window_ms=authorised.recv_window_ms
        )
        order_settle(order_id=order.pk, report=report, trades=[], source="response")
        ended = report_of(desk.fresh(order), "CANCELED", venue_order_id=report.venue_order_id)
        results = run_together(
            lambda: plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk),
            lambda pk=order.pk, told=ended: order_settle(
                order_id=pk, report=told, trades=[], source="stream"
            ),
            lambda: plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk),
        )
        assert not of_type(results, Exception)


def test_the_hot_path_asks_the_database_a_bounded_number_of_times(
    desk: Desk, django_assert_max_num_queries: object
) -> None:
    desk.send(desk.submit("BUY", "0.001", price="60010"))
    submission = desk.submission("BUY", "0.001", price="60010")
    with django_assert_max_num_queries(SUBMIT_QUERIES) as asked:  # type: ignore[operator]
        order = order_submit(submission)
    authorised = desk.authorise(order)
    assert authorised is not None
    report = desk.venue.place(
        authorised.order, timestamp_ms=authorised.timestamp_ms, recv_window_ms=authorised.recv_window_ms
    )
    print(f"order_submit: {len(asked)} queries")  # noqa: T201  the figure is the point
    with django_assert_max_num_queries(SETTLE_QUERIES) as asked:  # type: ignore[operator]
        order_settle(order_id=order.pk, report=report, trades=report.fills, source="response")
    print(f"order_settle: {len(asked)} queries")  # noqa: T201


SUBMIT_QUERIES = 6
SETTLE_QUERIES = 13
