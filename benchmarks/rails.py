"""What judging an order by every rail costs, without a database: per rail, for the chain, and beside a bare check.

    python benchmarks/rails.py [--orders 20000]

The bare kernel is eight comparisons of whole numbers in plain Python, written out in one function: what a hand-made bot
would do and nothing more. Process CPU time, medians of five runs; the tail is of single calls. Prints a table and one
JSON line per figure.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fakes.checks import context, order
from trading.domain.risk import RAILS, check_order, first_denial

GOALS = {"per_rail": "<= 1.5", "chain_p99": "<= 1000", "ratio_per_rail": ""}


def bare(asked: Any, world: Any) -> bool:
    """Eight rules without names, verdicts or failing closed."""
    limits = world.limits
    return bool(
        world.level == 0
        and asked.notional >= limits.min_notional
        and asked.notional <= limits.max_notional
        and asked.steps <= limits.max_quantity
        and world.used_symbol + asked.notional <= limits.exposure_symbol
        and world.used_account + asked.notional <= limits.exposure_account
        and world.orders_last_minute + 1 <= limits.orders_per_minute
        and asked.notional <= world.free_quote
    )


def cpu_us(call: Callable[[], Any], times: int) -> float:
    """Median over five runs of the CPU time of one call, microseconds."""
    runs = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(times):
            call()
        runs.append((time.process_time() - began) / times * 1e6)
    return statistics.median(runs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=20_000)
    options = parser.parse_args()
    asked, world = order(), context()
    if first_denial(check_order(asked, world)) is not None or not bare(asked, world):
        raise SystemExit("the order that is measured must pass")
    chain = cpu_us(lambda: check_order(asked, world), options.orders)
    kernel = cpu_us(lambda: bare(asked, world), options.orders)
    written = cpu_us(
        lambda: [(r.rail, r.measured, r.limit, r.unit) for r in check_order(asked, world)],
        options.orders // 10,
    )
    gc.disable()
    single = []
    for _ in range(options.orders):
        began = time.thread_time_ns()
        check_order(asked, world)
        single.append((time.thread_time_ns() - began) / 1000)
    gc.enable()
    single.sort()
    slowest = sorted(
        ((cpu_us(lambda rail=rail: rail.check(asked, world), 2_000), rail.name) for rail in RAILS),
        reverse=True,
    )[:5]
    figures = [
        ("rails", len(RAILS), "rails"),
        ("chain", round(chain, 2), "us CPU"),
        ("per_rail", round(chain / len(RAILS), 3), "us CPU"),
        ("chain_p99", round(single[int(len(single) * 0.99)], 1), "us CPU"),
        ("chain_written_out", round(written, 2), "us CPU"),
        ("bare_8_rules", round(kernel, 3), "us CPU"),
        ("ratio_per_rail", round((chain / len(RAILS)) / (kernel / 8), 2), "x bare"),
        *((f"slowest_{name}", round(cost, 2), "us CPU") for cost, name in slowest),
    ]
    print(f"{'figure':36} {'measured':>10} {'unit':10} goal")
    for name, value, unit in figures:
        print(f"{name:36} {value:>10} {unit:10} {GOALS.get(name, '')}")
    for name, value, unit in figures:
        print(json.dumps({"name": f"rails.{name}", "value": value, "unit": unit}))


if __name__ == "__main__":
    main()
