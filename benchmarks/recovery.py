"""How long the whole platform takes to start, what memory it holds, and how soon it is back after `kill -9`.

    python benchmarks/recovery.py [--kinds feed worker-trading] [--settle 60]

The platform is started by its own command in a fresh home, with everything `make run` starts: the demo trades
meanwhile. A recovery is over when as many processes of the killed kind run as before, `/readyz` says ready and a
market order that was asked for after the kill has ended at the exchange; the last is what a person waits for. For
the host, every process is killed at once and the platform started again: over when it is ready and every account
was reconciled since without a difference.

Memory is the proportional set size of all processes together (PSS: shared pages are counted once).

Prints a table and one JSON line per figure.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _live_stack import Figure, report

from tests.chaos.witness import Database
from tests.e2e.platform import Platform, eventually

KINDS = (
    *("web", "worker-control", "worker-trading", "worker-jobs", "beat", "feed", "relay"),
    *("watchdog", "exporter", "testnet", "valkey", "postgres"),
)
GOALS = {
    "start_first": "<= 60",
    "start_warm": "<= 25",
    "memory": "<= 1536",
    **{f"recovery_{kind}": "<= 10" for kind in KINDS},
    "recovery_worker-trading": "<= 20",
    "recovery_host": "<= 120",
}
SYMBOL, QUANTITY = "BTCUSDT", "0.001"


def memory(platform: Platform) -> tuple[float, int]:
    """(MiB of proportional set size of the tree, number of processes)."""
    total, count = 0, 0
    for pid in platform.all_pids():
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total, count = total + int(line.split()[1]), count + 1
    return total / 1024, count


def ordered(platform: Platform) -> bool:
    """Whether an order asked for now comes to its end."""
    answer = platform.order(str(uuid.uuid4()), symbol=SYMBOL, side="BUY", type="MARKET", quantity=QUANTITY)
    return answer.status == 201 and answer.body["status"] in ("FILLED", "EXPIRED")


def after_kill(platform: Platform, kind: str) -> float:
    """Seconds until the kind runs again and an order passes."""
    before = platform.pids(kind)
    killed = time.monotonic()
    os.kill(before[0], signal.SIGKILL)
    eventually(
        lambda: len(platform.pids(kind)) >= len(before) and before[0] not in platform.pids(kind),
        within_s=120,
        what=f"{kind} runs again",
        every_s=0.1,
    )
    eventually(
        lambda: platform.get("/readyz", token=None).status == 200 and ordered(platform),
        within_s=120,
        what=f"orders pass after {kind} died",
        every_s=0.1,
    )
    return time.monotonic() - killed


def after_host(platform: Platform) -> float:
    """Seconds from the start of a host that lost every process to clean books."""
    for pid in platform.all_pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: not platform.all_pids(), within_s=60, what="nothing runs")
    began, moment = time.monotonic(), datetime.now(UTC)
    platform.start(ready_within_s=300)
    database = Database.of_home(platform.home)
    eventually(
        lambda: all(
            row["reconciled_at"] and row["reconciled_at"] > moment
            for row in database.rows("SELECT reconciled_at FROM trading_account WHERE is_active")
        ),
        within_s=300,
        what="every account is reconciled",
    )
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--kinds", nargs="*", default=KINDS, choices=KINDS, help="processes to kill, in this order"
    )
    parser.add_argument("--settle", type=float, default=60.0, help="seconds before memory is read")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="nautilus-recovery-"))
    platform = Platform(folder / "home", {"TESTNET_SPEED": "1"})
    figures: list[Figure] = []
    try:
        figures.append(("start_first", round(platform.start(ready_within_s=600), 1), "s"))
        figures.append(("stop", round(platform.stop(), 1), "s"))
        figures.append(("start_warm", round(platform.start(ready_within_s=600), 1), "s"))
        eventually(lambda: ordered(platform), within_s=120, what="the first order")
        time.sleep(arguments.settle)
        held, processes = memory(platform)
        figures += [("memory", round(held), "MiB"), ("processes", processes, "")]
        for kind in arguments.kinds:
            figures.append((f"recovery_{kind}", round(after_kill(platform, kind), 1), "s"))
            time.sleep(5.0)
        figures.append(("recovery_host", round(after_host(platform), 1), "s"))
    finally:
        if platform.process is not None and platform.process.poll() is None:
            platform.stop()
        shutil.rmtree(folder, ignore_errors=True)
    report("recovery", figures, GOALS)


if __name__ == "__main__":
    main()
