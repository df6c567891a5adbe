"""The oracle: every difference between what happened at the exchange and what the platform's books say.

    python -m tests.chaos.oracle --home HOME [--running] [--json]

Checks O1 to O9 (`docs/CHAOS.md`). No tolerance: a difference of the last digit is a difference. `--running` makes only
the checks that hold at every instant; without it the platform must be quiet.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from tests.chaos.exposure import caps_exceeded, whole
from tests.chaos.witness import Books, Database, Exchange, Row, Venue, number
from tests.e2e.platform import inherited

ROOT = Path(__file__).resolve().parents[2]
ZERO = Decimal(0)
ENDED = {"FILLED", "CANCELED", "REJECTED", "EXPIRED", "ABSENT", "RELEASED", "DENIED"}
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


@dataclass
class Findings:
    """Differences by check."""

    by_check: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, check: str, differences: Iterator[str] | list[str]) -> None:
        """Note the differences of one check."""
        self.by_check[check] += differences

    @property
    def total(self) -> int:
        return sum(len(found) for found in self.by_check.values())

    def lines(self, limit: int = 20) -> list[str]:
        """Text for people, some of each check."""
        return [
            f"{check}: {line}" for check, found in sorted(self.by_check.items()) for line in found[:limit]
        ]


def running(venue: Venue, before: Books, after: Books) -> Findings:
    """What holds at every instant. `before` was read ahead of the exchange's ledger, `after` behind it."""
    venue, findings = of_our_accounts(venue, after), Findings()
    findings.add("O1", orders_once(venue))
    findings.add("O1", orders_known(venue, after))
    findings.add("O2", fills_real(venue, before))
    findings.add("O4", caps_kept(after))
    findings.add("O6", ledger_balanced(after))
    findings.add("O3", owners_sum(after))
    findings.add("O7", steps_legal(after))
    return findings


def final(venue: Venue, books: Books) -> Findings:
    """Everything, once nothing moves any more."""
    venue, findings = of_our_accounts(venue, books), running(venue, books, books)
    findings.add("O1", orders_equal(venue, books))
    findings.add("O2", fills_equal(venue, books))
    findings.add("O3", balances_equal(venue, books))
    findings.add("O3", positions_equal(venue, books))
    findings.add("O6", holds_released(books))
    findings.add("O8", unsettled(books))
    findings.add("O9", pushed_equal(books))
    return findings


def of_our_accounts(venue: Venue, books: Books) -> Venue:
    """The exchange without the accounts of others that trade there."""
    names = {account["name"] for account in books.accounts}
    return replace(
        venue,
        orders=[o for o in venue.orders if o["account_id"] in names],
        algo_orders=[o for o in venue.algo_orders if o["account_id"] in names],
        fills=[f for f in venue.fills if f["account_id"] in names],
        positions=[p for p in venue.positions if p["account_id"] in names],
        income=[i for i in venue.income if i["account_id"] in names],
    )


# --- O1: orders ----------------------------------------------------------------------------------------------------


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


# --- O2: fills -----------------------------------------------------------------------------------------------------


def _ours(books: Books) -> dict[tuple[str, str, int], Row]:
    return {(f["account"], f["symbol"], int(f["trade_id"])): f for f in books.fills}


def _theirs(venue: Venue) -> dict[tuple[str, str, int], Row]:
    return {(f["account_id"], f["symbol"], int(f["trade_id"])): f for f in venue.fills}


def fills_real(venue: Venue, books: Books) -> Iterator[str]:
    """Every booked fill happened, exactly as booked, once."""
    theirs = _theirs(venue)
    if len(_ours(books)) != len(books.fills):
        yield f"{len(books.fills) - len(_ours(books))} fills are booked twice"
    for key, fill in _ours(books).items():
        real = theirs.get(key)
        if real is None:
            yield f"fill {key} is booked and never happened"
            continue
        for mine, name in (
            ("quantity", "qty"),
            ("price", "price"),
            ("quote_quantity", "quote_qty"),
            ("commission", "commission"),
        ):
            if number(fill[mine]) != number(real[name]):
                yield f"fill {key}: {mine} {fill[mine]} here, {real[name]} there"
        if fill["side"] != real["side"] or fill["maker"] != real["maker"]:
            yield f"fill {key}: {fill['side']}, maker {fill['maker']} here; {real['side']}, {real['maker']} there"
        if number(fill["commission"]) and fill["commission_asset"] != real["commission_asset"]:
            yield f"fill {key}: commission in {fill['commission_asset']} here, {real['commission_asset']} there"


def fills_equal(venue: Venue, books: Books) -> Iterator[str]:
    """Every fill that happened is booked."""
    ours = _ours(books)
    for key in _theirs(venue):
        if key not in ours:
            yield f"fill {key} is missing"


# --- O3: balances and positions ------------------------------------------------------------------------------------


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


# --- O4, O6: caps, ledger, holds -----------------------------------------------------------------------------------


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


# --- O5, O7, O8, O9 ------------------------------------------------------------------------------------------------


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


def audit_verified(home: Path) -> list[str]:
    """The audit chain, by the platform's own command as an operator runs it (I13)."""
    done = subprocess.run(
        [sys.executable, "manage.py", "audit", "verify", "--json"],
        cwd=ROOT,
        env={**inherited(), "NAUTILUS_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return [] if done.returncode == 0 else [f"audit verify: {done.stdout[-400:]}{done.stderr[-400:]}"]


def judge(home: Path, exchange: Exchange, *, quiet: bool) -> Findings:
    """Read both sides and compare."""
    database = Database.of_home(home)
    before = database.books()
    venue = exchange.ledger()
    after = database.books()
    if not quiet:
        return running(venue, before, after)
    findings = final(venue, after)
    findings.add("O4", caps_exceeded(venue, [after]))
    findings.add("O7", audit_verified(home))
    return findings


def main() -> int:
    """Print every difference; 1 when there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="NAUTILUS_HOME of a running platform")
    parser.add_argument(
        "--running", action="store_true", help="only what holds while orders are on their way"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    services = json.loads((options.home / "run" / "services.json").read_text())
    token = (options.home / "testnet" / "control_token").read_text().strip()
    exchange = Exchange(f"http://127.0.0.1:{services.get('TESTNET_PORT', '9100')}", token)
    findings = judge(options.home, exchange, quiet=not options.running)
    if options.json:
        print(json.dumps({"differences": findings.total, "by_check": findings.by_check}, indent=2))  # noqa: T201
    else:
        print("\n".join([*findings.lines(), f"{findings.total} differences"]))  # noqa: T201
    return 1 if findings.total else 0


if __name__ == "__main__":
    sys.exit(main())
