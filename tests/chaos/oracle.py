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
from dataclasses import replace
from pathlib import Path

from tests.chaos.checks.fills import fills_equal, fills_real
from tests.chaos.checks.holdings import balances_equal, owners_sum, positions_equal
from tests.chaos.checks.orders import (
    orders_equal,
    orders_known,
    orders_once,
    pushed_equal,
    steps_legal,
    unsettled,
)
from tests.chaos.checks.reservations import caps_kept, holds_released, ledger_balanced
from tests.chaos.exposure import caps_exceeded
from tests.chaos.findings import Findings
from tests.chaos.witness import Books, Database, Exchange, Venue
from tests.e2e.platform import inherited

ROOT = Path(__file__).resolve().parents[2]


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
