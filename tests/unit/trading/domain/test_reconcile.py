"""Differences between two books, and the proof of absence."""

from decimal import Decimal

import pytest

from trading.domain.orders import OrderStatus
from trading.domain.ports import BalanceReport, OrderReport, TradeReport
from trading.domain.reconcile import (
    Books,
    DivergenceKind,
    OrderView,
    TradeView,
    absence_proven,
    books_from_reports,
    differences,
)
from trading.domain.values import Side

S = OrderStatus
K = DivergenceKind


def order(status=S.NEW, executed="0", key="k1", symbol="BTCUSDT"):
    return OrderView(symbol, key, status, Decimal(executed))


def trade(trade_id=1, quantity="0.1", price="20000", symbol="BTCUSDT"):
    return TradeView(symbol, trade_id, Decimal(quantity), Decimal(price))


def kinds(ours, theirs, **more):
    return [d.kind for d in differences(ours, theirs, **more)]


def test_equal_books_have_no_differences():
    ours = Books([order()], [trade()], {"USDT": Decimal(10)})
    theirs = Books([order()], [trade()], {"USDT": Decimal("10.00"), "BTC": Decimal(0)})
    assert differences(ours, theirs) == ()


def test_a_trade_we_never_booked_is_a_missing_fill_with_the_venues_value():
    (divergence,) = differences(Books(), Books(trades=[trade()]))
    assert (divergence.kind, divergence.key) == (K.MISSING_FILL, "BTCUSDT:1")
    assert (divergence.ours, divergence.theirs) == (None, "0.1 @ 20000")


def test_the_same_trade_id_on_another_symbol_is_another_trade():
    assert kinds(Books(trades=[trade(symbol="ETHUSDT")]), Books(trades=[trade()])) == [K.MISSING_FILL]


def test_a_trade_booked_with_other_numbers_is_reported_with_both():
    (divergence,) = differences(Books(trades=[trade(quantity="0.2")]), Books(trades=[trade()]))
    assert divergence.kind is K.FILL_MISMATCH
    assert (divergence.ours, divergence.theirs) == ("0.2 @ 20000", "0.1 @ 20000")


@pytest.mark.parametrize("status", [S.SENDING, S.UNKNOWN, S.NEW, S.PARTIALLY_FILLED])
def test_an_order_the_venue_does_not_list_is_asked_for_never_assumed_filled(status):
    # defect W41
    (divergence,) = differences(Books([order(status)]), Books())
    assert divergence.kind is K.ORDER_NOT_AT_VENUE
    assert divergence.theirs is None
    assert "ask for it by its id" in divergence.detail


@pytest.mark.parametrize("status", [S.RESERVED, S.FILLED, S.CANCELED, S.ABSENT, S.DENIED, S.RELEASED])
def test_an_order_that_need_not_be_listed_is_no_difference(status):
    assert kinds(Books([order(status)]), Books()) == []


def test_orders_are_matched_by_their_id_never_by_symbol_and_side():
    # defect W41: another order of the same symbol was taken for the missing one
    found = kinds(Books([order(key="k1")]), Books([order(key="k2")]))
    assert found == [K.UNKNOWN_ORDER_AT_VENUE, K.ORDER_NOT_AT_VENUE]


@pytest.mark.parametrize(
    ("ours", "theirs", "differ"),
    [
        (order(S.NEW), order(S.PARTIALLY_FILLED, "0.1"), True),
        (order(S.SENDING), order(S.NEW), True),
        (order(S.UNKNOWN), order(S.NEW), True),
        (order(S.PARTIALLY_FILLED, "0.1"), order(S.PARTIALLY_FILLED, "0.2"), True),
        (order(S.PARTIALLY_FILLED, "0.1"), order(S.PARTIALLY_FILLED, "0.1"), False),
        (order(S.CANCELED), order(S.NEW), True),
        (order(S.ABSENT), order(S.NEW), True),
        (order(S.PARTIALLY_FILLED, "0.2"), order(S.PARTIALLY_FILLED, "0.1"), True),
        (order(S.RESERVED), order(S.NEW), True),
    ],
)
def test_a_status_that_differs_is_reported_with_both_sides(ours, theirs, differ):
    found = differences(Books([ours]), Books([theirs]))
    assert [d.kind for d in found] == ([K.STATUS_BEHIND] if differ else [])
    assert all(d.ours and d.theirs for d in found)


