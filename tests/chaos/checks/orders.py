"""Orders on both sides, and the life of each: O1, O5, O7, O8, O9."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.witness import Books, Venue, number

# What certainly left no order at the exchange.
NOT_AT_VENUE = {"RESERVED", "DENIED", "RELEASED", "REJECTED", "ABSENT"}
# The life of an order, written down a second time. (PARTIALLY_FILLED repeats with every fill.)
STEPS = {
    None: {"RESERVED", "DENIED", "NEW"},
    "RESERVED": {"SENDING", "RELEASED"},
    "SENDING": {"UNKNOWN", "NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED", "REJECTED", "ABSENT"}
    | {"RELEASED"},
    "UNKNOWN": {"NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED", "REJECTED", "ABSENT"},
    "NEW": {"PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED"},
    "PARTIALLY_FILLED": {"PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED"},
}


@dataclass(frozen=True)
class Kill:
    """A level raised during the run, for O5: what had not left yet when its commit was visible."""

    reserved: frozenset[int]
    last_order: int
    until_order: int | None = None


def orders_once(venue: Venue) -> Iterator[str]:
    """No client order id reached the exchange twice (I2)."""
    counts = Counter((o["account_id"], o["market"], o["client_order_id"]) for o in venue.orders)
    counts.update((o["account_id"], "usdm-algo", o["client_algo_id"]) for o in venue.algo_orders)
    for (account, market, client_id), times in counts.items():
        if times > 1:
            yield f"{account} {market} order {client_id} reached the exchange {times} times"


def orders_known(venue: Venue, books: Books) -> Iterator[str]:
    """Every order at the exchange was authorised by a committed row first, and that row does not deny it."""
    ours = {(o["account"], o["client_order_id"]): o for o in books.orders}
    for order in venue.orders:
        row = ours.get((order["account_id"], order["client_order_id"]))
        if row is None:
            yield f"order {order['client_order_id']} is at the exchange, we have no row of it"
        elif row["origin"] != "external" and row["timestamp_ms"] is None:
            yield f"order {order['client_order_id']} is at the exchange and was never authorised"
        elif row["status"] in NOT_AT_VENUE:
            yield f"order {order['client_order_id']} is {row['status']} and at the exchange ({order['status']})"


def orders_equal(venue: Venue, books: Books) -> Iterator[str]:
    """The same orders on both sides, at the same end, executed alike."""
    theirs = {(o["account_id"], o["client_order_id"]): o for o in venue.orders}
    waiting = {(o["account_id"], o["client_algo_id"]): o for o in venue.algo_orders}
    for row in books.orders:
        if row["status"] in NOT_AT_VENUE:
            continue
        order = theirs.get((row["account"], row["client_order_id"]))
        if order is None:
            if (row["account"], row["client_order_id"]) not in waiting:
                yield f"order {row['client_order_id']} is {row['status']} and not at the exchange"
            continue
        if row["status"] != order["status"]:
            yield f"order {row['client_order_id']}: {row['status']} here, {order['status']} there"
        if number(row["executed_quantity"]) != number(order["executed_qty"]):
            yield (
                f"order {row['client_order_id']}: executed {row['executed_quantity']} here, "
                f"{order['executed_qty']} there"
            )


def kill_kept(kill: Kill, books: Books) -> Iterator[str]:
    """Nothing that had not left when a kill's commit was visible has left since (I4)."""
    for order in books.orders:
        late = order["id"] in kill.reserved or (
            order["id"] > kill.last_order and (kill.until_order is None or order["id"] <= kill.until_order)
        )
        if late and order["timestamp_ms"] is not None and order["origin"] not in ("external", "flatten"):
            yield f"order {order['client_order_id']} was authorised after the kill"


def steps_legal(books: Books) -> Iterator[str]:
    """One row per change of state, along the table, ending at the order's state; sent at most once (I2, I9)."""
    steps: defaultdict[int, list[str]] = defaultdict(list)
    for event in books.events:
        steps[event["order_id"]].append(event["status"])
    for order in books.orders:
        path = steps[order["id"]]
        if not path or path[-1] != order["status"]:
            yield f"order {order['client_order_id']} is {order['status']}, its steps are {path}"
        if path.count("SENDING") > 1:
            yield f"order {order['client_order_id']} was authorised {path.count('SENDING')} times"
        for before, after in zip([None, *path], path, strict=False):
            if after not in STEPS.get(before, set()):
                yield f"order {order['client_order_id']} went from {before} to {after}"
        audits = books.reserved_audits.get(f"order:{order['uid']}", 0)
        if audits != ("RESERVED" in path):
            yield f"order {order['client_order_id']} has {audits} audit entries of its reservation"


def unsettled(books: Books) -> Iterator[str]:
    """Orders on their way: none once the platform is quiet (I12)."""
    for order in books.orders:
        if order["status"] in ("RESERVED", "SENDING", "UNKNOWN"):
            yield f"order {order['client_order_id']} is still {order['status']}"


def pushed_equal(books: Books) -> Iterator[str]:
    """The last event of every order says what its row says, and has been numbered for the screens."""
    pushed = {row["uid"]: row for row in books.pushed}
    for order in books.orders:
        event = pushed.get(str(order["uid"]))
        if event is None:
            yield f"order {order['client_order_id']} was never told to the screens"
        elif event["event_id"] is None:
            yield f"the last event of order {order['client_order_id']} is not delivered"
        elif event["status"] != order["status"] or number(event["executed"]) != number(
            order["executed_quantity"]
        ):
            yield (
                f"order {order['client_order_id']}: the screens were told {event['status']} {event['executed']}, "
                f"the row says {order['status']} {order['executed_quantity']}"
            )
