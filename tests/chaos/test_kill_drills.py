"""Kill drills on real processes: with a part of the platform down, a command and a file each stop everything.

A part that is down is stopped (SIGSTOP), not killed: whoever asks it waits instead of being refused, and the
supervisor does not bring it back. Each drill ends only when the exchange's own ledger has no open order.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.test_crash_matrix import Bench
from tests.e2e.platform import Platform, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.long]

PARTS = {
    "valkey": ("valkey",),
    "workers": ("worker-control", "worker-trading", "worker-jobs"),
    "web": ("web",),
}
OPEN = ("NEW", "PARTIALLY_FILLED")


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="nautilus-drill-"))
    platform = Platform(folder / "home", {"TESTNET_SPEED": "1"})
    try:
        platform.start(ready_within_s=900)
        bench = Bench(platform)
        for strategy in bench.database.rows("SELECT name FROM trading_strategy WHERE is_enabled"):
            platform.request(
                "POST",
                f"/api/v1/strategy/{strategy['name']}/disable",
                {"reason": "the drill has its own orders"},
            )
        eventually(
            lambda: all(r["reconciled_at"] for r in bench.database.rows("SELECT * FROM trading_account")),
            within_s=90,
            what="the first clean reconciliation",
        )
        yield bench
    finally:
        if platform.process is not None and platform.process.poll() is None:
            platform.stop()
        if request.session.testsfailed:
            print(f"the platform's home is kept: {platform.home}")  # noqa: T201
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def down(bench: Bench, part: str) -> Iterator[None]:
    """Every process of a part stands still."""
    pids = [pid for kind in PARTS[part] for pid in bench.platform.pids(kind)]
    assert pids, part
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def resumed(bench: Bench) -> None:
    """Trading is on again. How people do that is another test's; here the rows are set."""
    (bench.platform.home / "HALT").unlink(missing_ok=True)
    bench.database.rows(
        "UPDATE trading_tradingstate SET level = 0, version = version + 1, changed_at = now() RETURNING scope"
    )


def open_at_venue(bench: Bench) -> list[str]:
    return [str(o["client_order_id"]) for o in bench.exchange.ledger().orders if o["status"] in OPEN]


@pytest.mark.parametrize("trigger", ["command", "flag file"])
@pytest.mark.parametrize("part", PARTS)
def test_with_a_part_down_everything_is_stopped_and_the_exchange_confirms(
    bench: Bench, part: str, trigger: str
) -> None:
    platform = bench.platform
    resumed(bench)
    resting = [bench.order(symbol, rests=True) for symbol in ("BTCUSDT", "ETHUSDT")]
    for client_id in resting:
        bench.ended(client_id, "NEW")
    assert set(resting) <= set(open_at_venue(bench))
    with down(bench, part):
        # A worker that was stopped in the middle of a transaction lets go of its rows within three seconds.
        waiting = bench.order("SOLUSDT", rests=True) if part == "workers" else None
        started = time.monotonic()
        if trigger == "command":
            done = platform.command("kill", "--reason", f"drill without {part}", "--json")
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["confirmed"] is True
        else:
            (platform.home / "HALT").touch()
        eventually(lambda: not open_at_venue(bench), within_s=25, what="no open order at the exchange")
        eventually(
            lambda: bench.database.rows(
                "SELECT 1 FROM trading_killenforcement AS k JOIN trading_tradingstate AS s ON s.scope = k.scope"
                " WHERE k.scope = 'global' AND k.enforcer = 'watchdog' AND k.state_version = s.version"
                " AND k.confirmed_at IS NOT NULL AND s.level = 3"
            ),
            within_s=25,
            what="the watchdog has confirmed it by itself",
        )
        print(f"{part} down, {trigger}: confirmed {time.monotonic() - started:.1f} s after asking")  # noqa: T201
        placed = len(bench.exchange.ledger().orders)
    # What was reserved and not sent is given up, and nobody who wakes up sends it.
    eventually(lambda: platform.get("/readyz", token=None).status == 200, within_s=90, what="ready again")
    refused = bench.post(bench.body("BTCUSDT"), f"after-{part}-{trigger}".replace(" ", "-"))
    assert (refused.status, refused.body["code"]) == (422, "TRADING_HALTED")
    if waiting is not None:
        assert bench.ended(waiting, "RELEASED") == "RELEASED"
    assert len(bench.exchange.ledger().orders) == placed
    for client_id in resting:
        assert bench.ended(client_id, "CANCELED") == "CANCELED"