def test_balances_are_compared_per_asset_within_the_tolerance():
    ours = Books(balances={"USDT": Decimal(100), "BTC": Decimal(1)})
    theirs = Books(balances={"USDT": Decimal("100.01"), "BTC": Decimal(1), "BNB": Decimal("0.5")})
    found = differences(ours, theirs, tolerance=Decimal("0.01"))
    assert [(d.kind, d.key, d.ours, d.theirs) for d in found] == [(K.BALANCE_MISMATCH, "BNB", "0", "0.5")]
    assert [d.key for d in differences(ours, theirs)] == ["BNB", "USDT"]


def test_balances_that_were_not_asked_for_are_not_compared():
    assert kinds(Books(balances={"USDT": Decimal(100)}), Books(balances=None)) == []


def test_a_venue_that_shows_zero_balances_is_a_difference_not_a_fact():
    found = differences(Books(balances={"USDT": Decimal(100)}), Books(balances={}))
    assert [(d.kind, d.ours, d.theirs) for d in found] == [(K.BALANCE_MISMATCH, "100", "0")]


def test_fills_are_reported_before_the_orders_they_explain():
    ours = Books([order(S.NEW)])
    theirs = Books([order(S.PARTIALLY_FILLED, "0.1")], [trade()])
    assert kinds(ours, theirs) == [K.MISSING_FILL, K.STATUS_BEHIND]


def test_reports_of_the_venue_become_books():
    report = OrderReport(
        "BTCUSDT",
        "k1",
        7,
        Side.BUY,
        "LIMIT",
        "GTC",
        Decimal(1),
        Decimal(2),
        Decimal("0.5"),
        Decimal("0.5"),
        "PARTIALLY_FILLED",
        0,
    )
    told = TradeReport(
        "BTCUSDT",
        1,
        7,
        Side.BUY,
        Decimal(20_000),
        Decimal("0.1"),
        Decimal(2_000),
        Decimal(2),
        "USDT",
        False,
        0,
        None,
    )
    books = books_from_reports([report], [told], [BalanceReport("USDT", Decimal(1), Decimal(2))])
    assert list(books.orders) == [order(S.PARTIALLY_FILLED, "0.5")]
    assert list(books.trades) == [trade()]
    assert books.balances == {"USDT": Decimal(3)}


# Sent at 0 with a window of 2 s: dead at 2 s, processed at the latest at 12 s, visible at the latest at 17 s.
SENT, WINDOW = 1_000_000, 2_000
SAFE = SENT + 17_000


def proven(server=SAFE + 3_000, not_found=(SAFE + 1, SAFE + 2_001), in_open=False, unexplained=False):
    return absence_proven(SENT, WINDOW, server, not_found, in_open, unexplained)


def test_absence_is_proven_by_two_lookups_after_the_last_moment_it_could_appear():
    assert proven()


def test_the_proof_is_possible_within_25_seconds():
    assert proven(server=SENT + 19_001)


@pytest.mark.parametrize(
    "weaker",
    [
        {"not_found": (SAFE + 1,)},
        {"not_found": ()},
        {"not_found": (SAFE + 1, SAFE + 2_000)},  # 1.999 s apart
        {"not_found": (SAFE, SAFE + 2_500)},  # the first a moment too early
        {"not_found": (SENT + 1_000, SAFE + 2_500)},
        {"server": SAFE},
        {"server": SAFE + 2_000},  # a lookup from the future proves nothing
        {"in_open": True},
        {"unexplained": True},
    ],
)
def test_anything_less_proves_nothing(weaker):
    assert not proven(**weaker)
