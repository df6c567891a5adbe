"""`make chaos`: the whole platform under fire, judged by the oracle.

    python -m tests.chaos [--kills 30] [--seed 1] [--rate 20] [--pace 6] [--home DIR] [--keep]

Starts a platform in a temporary home with ports of its own, asks for orders on every account it has, kills and stops
its processes, opens fault windows at the exchange, checks what must hold at every instant every few seconds and
everything at the end. Exit 1 on any difference. The same options are the environment variables CHAOS_KILLS,
CHAOS_SEED, CHAOS_RATE and CHAOS_PACE. The result is left in `$NAUTILUS_HOME/chaos/last.json` of the caller's home,
where the Ops page finds it.
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
from pathlib import Path

from tests.chaos.run import Chaos, Options
from tests.e2e.platform import Platform


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=int(os.environ.get("CHAOS_KILLS", "30")))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("CHAOS_SEED", "1")))
    parser.add_argument(
        "--rate",
        type=float,
        default=float(os.environ.get("CHAOS_RATE", "20")),
        help="orders a second asked for",
    )
    parser.add_argument(
        "--pace", type=float, default=float(os.environ.get("CHAOS_PACE", "6")), help="seconds between kills"
    )
    parser.add_argument(
        "--home", type=Path, help="where the platform lives (a temporary folder unless given)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the platform's home afterwards")
    parser.add_argument("--result", type=Path, help="where the result goes")
    options = parser.parse_args()
    callers_home = Path(os.environ.get("NAUTILUS_HOME") or Path(__file__).resolve().parents[2] / "var")
    result = options.result or callers_home.expanduser() / "chaos" / "last.json"
    folder = options.home or Path(tempfile.mkdtemp(prefix="nautilus-chaos-"))
    platform = Platform(
        folder / "home",
        {"CRASH_POINTS": "on", "TESTNET_SPEED": os.environ.get("TESTNET_SPEED", "10"), "LOG_LEVEL": "INFO"},
    )
    failed = True
    try:
        chaos = Chaos(platform, Options(options.kills, options.seed, options.rate, options.pace))

        def enough(number: int, frame: object) -> None:
            if chaos.enough:  # asked twice: no judgement either
                raise KeyboardInterrupt
            chaos.enough = True

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, enough)
        failed = chaos.run(result) > 0
    finally:
        if platform.process is not None and platform.process.poll() is None:
            with contextlib.suppress(Exception):
                platform.stop()
        if failed or options.keep:
            print(f"kept: {folder}", flush=True)  # noqa: T201
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(f"chaos: {time.monotonic() - started:.0f} s in all", flush=True)  # noqa: T201
    sys.exit(code)
