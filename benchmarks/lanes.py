"""Orders a second on one account with 1, 2 and 4 lanes, each a process of its own that asks for and drains its symbols.

    python benchmarks/lanes.py [--orders 120] [--lanes 1 2 4]

The same chain as `order_path.py` (rails, reservation, authorisation, HTTP, settlement) on the same real parts. A lane
is a shard of the account: its symbols are decided and sent by nobody else. Rails and reservation of an account are
decided one after another whatever the lanes, because every order holds the balance and the caps it is judged by; the
rest of the chain runs side by side. All lanes, the exchange and Postgres share this machine's cores.

Prints a table and one JSON line per figure.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from _live_stack import ACCOUNT, LISTED, ROOT, Figure, join, open_account, percentile, report, running

GOALS = {"lanes_4_orders_per_second": ">= 100"}
WARM_UP = 10


def lane(number: int, lanes: int, orders: int) -> None:
    """One lane: warm up, say so, wait for the start, and tell how long each order took."""
    join()
    from order_path import Stopwatch, place

    from nautilus_site.common.models import User

    instruments = instruments_of(number, lanes)
    user, watch = User.objects.get(username="trader"), Stopwatch()
    place(watch, instruments, range(WARM_UP), user, f"warm-up {lanes}-{number}")
    watch.seconds.clear()
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.time()
    ends = place(watch, instruments, range(orders), user, f"lane {lanes}-{number}")
    if set(ends) - {"FILLED", "EXPIRED"}:
        raise SystemExit(f"orders ended otherwise than filled or expired: {ends}")
    print(json.dumps({"began": began, "ended": time.time(), "seconds": watch.seconds["total"]}), flush=True)


def instruments_of(number: int, lanes: int) -> list[Any]:
    """The symbols of one lane, which nobody else decides about or sends for."""
    from trading.models import StrategyInstance

    rows = StrategyInstance.objects.select_related("instrument").filter(account__name=ACCOUNT)
    return [row.instrument for row in rows if zlib.crc32(row.instrument.symbol.encode()) % lanes == number]


def measure(lanes: int, orders: int) -> list[Figure]:
    told = run_lanes(lanes, __file__, "--orders", str(max(orders // lanes, 1)))
    seconds = [second for one in told for second in one["seconds"]]
    elapsed = max(one["ended"] for one in told) - min(one["began"] for one in told)
    return [
        (f"lanes_{lanes}_orders_per_second", round(len(seconds) / elapsed, 1), "1/s"),
        (f"lanes_{lanes}_p50", round(percentile(seconds, 0.5) * 1000, 2), "ms"),
        (f"lanes_{lanes}_p99", round(percentile(seconds, 0.99) * 1000, 2), "ms"),
    ]


def run_lanes(lanes: int, script: str, *arguments: str) -> list[Any]:
    """Start a script once per lane with `--lane N --lanes LANES`, let all go at once, and return what each told.

    A lane prints `ready`, waits for a line, and prints one JSON object when it is through.
    """
    from trading.models import Account

    Account.objects.filter(name=ACCOUNT).update(shards=lanes)  # nothing is reserved or on its way now
    processes = [
        subprocess.Popen(  # noqa: S603  our own script
            [sys.executable, script, "--lane", str(number), "--lanes", str(lanes), *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(lanes)
    ]
    try:
        for process in processes:
            if _line(process) != "ready":
                raise SystemExit("a lane did not start")
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [json.loads(_line(process)) for process in processes]
    finally:
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(60)


def _line(process: Any) -> str:
    line: str = process.stdout.readline()
    if not line:
        raise SystemExit(f"a lane ended with code {process.wait()}")
    return line.strip()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=120, help="in all, shared by the lanes")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--lane", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.lane is not None:
        lane(options.lane, options.lanes[0], options.orders)
        return
    figures: list[Figure] = []
    with running("--symbols", *LISTED):  # every lane of one, two or four has some of these
        open_account()
        for lanes in options.lanes:
            figures += measure(lanes, options.orders)
    alone = next(value for name, value, _ in figures if name.endswith("orders_per_second"))
    for lanes in options.lanes[1:]:
        rate = next(value for name, value, _ in figures if name == f"lanes_{lanes}_orders_per_second")
        figures.append((f"lanes_{lanes}_ratio", round(rate / alone, 2), f"x {options.lanes[0]} lane"))
    report("lanes", figures, GOALS)


if __name__ == "__main__":
    main()
