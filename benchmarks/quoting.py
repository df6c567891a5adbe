"""How much of the time the demo's market maker has in the book what it wants there, on the whole platform.

    python benchmarks/quoting.py [--minutes 5] [--speed 1]

The platform runs as `make run` starts it, at the given market speed. First the maker buys half of its inventory; once
it wants to quote both sides the clock starts. What it wanted is what its steps said (`ObservedStep`), what stood is
from an order's acknowledgement to its end; both are read from the database with plain SQL. A figure is the share of
the time in which it wanted both sides (or one of them) and they stood, at whatever price.

Prints a table and one JSON line per figure. It shares this machine's cores with the platform.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import itertools

from _live_stack import Figure, report

from tests.chaos.witness import Database
from tests.e2e.platform import Platform, eventually

STEPS = """
SELECT o.stepped_at, o.said FROM trading_observedstep AS o JOIN trading_strategyinstance AS i ON i.id = o.instance_id
 WHERE i.makes_market AND o.stepped_at > %s ORDER BY o.id
"""
QUOTES = """
SELECT o.side, o.status, o.acknowledged_at, o.ended_at, o.replaces_id, o.executed_quantity FROM trading_order AS o
  JOIN trading_strategy AS s ON s.id = o.strategy_id
 WHERE s.name = 'market_maker' AND o.type = 'LIMIT_MAKER' AND (o.ended_at IS NULL OR o.ended_at > %s)
"""
SIDES = {"BUY": "bid_size", "SELL": "ask_size"}


def wants(said: dict[str, Any] | None) -> set[str]:
    """The sides a step wanted to quote."""
    quotes = (said or {}).get("quotes") or {}
    return {side for side, size in SIDES.items() if quotes.get(size)}


def shares(database: Database, begin: datetime) -> list[Figure]:
    """What was wanted and what stood, in seconds of wall time."""
    steps, orders = database.rows(STEPS, begin), database.rows(QUOTES, begin)
    end = steps[-1]["stepped_at"]
    standing = [
        (order["side"], order["acknowledged_at"], order["ended_at"] or end)
        for order in orders
        if order["acknowledged_at"] is not None
    ]
    wanted: Counter[str] = Counter()
    stood: Counter[str] = Counter()
    for step, after in itertools.pairwise(steps):
        sides, begins, ends = wants(step["said"]), step["stepped_at"], after["stepped_at"]
        edges = {at for _, first, last in standing for at in (first, last) if begins < at < ends}
        cuts = sorted({begins, ends, *edges})
        for left, right in itertools.pairwise(cuts):
            seconds = (right - left).total_seconds()
            there = {side for side, first, last in standing if first <= left < last}
            for name in [*sides, *(["both"] if len(sides) == len(SIDES) else [])]:
                wanted[name] += seconds
                stood[name] += seconds * ((sides if name == "both" else {name}) <= there)
    figures = [
        (f"stands_{name.lower()}", round(100 * stood[name] / wanted[name], 1), "% of time")
        for name in ("both", "BUY", "SELL")
        if wanted[name]
    ]
    return [
        *figures,
        ("wanted_both", round(wanted["both"], 0), "s"),
        ("orders", len(orders), "orders"),
        ("of_them_replacements", sum(order["replaces_id"] is not None for order in orders), "orders"),
        ("of_them_never_acknowledged", sum(order["acknowledged_at"] is None for order in orders), "orders"),
        ("of_them_traded", sum(order["executed_quantity"] > 0 for order in orders), "orders"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="watched for (5)")
    parser.add_argument("--speed", type=float, default=1.0, help="of the market (1)")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="nautilus-quoting-"))
    platform = Platform(folder / "home", {"TESTNET_SPEED": f"{chosen.speed:g}"})
    try:
        platform.start(ready_within_s=600)
        database = Database.of_home(platform.home)
        long_ago = datetime.fromisoformat("2000-01-01T00:00:00+00:00")

        def quoting() -> datetime | None:
            both = [row for row in database.rows(STEPS, long_ago) if len(wants(row["said"])) == len(SIDES)]
            return both[0]["stepped_at"] if both else None

        begin = eventually(quoting, within_s=900, what="both sides are wanted", every_s=2.0)
        time.sleep(60 * chosen.minutes)
        report("quoting", shares(database, begin), {})
    finally:
        if platform.process is not None and platform.process.poll() is None:
            platform.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
