"""Caps, the ledger and what orders hold: O4, O6."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from tests.chaos.exposure import whole
from tests.chaos.witness import Books, number

ENDED = {"FILLED", "CANCELED", "REJECTED", "EXPIRED", "ABSENT", "RELEASED", "DENIED"}


def caps_kept(books: Books) -> Iterator[str]:
    """No bucket above its cap but for what real fills forced, and each equal to what its orders and positions hold."""
    for row in books.buckets:
        if number(row["used"]) > number(row["cap"]) + number(row["overrun"]):
            yield f"bucket {row['scope']}: {row['used']} used of {row['cap']}"
    yield from _buckets_recomputed(books)


def _buckets_recomputed(books: Books) -> Iterator[str]:
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in books.orders:
        if order["status"] in ENDED and number(order["reserved_notional"]):
            yield f"order {order['client_order_id']} is {order['status']} and holds {order['reserved_notional']}"
        held = number(order["reserved_notional"])
        sums["global"] += held
        sums[f"account:{order['account']}"] += held
        sums[f"symbol:{order['account']}:{order['symbol']}"] += held
    for row in books.positions:
        carried = number(row["carried_notional"])
        sums["global"] += carried
        sums[f"account:{row['account']}"] += carried
        sums[f"symbol:{row['account']}:{row['symbol']}"] += carried
    used: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in books.buckets:
        used[whole(row["scope"])] += number(row["used"])
    for scope, total in sums.items():
        if scope in used and used[scope] != total:
            yield f"bucket {scope}: {used[scope]} used, its orders and positions hold {total}"


def ledger_balanced(books: Books) -> Iterator[str]:
    """Each transaction sums to zero per asset, each balance is the sum of its entries (I8)."""
    transactions: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    balances: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for entry in books.ledger:
        transactions[entry["account"], entry["transaction"], entry["asset"]] += number(entry["amount"])
        if entry["owner"] == "account":
            balances[entry["account"], entry["asset"]] += number(entry["amount"])
    for key, total in transactions.items():
        if total:
            yield f"ledger transaction {key} sums to {total}"
    for row in books.balances:
        total = balances[row["account"], row["asset"]]
        if number(row["amount"]) != total:
            yield f"balance {row['account']} {row['asset']}: {row['amount']}, its entries sum to {total}"


def holds_released(books: Books) -> Iterator[str]:
    """What is held is held by open orders: balances, and the open quantities of positions."""
    reserved: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    opened: defaultdict[tuple[str, str, str, str], Decimal] = defaultdict(Decimal)
    for order in books.orders:
        if order["reserved_asset"]:
            reserved[order["account"], order["reserved_asset"]] += number(order["reserved_amount"])
        if order["status"] in ENDED and number(order["open_quantity"]):
            yield f"order {order['client_order_id']} is {order['status']} and keeps {order['open_quantity']} open"
        key = (order["account"], order["symbol"], order["position_side"], order["side"])
        opened[key] += number(order["open_quantity"])
    for row in books.balances:
        total = reserved[row["account"], row["asset"]]
        if number(row["reserved"]) != total:
            yield f"balance {row['account']} {row['asset']}: {row['reserved']} reserved, orders hold {total}"
    for row in books.positions:
        for side, name in (("BUY", "open_buy"), ("SELL", "open_sell")):
            total = opened[row["account"], row["symbol"], row["position_side"], side]
            if number(row[name]) != total:
                yield f"position {row['account']} {row['symbol']}: {name} {row[name]}, orders hold {total}"
