"""Tx A under concurrency: no cap is ever passed, nothing is promised twice."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from nautilus_site.common.models import AuditEntry
from tests.factories.threads import of_type, run_together
from trading.models import ExposureBucket, Order, RiskLimit
from trading.services.orders import OrderDenied, order_submit
from trading.services.orders.submit import order_judge

if TYPE_CHECKING:
    from tests.factories.trading import Desk

WORKERS = 16
SIZE = Decimal(600)  # 0.01 BTC at a limit of 60000, or 0.2 ETH at 3000


class Watcher:
    """Reads the buckets on a connection of its own as fast as it can, and keeps the highest of each."""

    def __init__(self) -> None:
        self.highest: dict[str, Decimal] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.002):
            for scope, used in ExposureBucket.objects.values_list("scope", "used"):
                self.highest[scope] = max(self.highest.get(scope, Decimal(0)), used)
        connection.close()


@pytest.mark.parametrize(
    ("limit", "bucket", "symbols", "with_strategy"),
    [
        ("exposure_symbol", "symbol:desk:BTCUSDT", ["BTCUSDT"], False),
        ("exposure_strategy", "strategy:trend", ["BTCUSDT", "ETHUSDT"], True),
        ("exposure_account", "account:desk", ["BTCUSDT", "ETHUSDT"], False),
        ("exposure_global", "global:desk", ["BTCUSDT", "ETHUSDT"], False),
    ],
)
def test_sixteen_orders_at_once_never_pass_a_cap_and_fill_it_exactly(
    shared_desk: Desk, limit: str, bucket: str, symbols: list[str], with_strategy: bool
) -> None:
    cap = Decimal(4000)
    RiskLimit.objects.filter(name=limit).update(value=cap)
    price = {"BTCUSDT": ("0.01", "60000"), "ETHUSDT": ("0.2", "3000")}
    submissions = []
    for number in range(WORKERS):
        symbol = symbols[number % len(symbols)]
        quantity, limit_price = price[symbol]
        submissions.append(
            shared_desk.submission(
                "BUY",
                quantity,
                symbol=symbol,
                price=limit_price,
                strategy=shared_desk.strategies["trend"] if with_strategy else None,
            )
        )
    with Watcher() as watcher:
        results = run_together(*[lambda s=s: order_submit(s) for s in submissions])
    approved, denied = of_type(results, Order), of_type(results, OrderDenied)
    assert len(approved) == cap // SIZE == 6
    assert len(denied) == WORKERS - 6
    assert {d.code for d in denied} == {limit.upper()}
    assert ExposureBucket.objects.get(scope=bucket).used == 6 * SIZE
    assert watcher.highest[bucket] <= cap
    assert sum(o.reserved_notional for o in Order.objects.filter(status="RESERVED")) == 6 * SIZE


def test_the_same_intent_asked_for_at_once_is_one_order(shared_desk: Desk) -> None:
    submissions = [shared_desk.submission(key="same") for _ in range(8)]
    results = run_together(*[lambda s=s: order_submit(s) for s in submissions])
    assert len({order.pk for order in results}) == 1
    assert Order.objects.count() == 1
    assert shared_desk.position().open_buy == Decimal("0.01")
    assert ExposureBucket.objects.get(scope="global:desk").used == SIZE


def test_one_balance_is_not_promised_to_two_orders_on_two_symbols(shared_desk: Desk) -> None:
    shared_desk.account.balances.filter(asset="USDT").update(amount=1000)
    results = run_together(
        lambda: shared_desk.submit("BUY", "0.01"),
        lambda: shared_desk.submit("BUY", "0.2", symbol="ETHUSDT", price="3000"),
    )
    denied = of_type(results, OrderDenied)
    assert len(of_type(results, Order)) == 1
    assert [d.code for d in denied] == ["INSUFFICIENT_BALANCE"]
    assert shared_desk.balance("USDT").reserved == SIZE


def test_the_rate_of_orders_is_shared_by_every_connection(shared_desk: Desk) -> None:
    shared_desk.limit(orders_per_minute=3)
    submissions = [
        shared_desk.submission("BUY", "0.01")
        if n % 2
        else shared_desk.submission("BUY", "0.2", symbol="ETHUSDT", price="3000")
        for n in range(8)
    ]
    results = run_together(*[lambda s=s: order_submit(s) for s in submissions])
    assert len(of_type(results, Order)) == 3
    denied = of_type(results, OrderDenied)
    assert {d.code for d in denied} == {"RATE_LIMITED"}
    assert all(0 < d.extra["retry_after"] <= 60 for d in denied)


def test_a_pending_order_counts_against_the_cap_before_anything_is_filled(desk: Desk) -> None:
    desk.limit(exposure_symbol=1000)
    desk.submit("BUY", "0.01")
    with pytest.raises(OrderDenied) as denied:
        desk.submit("BUY", "0.01")
    assert denied.value.code == "EXPOSURE_SYMBOL"
    assert (denied.value.extra["measured"], denied.value.extra["limit"]) == ("1200", "1000")


def test_a_sell_that_reduces_passes_a_cap_that_is_full(desk: Desk) -> None:
    desk.limit(exposure_symbol=1000)
    bought = desk.send(desk.submit("BUY", "0.016", price="60010"))
    assert bought.status == "FILLED"
    with pytest.raises(OrderDenied):
        desk.submit("BUY", "0.001", price="60000")
    sold = desk.submit("SELL", "0.01", price="59990")
    assert sold.status == "RESERVED"
    assert sold.reserved_notional == 0


def test_a_denied_order_is_kept_with_every_rails_verdict_and_holds_nothing(desk: Desk) -> None:
    desk.limit(max_notional=100)
    with pytest.raises(OrderDenied) as denied:
        desk.submit("BUY", "0.01")
    row = Order.objects.get()
    assert (row.status, row.code) == ("DENIED", "NOTIONAL_ABOVE_MAX")
    assert row.ended_at is not None
    assert [c["rail"] for c in row.checks if not c["passed"]] == ["max_notional"]
    assert {"kill_level", "price_fresh", "exposure_global", "order_rate"} <= {c["rail"] for c in row.checks}
    assert denied.value.order == row
    assert desk.held_amounts() == {}
    assert not AuditEntry.objects.filter(action="order.reserved").exists()


def test_a_denied_order_asked_for_again_is_denied_again_and_not_judged_anew(desk: Desk) -> None:
    desk.limit(max_notional=100)
    for _ in range(2):
        with pytest.raises(OrderDenied):
            desk.submit(key="once")
        desk.limit(max_notional=10_000)
    assert Order.objects.count() == 1


def test_a_dry_run_stores_reserves_and_counts_nothing(desk: Desk) -> None:
    desk.limit(orders_per_minute=1)
    before = (ExposureBucket.objects.count(), AuditEntry.objects.count())
    verdict = order_judge(desk.submission())
    assert verdict.denial is None
    assert Order.objects.count() == 0
    assert (ExposureBucket.objects.count(), AuditEntry.objects.count()) == before
    assert desk.held_amounts() == {}
    assert desk.submit().status == "RESERVED", "the dry run counted as the one order of this minute"


def test_an_order_by_quantity_is_valued_before_it_is_judged(desk: Desk) -> None:
    desk.limit(max_notional=599)
    with pytest.raises(OrderDenied) as denied:
        desk.submit("BUY", "0.01")
    assert (denied.value.code, denied.value.extra["measured"]) == ("NOTIONAL_ABOVE_MAX", "600")


def test_a_market_order_without_a_price_is_denied_and_never_leaves(desk: Desk) -> None:
    desk.quote("BTCUSDT", "59990", None)
    with pytest.raises(OrderDenied) as denied:
        desk.submit("BUY", "0.01", type="MARKET")
    assert denied.value.code == "PRICE_UNAVAILABLE"
    assert Order.objects.get().status == "DENIED"


def test_a_market_order_leaves_as_an_ioc_limit_at_the_touch_plus_the_collar(desk: Desk) -> None:
    collar = Decimal(RiskLimit.objects.get(name="market_slippage").value)
    order = desk.submit("BUY", "0.01", type="MARKET")
    assert (order.type, order.venue_type, order.time_in_force) == ("MARKET", "LIMIT", "IOC")
    exact = Decimal("60010") * (1 + collar / 10_000)
    assert order.price == exact.quantize(Decimal("0.01"), "ROUND_DOWN")
    assert order.reserved_amount == order.price * Decimal("0.01")
