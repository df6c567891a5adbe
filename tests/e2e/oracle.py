"""Our books against the exchange's own journal: every difference is told, none is tolerated."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.e2e.platform import Platform, eventually

NEVER_SENT = {"DENIED", "RELEASED", "ABSENT", "RESERVED"}


def differences(platform: Platform) -> list[str]:
    """Orders, fills and balances of both sides; empty when they are equal to the last digit."""
    theirs = platform.venue_ledger()
    orders = platform.everything("/api/v1/orders?limit=500")
    fills = platform.everything("/api/v1/fills?limit=500")
    found: list[str] = []
    venue_ids = [o["client_order_id"] for o in theirs["orders"]]
    found += [
        f"order {cid} reached the exchange twice" for cid in {c for c in venue_ids if venue_ids.count(c) > 1}
    ]
    ours = {o["client_order_id"]: o for o in orders if o["status"] not in NEVER_SENT | {"REJECTED"}}
    found += [f"order {cid} is at the exchange only" for cid in set(venue_ids) - set(ours)]
    found += [f"order {cid} is ours only" for cid in set(ours) - set(venue_ids)]
    for theirs_order in theirs["orders"]:
        order = ours.get(theirs_order["client_order_id"])
        if order is None:
            continue
        if Decimal(order["executed_quantity"]) != Decimal(theirs_order["executed_qty"]):
            found.append(
                f"order {order['client_order_id']}: executed {order['executed_quantity']} "
                f"and {theirs_order['executed_qty']}"
            )
        if order["status"] != theirs_order["status"]:
            found.append(f"order {order['client_order_id']}: {order['status']} and {theirs_order['status']}")
    found += _fill_differences(fills, theirs["fills"])
    balances = {
        b["asset"]: Decimal(b["free"]) + Decimal(b["locked"]) for b in platform.everything("/api/v1/balances")
    }
    account = theirs["balances"].get("paper-spot", {"spot": {}})["spot"]
    for asset in sorted(set(balances) | set(account)):
        there = account.get(asset, {"free": "0", "locked": "0"})
        total = Decimal(there["free"]) + Decimal(there["locked"])
        if balances.get(asset, Decimal(0)) != total:
            found.append(f"{asset}: {balances.get(asset)} and {total}")
    return found


def _fill_differences(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[str]:
    mine = {(f["symbol"], f["venue_trade_id"]): f for f in ours}
    venue = {(f["symbol"], f["trade_id"]): f for f in theirs}
    found = [
        f"fill {key} was booked twice"
        for key in mine
        if len([1 for f in ours if (f["symbol"], f["venue_trade_id"]) == key]) > 1
    ]
    found += [f"fill {key} is missing" for key in set(venue) - set(mine)]
    found += [f"fill {key} is invented" for key in set(mine) - set(venue)]
    for key in set(mine) & set(venue):
        a, b = mine[key], venue[key]
        same = (
            Decimal(a["quantity"]) == Decimal(b["qty"])
            and Decimal(a["price"]) == Decimal(b["price"])
            and Decimal(a["fee"]) == Decimal(b["commission"])
        )
        if not same:
            found.append(f"fill {key}: {a} and {b}")
    return found


def agree(platform: Platform, *, within_s: float = 30.0) -> None:
    """Wait until both sides are equal; while orders are on their way they need not be."""
    last: list[str] = []

    def equal() -> bool:
        nonlocal last
        last = differences(platform)
        return not last

    try:
        eventually(equal, within_s=within_s, what="books equal to the exchange's", every_s=1.0)
    except AssertionError:
        raise AssertionError("the books differ from the exchange's:\n" + "\n".join(last[:20])) from None
