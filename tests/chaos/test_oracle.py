"""The oracle sees: one change of one digit on either side is a difference of the right check."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.chaos.checks.orders import Kill, kill_kept
from tests.chaos.exposure import caps_exceeded, peaks
from tests.chaos.oracle import final, running
from tests.chaos.witness import Books, Venue


def sides() -> tuple[Venue, Books]:
    """One account that bought 1 of 2 BTC at 100 for a commission of 0.001 BTC and canceled the rest."""
    venue = Venue(
        orders=[
            {
                "account_id": "a",
                "market": "spot",
                "symbol": "BTCUSDT",
                "order_id": 5,
                "client_order_id": "cid",
                "side": "BUY",
                "type": "LIMIT",
                "price": "100",
                "orig_qty": "2",
                "executed_qty": "1",
                "status": "CANCELED",
                "events": [{"seq": 1, "status": "NEW"}, {"seq": 3, "status": "CANCELED"}],
            }
        ],
        algo_orders=[],
        fills=[
            {
                "seq": 2,
                "account_id": "a",
                "market": "spot",
                "symbol": "BTCUSDT",
                "trade_id": 9,
                "order_id": 5,
                "side": "BUY",
                "price": "100",
                "qty": "1",
                "quote_qty": "100",
                "commission": "0.001",
                "commission_asset": "BTC",
                "maker": True,
            }
        ],
        balances={
            "a": {"spot": {"BTC": {"free": "0.999", "locked": "0"}, "USDT": {"free": "900", "locked": "0"}}},
            "stranger": {"spot": {"USDT": {"free": "1", "locked": "0"}}},
        },
        positions=[],
        income=[],
        seq=3,
    )
    order = {
        "id": 1,
        "uid": "u",
        "account": "a",
        "market": "spot",
        "symbol": "BTCUSDT",
        "strategy": None,
        "client_order_id": "cid",
        "origin": "manual",
        "timestamp_ms": 1,
        "status": "CANCELED",
        "side": "BUY",
        "position_side": "BOTH",
        "quantity": Decimal(2),
        "executed_quantity": Decimal(1),
        "open_quantity": Decimal(0),
        "reserved_notional": Decimal(0),
        "reserved_amount": Decimal(0),
        "reserved_asset": "USDT",
    }
    steps = ("RESERVED", "SENDING", "NEW", "PARTIALLY_FILLED", "CANCELED")
    entries = [
        ("opening", "USDT", "1000"),
        ("fill", "USDT", "-100"),
        ("fill", "BTC", "1"),
        ("fee", "BTC", "-0.001"),
    ]
    books = Books(
        orders=[order],
        events=[{"id": n, "order_id": 1, "status": status} for n, status in enumerate(steps)],
        fills=[
            {
                "account": "a",
                "symbol": "BTCUSDT",
                "trade_id": 9,
                "side": "BUY",
                "maker": True,
                "price": Decimal(100),
                "quantity": Decimal(1),
                "quote_quantity": Decimal(100),
                "commission": Decimal("0.001"),
                "commission_asset": "BTC",
            }
        ],
        ledger=[
            {
                "account": "a",
                "transaction": name,
                "owner": owner,
                "sub": "",
                "asset": asset,
                "amount": sign * Decimal(amount),
            }
            for name, asset, amount in entries
            for owner, sign in (("account", 1), ("venue", -1))
        ],
        balances=[
            {"account": "a", "asset": "USDT", "amount": Decimal(900), "reserved": Decimal(0)},
            {"account": "a", "asset": "BTC", "amount": Decimal("0.999"), "reserved": Decimal(0)},
        ],
        positions=[
            {
                "account": "a",
                "symbol": "BTCUSDT",
                "market": "spot",
                "position_side": "BOTH",
                "quantity": Decimal("0.999"),
                "open_buy": Decimal(0),
                "open_sell": Decimal(0),
                "carried_notional": Decimal(100),
            }
        ],
        buckets=[
            {"scope": scope, "used": Decimal(100), "cap": Decimal(250), "overrun": Decimal(0)}
            for scope in ("symbol:a:BTCUSDT", "account:a", "global")
        ],
        limits=[],
        accounts=[{"name": "a", "venue": "v", "market": "spot", "opened_at": "yes"}],
        reserved_audits={"order:u": 1},
        pushed=[{"uid": "u", "status": "CANCELED", "executed": "1", "event_id": 4}],
        leases=[],
        sub_balances=[
            {"account": "a", "owner": "", "asset": "USDT", "amount": Decimal(900)},
            {"account": "a", "owner": "", "asset": "BTC", "amount": Decimal("0.999")},
        ],
        sub_positions=[
            {"account": "a", "symbol": "BTCUSDT", "position_side": "BOTH", "quantity": Decimal("0.999")}
        ],
    )
    return venue, books


def test_two_equal_sides_have_no_difference() -> None:
    venue, books = sides()
    assert final(venue, books).lines() == []
    assert running(venue, books, books).lines() == []
    assert list(caps_exceeded(venue, [books])) == []


Change = Callable[[Venue, Books], Any]
CHANGES: list[tuple[str, str, Change]] = [
    ("an order sent twice", "O1", lambda v, b: v.orders.append(v.orders[0])),
    (
        "an order we know nothing of",
        "O1",
        lambda v, b: v.orders.append({**v.orders[0], "client_order_id": "x"}),
    ),
    ("an order that never arrived", "O1", lambda v, b: v.orders.clear()),
    ("an order proven absent that is there", "O1", lambda v, b: b.orders[0].update(status="ABSENT")),
    ("an order never authorised", "O1", lambda v, b: b.orders[0].update(timestamp_ms=None)),
    ("another end", "O1", lambda v, b: v.orders[0].update(status="EXPIRED")),
    ("another quantity", "O1", lambda v, b: v.orders[0].update(executed_qty="1.00000001")),
    ("a fill not booked", "O2", lambda v, b: b.fills.clear()),
    ("a fill invented", "O2", lambda v, b: v.fills.clear()),
    ("a fill booked twice", "O2", lambda v, b: b.fills.append(b.fills[0])),
    ("another price", "O2", lambda v, b: v.fills[0].update(price="100.01")),
    ("another commission", "O2", lambda v, b: v.fills[0].update(commission="0.00100001")),
    ("another commission asset", "O2", lambda v, b: v.fills[0].update(commission_asset="BNB")),
    (
        "a balance off by a digit",
        "O3",
        lambda v, b: v.balances["a"]["spot"]["USDT"].update(free="899.99999999"),
    ),
    (
        "an asset we do not have",
        "O3",
        lambda v, b: v.balances["a"]["spot"].update(ETH={"free": "1", "locked": "0"}),
    ),
    ("a position off", "O3", lambda v, b: b.positions[0].update(quantity=Decimal(1))),
    ("an owner's part off", "O3", lambda v, b: b.sub_balances[0].update(amount=Decimal("900.1"))),
    ("an owner's position off", "O3", lambda v, b: b.sub_positions[0].update(quantity=Decimal(1))),
    ("a bucket above its cap", "O4", lambda v, b: b.buckets[1].update(cap=Decimal(99))),
    ("a bucket that drifted", "O4", lambda v, b: b.buckets[2].update(used=Decimal(101))),
    ("a hold of an ended order", "O4", lambda v, b: b.orders[0].update(reserved_notional=Decimal(1))),
    ("a transaction that does not balance", "O6", lambda v, b: b.ledger.pop()),
    ("a balance that is not its entries", "O6", lambda v, b: b.balances[0].update(amount=Decimal(901))),
    ("a balance held for nobody", "O6", lambda v, b: b.balances[0].update(reserved=Decimal(1))),
    ("an open quantity of nobody", "O6", lambda v, b: b.positions[0].update(open_buy=Decimal(1))),
    ("a step left out", "O7", lambda v, b: b.events.pop(1)),
    ("authorised twice", "O7", lambda v, b: b.events.insert(2, b.events[1])),
    (
        "a way out of an end",
        "O7",
        lambda v, b: b.events.extend([{"id": 9, "order_id": 1, "status": "FILLED"}]),
    ),
    ("a reservation without an audit entry", "O7", lambda v, b: b.reserved_audits.clear()),
    ("an order still in doubt", "O8", lambda v, b: b.orders[0].update(status="UNKNOWN")),
    ("a screen that was told something else", "O9", lambda v, b: b.pushed[0].update(executed="0")),
    ("an event not delivered", "O9", lambda v, b: b.pushed[0].update(event_id=None)),
]


@pytest.mark.parametrize(("what", "check", "change"), CHANGES, ids=[what for what, _, _ in CHANGES])
def test_a_difference_is_found(what: str, check: str, change: Change) -> None:
    venue, books = copy.deepcopy(sides())
    change(venue, books)
    found = final(venue, books)
    assert found.by_check[check], f"{what}: {found.lines()}"


def test_exposure_is_replayed_from_the_journal_to_the_last_digit() -> None:
    venue, books = sides()
    # 2 working at 100, then 1 of them held for 100 and 1 working, then 1 held less its commission in coin.
    assert peaks(venue) == {"symbol:a:BTCUSDT": 200, "account:a": 200, "global": 200}
    assert peaks(venue, after_seq=2)["global"] == Decimal("99.9")
    books.buckets[0]["cap"] = Decimal("199.99999999")
    assert list(caps_exceeded(venue, [books])) == [
        "symbol:a:BTCUSDT: exposure 200 above the cap of 199.99999999"
    ]


def test_an_order_authorised_after_a_kill_is_found_and_one_before_it_is_not() -> None:
    _, books = sides()
    assert list(kill_kept(Kill(reserved=frozenset({1}), last_order=5), books)) != []
    assert list(kill_kept(Kill(reserved=frozenset(), last_order=0), books)) != []
    assert list(kill_kept(Kill(reserved=frozenset(), last_order=1), books)) == []
