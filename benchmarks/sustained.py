"""Orders asked for at a steady rate for as long as wanted: how many the whole durable chain keeps up with.

    python benchmarks/sustained.py [--rate 100] [--minutes 1] [--lanes 2]

The chain and the parts are those of `lanes.py`. Each lane asks for its share of the rate by the clock, not as fast as
it can: an order that is due while the one before is on its way waits, and its time counts from when it was due. A rate
that is kept has orders no later in the last tenth of the time than in the first; one that is too high has a queue that
grows to the end. `--minutes 60` is the hour of the targets.

Prints a table and one JSON line per figure.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from _live_stack import LISTED, Figure, join, open_account, percentile, report, running
from lanes import WARM_UP, instruments_of, run_lanes

GOALS = {"done_per_second": ">= 100", "late_last_tenth": "as in the first tenth"}


class Metronome:
    """Numbers at a steady rate; how late each was taken, in seconds."""

    def __init__(self, rate: float, seconds: float) -> None:
        self.rate, self.seconds = rate, seconds
        self.late: list[float] = []

    def __iter__(self) -> Iterator[int]:
        began, number = time.monotonic(), 0
        while number / self.rate < self.seconds and time.monotonic() - began < self.seconds:
            wait = began + number / self.rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self.late.append(max(0.0, -wait))
            yield number
            number += 1


def lane(number: int, lanes: int, rate: float, minutes: float) -> None:
    """One lane: warm up, say so, wait for the start, and tell how late and how long each order was."""
    join()
    from order_path import Stopwatch, place

    from nautilus_site.common.models import User

    instruments, user, watch = instruments_of(number, lanes), User.objects.get(username="trader"), Stopwatch()
    place(watch, instruments, range(WARM_UP), user, f"warm-up-{number}")
    watch.seconds.clear()
    print("ready", flush=True)
    sys.stdin.readline()
    metronome = Metronome(rate / lanes, minutes * 60)
    ends = place(watch, instruments, metronome, user, f"sustained-{number}")
    if set(ends) - {"FILLED", "EXPIRED"}:
        raise SystemExit(f"orders ended otherwise than filled or expired: {ends}")
    print(json.dumps({"late": metronome.late, "seconds": watch.seconds["total"]}), flush=True)


def measure(rate: float, minutes: float, lanes: int) -> list[Figure]:
    told = run_lanes(lanes, __file__, "--rate", str(rate), "--minutes", str(minutes))
    whole = [late + taken for one in told for late, taken in zip(one["late"], one["seconds"], strict=True)]
    tenths = [max(len(one["late"]) // 10, 1) for one in told]
    first = [late for one, tenth in zip(told, tenths, strict=True) for late in one["late"][:tenth]]
    last = [late for one, tenth in zip(told, tenths, strict=True) for late in one["late"][-tenth:]]
    return [
        ("asked_per_second", rate, "1/s"),
        ("minutes", minutes, "min"),
        ("orders", len(whole), ""),
        ("done_per_second", round(len(whole) / (minutes * 60), 1), "1/s"),
        ("due_to_settled_p50", round(percentile(whole, 0.5) * 1000, 2), "ms"),
        ("due_to_settled_p99", round(percentile(whole, 0.99) * 1000, 2), "ms"),
        ("late_first_tenth", round(percentile(first, 0.5) * 1000, 2), "ms"),
        ("late_last_tenth", round(percentile(last, 0.5) * 1000, 2), "ms"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=100.0, help="orders a second, all lanes together")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--lane", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.lane is not None:
        lane(options.lane, options.lanes, options.rate, options.minutes)
        return
    with running("--symbols", *LISTED):
        open_account()
        figures = measure(options.rate, options.minutes, options.lanes)
    report("sustained", figures, GOALS)


if __name__ == "__main__":
    main()
