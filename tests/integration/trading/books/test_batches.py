"""Many messages settled at once say what they say one after the other."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from trading.domain.errors import InvariantViolation
from trading.models import Fill, Order, OrderEvent
from trading.services.books.verify import books_verify
from trading.services.execution.settle import Settlement, order_settle, settle_all

if TYPE_CHECKING:
    from tests.factories.futures import Futures


def test_a_batch_of_orders_books_what_one_after_the_other_would(futures: Futures) -> None:
    buy = futures.order("BUY", "0.3", "60000", strategy="a")
    rest = futures.order("BUY", "0.2", "59000", strategy="b")
    sell = futures.order("SELL", "0.5", "61000")
    first, second = futures.trade(buy, "0.1", "60000"), futures.trade(buy, "0.2", "60000", fee="1")
    third = futures.trade(sell, "0.4", "61000", realized="300")
    settle_all(
        [
            Settlement(buy.pk, futures.report(buy, "NEW"), (), "stream"),
            Settlement(sell.pk, futures.report(sell, "CANCELED", "0.4"), (third,), "stream"),
            Settlement(buy.pk, futures.report(buy, "PARTIALLY_FILLED", "0.1"), (first,), "stream"),
            Settlement(rest.pk, futures.report(rest, "NEW"), (), "query"),
            Settlement(buy.pk, futures.report(buy, "FILLED", "0.3"), (first, second), "stream"),
        ]
    )
    rows = {order.pk: order for order in Order.objects.all()}
    assert [rows[pk].status for pk in (buy.pk, rest.pk, sell.pk)] == ["FILLED", "NEW", "CANCELED"]
    assert (rows[sell.pk].executed_quantity, rows[sell.pk].open_quantity) == (Decimal("0.4"), 0)
    assert rows[rest.pk].venue_order_id == 9_000 + rest.pk
    position = futures.position()
    assert (position.quantity, position.open_buy, position.open_sell) == (Decimal("-0.1"), Decimal("0.2"), 0)
    assert futures.wallet() == 10_299
    assert Fill.objects.count() == 3
    steps = OrderEvent.objects.filter(order=buy).values_list("status", flat=True)
    assert list(steps) == ["NEW", "PARTIALLY_FILLED", "FILLED"]
    assert books_verify(futures.account, full=True).differences == []


def test_one_message_that_cannot_be_settled_stops_no_other(futures: Futures) -> None:
    good, bad = futures.order("BUY", "0.1", "60000"), futures.order("BUY", "0.1", "60000")
    with pytest.raises(InvariantViolation):
        settle_all(
            [
                Settlement(bad.pk, futures.report(bad, "FILLED", "0.2"), (), "sweep"),
                Settlement(good.pk, None, (futures.trade(good, "0.1", "60000"),), "sweep"),
            ]
        )
    assert Order.objects.get(pk=good.pk).status == "FILLED"
    assert Order.objects.get(pk=bad.pk).status == "SENDING"
    assert futures.position().quantity == Decimal("0.1")


def test_the_statements_of_a_batch_do_not_grow_with_its_fills(futures: Futures) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    counts = []
    for pieces in (2, 20):
        order = futures.order("BUY", "0.02", "60000")
        size = str(Decimal("0.02") / pieces)
        trades = [futures.trade(order, size, "60000") for _ in range(pieces)]
        with CaptureQueriesContext(connection) as asked:
            order_settle(
                order_id=order.pk,
                report=futures.report(order, "FILLED", "0.02"),
                trades=trades,
                source="query",
            )
        counts.append(len(asked))
    assert counts[1] <= counts[0]
