"""Balances and positions, of accounts and of their owners: O3."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from tests.chaos.exposure import ZERO
from tests.chaos.witness import Books, Venue, number


def balances_equal(venue: Venue, books: Books) -> Iterator[str]:
    """Every asset of every account to the last digit."""
    market = {a["name"]: a["market"] for a in books.accounts if a["opened_at"] is not None}
    ours = {(b["account"], b["asset"]): number(b["amount"]) for b in books.balances if b["account"] in market}
    theirs: dict[tuple[str, str], Decimal] = {}
    for account, of_market in market.items():
        for asset, held in venue.balances.get(account, {}).get(of_market, {}).items():
            theirs[account, asset] = sum((number(amount) for amount in held.values()), ZERO)
    for key in sorted(set(ours) | set(theirs)):
        if ours.get(key, ZERO) != theirs.get(key, ZERO):
            yield f"balance {key}: {ours.get(key, ZERO)} here, {theirs.get(key, ZERO)} there"


def positions_equal(venue: Venue, books: Books) -> Iterator[str]:
    """Futures positions as the exchange holds them; spot positions as the booked fills add up."""
    theirs = {
        (p["account_id"], p["symbol"], p.get("position_side", "BOTH")): number(p["quantity"])
        for p in venue.positions
    }
    spot: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for fill in books.fills:
        sign = 1 if fill["side"] == "BUY" else -1
        spot[fill["account"], fill["symbol"]] += sign * number(fill["quantity"])
        if fill["commission_asset"] and fill["symbol"].startswith(fill["commission_asset"]):
            spot[fill["account"], fill["symbol"]] -= number(fill["commission"])
    seen = set()
    for row in books.positions:
        key = (row["account"], row["symbol"], row["position_side"])
        if row["market"] == "usdm":
            seen.add(key)
            if number(row["quantity"]) != theirs.get(key, ZERO):
                yield f"position {key}: {row['quantity']} here, {theirs.get(key, ZERO)} there"
        elif number(row["quantity"]) != spot[row["account"], row["symbol"]]:
            yield f"position {key}: {row['quantity']}, its fills sum to {spot[row['account'], row['symbol']]}"
    names = {a["name"] for a in books.accounts if a["market"] == "usdm"}
    for key, quantity in theirs.items():
        if key[0] in names and key not in seen and quantity:
            yield f"position {key} of {quantity} is at the exchange only"


def owners_sum(books: Books) -> Iterator[str]:
    """The parts of an account's owners sum to the account, in every asset and position."""
    held: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    entries: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    positions: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for row in books.sub_balances:
        held[row["account"], row["asset"]] += number(row["amount"])
    for entry in books.ledger:
        if entry["owner"] == "account":
            entries[entry["account"], entry["sub"], entry["asset"]] += number(entry["amount"])
    for row in books.sub_positions:
        positions[row["account"], row["symbol"], row["position_side"]] += number(row["quantity"])
    for row in books.sub_balances:
        total = entries[row["account"], row["owner"], row["asset"]]
        if number(row["amount"]) != total:
            yield f"{row['owner'] or 'people'} {row['asset']}: {row['amount']}, its entries sum to {total}"
    for row in books.balances:
        total = held[row["account"], row["asset"]]
        if number(row["amount"]) != total:
            yield f"balance {row['account']} {row['asset']}: {row['amount']}, its owners have {total}"
    for row in books.positions:
        total = positions[row["account"], row["symbol"], row["position_side"]]
        if number(row["quantity"]) != total:
            yield f"position {row['account']} {row['symbol']}: {row['quantity']}, its owners have {total}"
