"""Tx C as a property: whatever order the messages come in, and however often, the books end the same."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories.reports import Told, everything_told, report_of, trade_of
from trading.models import Fill, LedgerEntry, Order
from trading.services.execution.settle import order_settle

if TYPE_CHECKING:
    from tests.factories.trading import Desk

UNIT = Decimal("1E-8")

# What happened to an order of 0.01: the pieces it traded in with their fees, and how it ended.
STORIES: dict[str, tuple[str, list[tuple[str, str, str, str]], str]] = {
    "a buy filled in three pieces": (
        "BUY",
        [("0.003", "60000", "0.18", "USDT"), ("0.003", "60001.01", "0.18", "USDT"), ("0.004", "60010", "0.24", "USDT")],
        "FILLED",
    ),
    "a buy that pays in what it buys": (
        "BUY",
        [("0.00333", "60000", "0.00000333", "BTC"), ("0.00667", "60002", "0.00000667", "BTC")],
        "FILLED",
    ),
    "a buy whose rest expired": ("BUY", [("0.00333", "60000.01", "0.2", "BNB")], "EXPIRED"),
    "a buy that a cancel raced": ("BUY", [("0.007", "60000", "0.4", "USDT")], "CANCELED"),
    "a buy that expired unfilled": ("BUY", [], "EXPIRED"),
    "a sell filled in two pieces": (
        "SELL",
        [("0.00333", "59995.01", "0.2", "USDT"), ("0.00667", "59990", "0.4", "USDT")],
        "FILLED",
    ),
    "a sell that a cancel raced": ("SELL", [("0.00333", "59995.01", "0.2", "USDT")], "CANCELED"),
}  # fmt: skip


def books(desk: Desk, order: Order) -> dict[str, Any]:
    """Everything that may depend on the messages."""
    row, position = desk.fresh(order), desk.position()
    return {
        "order": (row.status, row.executed_quantity, row.executed_quote, row.ended_at is not None),
        "hold": (row.reserved_notional, row.reserved_amount),
        "position": (position.quantity, position.open_buy, position.open_sell, position.commission),
        "balances": {b.asset: (b.amount, b.reserved) for b in desk.account.balances.all()},
        "ledger": sorted(
            (e.transaction, e.owner, e.asset, e.amount, e.kind) for e in LedgerEntry.objects.all()
        ),
        "fills": sorted(Fill.objects.filter(order=row).values_list("trade_id", "quantity", "price")),
    }


def rounded(desk: Desk) -> dict[str, Decimal]:
    """What is shared out pro rata: the order of the pieces may move one unit of 1e-8 between them."""
    position = desk.position()
    return {
        "cost": position.cost,
        "realized": position.realized,
        "carried": position.carried_notional,
        **{name: amount for name, amount in desk.held_amounts().items() if name.startswith("bucket")},
    }


def tell(order: Order, told: Told) -> None:
    order_settle(order_id=order.pk, report=told.report, trades=told.trades, source=told.source)


@pytest.mark.parametrize("story", list(STORIES))
def test_the_books_do_not_depend_on_order_or_repetition_of_messages(desk: Desk, story: str) -> None:
    side, pieces, end = STORIES[story]
    desk.account.balances.create(asset="BNB", amount=5)
    if side == "SELL":
        bought = desk.submit("BUY", "0.02", price="60010")
        assert desk.authorise(bought)
        before = trade_of(desk.fresh(bought), 1, "0.02", "60007.77", venue_order_id=1)
        report = report_of(desk.fresh(bought), "FILLED", [before], venue_order_id=1)
        order_settle(order_id=bought.pk, report=report, trades=[before], source="response")
    order = desk.submit(side, "0.01", price="60010" if side == "BUY" else "59990")
    assert desk.authorise(order) is not None
    order = desk.fresh(order)
    trades = [
        trade_of(order, 100 + number, quantity, price, fee=fee, fee_asset=asset)
        for number, (quantity, price, fee, asset) in enumerate(pieces)
    ]
    messages = everything_told(order, trades, end)
    with transaction.atomic():
        for told in messages:
            tell(order, told)
        expected, about = books(desk, order), rounded(desk)
        transaction.set_rollback(True)
    assert expected["order"][0] == end
    assert expected["order"][1] == sum((Decimal(p[0]) for p in pieces), Decimal(0))
    assert expected["position"][1:3] == (0, 0)
    assert expected["hold"] == (0, 0)

    @settings(
        max_examples=8,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        st.permutations(list(range(len(messages)))),
        st.lists(st.integers(0, len(messages) - 1), max_size=4),
    )
    def any_order(order_of_arrival: list[int], repeats: list[int]) -> None:
        with transaction.atomic():
            for index in [*repeats, *order_of_arrival, *repeats]:
                tell(order, messages[index])
            assert books(desk, order) == expected
            found = rounded(desk)
            assert found.keys() == about.keys()
            for name, amount in found.items():
                assert abs(amount - about[name]) <= len(pieces) * UNIT, name
            carried = desk.position().carried_notional
            buckets = {amount for name, amount in found.items() if name.startswith("bucket")}
            assert buckets <= {carried}, "a bucket is not what open orders hold and positions carry"
            transaction.set_rollback(True)

    any_order()
