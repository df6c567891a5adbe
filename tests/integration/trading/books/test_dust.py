"""Spot dust: what a strategy has left and the venue will not trade goes to people by double entry, at the middle."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext

from trading.models import LedgerEntry, Position, PositionTransfer, StrategyInstance, SubBalance, SubPosition
from trading.services.books.dust import dust_sweep
from trading.services.books.verify import books_verify

if TYPE_CHECKING:
    from tests.factories.futures import Futures


@pytest.fixture
def spot(db: None) -> Futures:
    from tests.factories.futures import futures_account

    futures = futures_account(market="spot")
    futures.account.balances.create(asset="BTC")
    futures.quote("69990", "70010")
    StrategyInstance.objects.create(
        strategy=futures.strategy("a"), account=futures.account, instrument=futures.instrument, target=0
    )
    return futures


def left_over(spot: Futures, sold: str) -> None:
    """Buy 0.001 at 60000, of which 0.1 % is taken in BTC: 0.000999 for 59.94; then sell what the steps allow."""
    spot.fill("BUY", "0.001", "60000", strategy="a", fee="0.000001", fee_asset="BTC")
    spot.fill("SELL", sold, "60000", strategy="a")


@pytest.mark.parametrize(
    ("sold", "quantity", "cost"), [("0.00099", "0.000009", "0.54"), ("0.00096", "0.000039", "2.34")]
)
def test_what_cannot_be_sold_becomes_peoples_and_the_strategy_is_flat(
    spot: Futures, sold: str, quantity: str, cost: str
) -> None:
    left_over(spot, sold)
    before = {b.asset: b.amount for b in spot.account.balances.all()}
    assert dust_sweep(spot.account) == 1
    worth = Decimal(quantity) * 70_000
    parts = {p.owner: p for p in SubPosition.objects.all()}
    assert (parts["a"].quantity, parts["a"].cost) == (0, 0)
    assert parts["a"].realized == worth - Decimal(cost)
    assert (parts[""].quantity, parts[""].cost) == (Decimal(quantity), worth)
    entries = LedgerEntry.objects.filter(kind="dust")
    assert {(e.owner, e.sub, e.asset, e.amount) for e in entries} == {
        ("account", "a", "BTC", -Decimal(quantity)),
        ("account", "", "BTC", Decimal(quantity)),
        ("account", "a", "USDT", worth),
        ("account", "", "USDT", -worth),
    }
    assert {
        r["asset"]: r["total"] for r in entries.values("asset").annotate(total=Sum("amount")).order_by()
    } == {
        "BTC": 0,
        "USDT": 0,
    }
    assert SubBalance.objects.get(owner="a", asset="BTC").amount == 0
    assert {b.asset: b.amount for b in spot.account.balances.all()} == before, "it stays in the account"
    for full in (True, False):
        assert books_verify(spot.account, full=full).differences == []
    assert dust_sweep(spot.account) == 0, "once"
    assert PositionTransfer.objects.get().kind == "dust"


def test_rows_are_locked_in_the_order_of_an_order_that_is_reserved(spot: Futures) -> None:
    """Position, balances, buckets; the other way round the two would wait for each other (decision 0005)."""
    left_over(spot, "0.00099")
    Position.objects.update(carried_notional=1, carried_by={"a": "1"})
    with CaptureQueriesContext(connection) as asked:
        assert dust_sweep(spot.account) == 1
    tables = ("trading_position", "trading_balance", "trading_exposurebucket")
    locking = [query["sql"] for query in asked if "FOR NO KEY UPDATE" in query["sql"]]
    locked = [
        table for sql in locking for table in tables if f"FROM {table} " in sql or f'FROM "{table}"' in sql
    ]
    assert sorted(set(locked), key=locked.index) == list(tables)
    assert locked == sorted(locked, key=tables.index)


def test_dust_is_left_alone_while_it_is_wanted_or_may_still_grow(spot: Futures) -> None:
    left_over(spot, "0.00099")
    wanted = StrategyInstance.objects.all()
    wanted.update(target=0.5)
    assert dust_sweep(spot.account) == 0
    wanted.update(target=None)
    assert dust_sweep(spot.account) == 0, "nothing was decided yet"
    wanted.update(target=0)
    spot.order("BUY", "0.001", "60000", strategy="a")
    assert dust_sweep(spot.account) == 0, "an order works on the symbol"
    assert not LedgerEntry.objects.filter(kind="dust").exists()


def test_what_the_venue_would_trade_is_no_dust(spot: Futures) -> None:
    left_over(spot, "0.0009")  # 0.000099 at 70000 is 6.93, the venue takes 5
    assert dust_sweep(spot.account) == 0
    spot.quote("49990", "50010")  # 4.95
    assert dust_sweep(spot.account) == 1


def test_a_trade_that_is_told_after_dust_was_given_up_is_folded_before_it(spot: Futures) -> None:
    spot.fill("BUY", "0.001", "60000", strategy="a", fee="0.000001", fee_asset="BTC", trade_id=2)
    spot.fill("SELL", "0.00099", "60000", strategy="a", trade_id=3)
    assert dust_sweep(spot.account) == 1
    spot.fill("BUY", "0.002", "59000", trade_id=1)  # people's
    assert SubPosition.objects.get(owner="").quantity == Decimal("0.002009")
    assert SubPosition.objects.get(owner="a").quantity == 0
    assert books_verify(spot.account, full=True).differences == []
