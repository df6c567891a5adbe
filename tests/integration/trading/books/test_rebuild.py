"""Books rebuilt from their facts, snapshots, and quantities that change owner inside the account."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from trading.domain.ports import PositionReport
from trading.domain.values import PositionSide
from trading.models import Balance, BookSnapshot, Position, SubBalance, SubPosition
from trading.services.books.snapshots import snapshot_newest, snapshot_take, snapshots_due
from trading.services.books.transfers import positions_cross, positions_open
from trading.services.books.verify import books_verify
from trading.services.income import income_book

if TYPE_CHECKING:
    from tests.factories.futures import Futures


def trade_a_while(futures: Futures) -> None:
    """Longs, shorts, a flip, two owners, people, BNB and a late trade."""
    futures.account.balances.get_or_create(asset="BNB")
    plan = futures.plan({"a": "0.6", "b": "0.4"})
    order = futures.order("BUY", "0.00037", "60000", plan=plan)
    futures.settle(
        order, "PARTIALLY_FILLED", futures.trade(order, "0.00011", "60000", fee="0.01", trade_id=101)
    )
    late = futures.trade(order, "0.00013", "60010", fee="0.02", trade_id=103)
    futures.fill("SELL", "0.0007", "60500", strategy="b", fee="0.00001", fee_asset="BNB", trade_id=105)
    futures.settle(order, "FILLED", futures.trade(order, "0.00013", "60020", trade_id=104), late)
    futures.fill("SELL", "0.001", "61000", trade_id=106)
    futures.fill("BUY", "0.002", "60000", origin="protection", reduce_only=True, trade_id=107)


@pytest.mark.parametrize("market", ["usdm", "spot"])
def test_what_is_rebuilt_equals_what_is_kept(db: None, market: str) -> None:
    from tests.factories.futures import futures_account

    futures = futures_account(market=market)
    trade_a_while(futures)
    for full in (True, False):
        found = books_verify(futures.account, full=full)
        assert found.differences == []
        assert found.positions == 1
    snapshot_take(futures.account)
    futures.fill("BUY", "0.003", "60000", strategy="a", trade_id=201)
    found = books_verify(futures.account)
    assert (found.differences, found.snapshot) == ([], BookSnapshot.objects.get().pk)
    assert found.entries < 12  # the tail only


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: Position.objects.update(quantity=5),
        lambda: SubPosition.objects.filter(owner="a").update(cost=1),
        lambda: Balance.objects.filter(asset="USDT").update(amount=1),
        lambda: SubBalance.objects.filter(owner="b", asset="USDT").update(amount=1),
    ],
)
def test_a_figure_that_is_not_what_the_facts_give_is_found(
    futures: Futures, spoil: Callable[[], object]
) -> None:
    trade_a_while(futures)
    snapshot_take(futures.account)
    spoil()
    assert books_verify(futures.account).differences
    assert books_verify(futures.account, full=True).differences
    with pytest.raises(CommandError):
        call_command("books", "verify", "--account", futures.account.name, stdout=StringIO())


def test_a_corrupt_snapshot_is_passed_over(futures: Futures) -> None:
    trade_a_while(futures)
    good = snapshot_take(futures.account)
    bad = snapshot_take(futures.account)
    content = bad.content
    content["balances"]["USDT"] = "123"
    BookSnapshot.objects.filter(pk=bad.pk).update(content=content)
    newest = snapshot_newest(futures.account)
    assert newest is not None
    assert newest.pk == good.pk
    found = books_verify(futures.account)
    assert (found.differences, found.snapshot, found.corrupt_snapshots) == ([], good.pk, 1)


def test_a_snapshot_is_due_once_something_was_booked(futures: Futures) -> None:
    assert snapshots_due() == [futures.account]
    snapshot_take(futures.account)
    assert snapshots_due() == []


def test_a_late_trade_is_folded_from_a_snapshot_that_is_old_enough(futures: Futures) -> None:
    futures.fill("BUY", "1", "60000", strategy="a", trade_id=1)
    snapshot_take(futures.account)
    futures.fill("SELL", "1", "61000", strategy="a", realized="0", trade_id=9)
    snapshot_take(futures.account)  # knows trade 9, and so not what came before it
    futures.fill("BUY", "1", "62000", strategy="b", realized="0", trade_id=5)
    parts = {part.owner: (part.quantity, part.cost, part.realized) for part in SubPosition.objects.all()}
    assert parts == {"a": (0, 0, 1000), "b": (1, 62_000, 0)}
    assert books_verify(futures.account).differences == []
    assert books_verify(futures.account, full=True).differences == []


def test_opposite_owners_cross_inside_the_account(futures: Futures) -> None:
    """a sells 0.1 it bought at 60000 to b at 60500: 50 are a's, and the account has traded nothing."""
    futures.fill("BUY", "0.3", "60000", strategy="a")
    position = futures.position()
    positions_cross(
        position,
        futures.instrument,
        taker="b",
        giver="a",
        quantity=10_000_000,
        price=Decimal(60500),
        plan=None,
    )
    parts = {part.owner: (part.quantity, part.cost, part.realized) for part in SubPosition.objects.all()}
    assert parts == {"a": (Decimal("0.2"), 12_000, 50), "b": (Decimal("0.1"), 6050, 0)}
    assert (futures.position().quantity, futures.position().realized) == (Decimal("0.3"), 0)
    wallets = {r.owner: r.amount for r in SubBalance.objects.filter(asset="USDT")}
    assert (wallets["a"], wallets["@netting"], futures.wallet()) == (50, -50, 10_000)
    futures.fill("SELL", "0.3", "61000", strategy="b", realized="300")
    assert books_verify(futures.account, full=True).differences == []


def test_positions_held_at_the_opening_are_taken_over_at_the_venues_entry(futures: Futures) -> None:
    told = PositionReport(
        "BTCUSDT",
        PositionSide.BOTH,
        Decimal("-0.5"),
        Decimal(60000),
        Decimal(60000),
        Decimal(0),
        None,
        Decimal(0),
        False,
    )
    positions_open(futures.account, [told])
    assert (futures.position().quantity, futures.position().cost) == (Decimal("-0.5"), 30_000)
    futures.fill("BUY", "0.5", "59000", realized="500", reduce_only=True)
    assert (futures.position().quantity, futures.wallet()) == (0, 10_500)
    assert books_verify(futures.account, full=True).differences == []


def test_transfers_of_positions_are_never_changed(futures: Futures) -> None:
    futures.fill("BUY", "0.3", "60000", strategy="a")
    positions_cross(
        futures.position(),
        futures.instrument,
        taker="b",
        giver="a",
        quantity=10**6,
        price=Decimal(1),
        plan=None,
    )
    with pytest.raises(Exception, match="append-only"), connection.cursor() as cursor:
        cursor.execute("UPDATE trading_positiontransfer SET quantity = 2")


def test_funding_is_part_of_what_is_verified(futures: Futures) -> None:
    from trading.domain.ports import IncomeReport

    futures.fill("BUY", "0.3", "60000", strategy="a")
    income_book(futures.account, [IncomeReport("1", "FUNDING_FEE", "USDT", Decimal(-1), "BTCUSDT", None, 1)])
    assert books_verify(futures.account, full=True).differences == []
    Position.objects.update(funding=2)
    assert books_verify(futures.account, full=True).differences
