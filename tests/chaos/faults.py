"""What is done to a running platform: processes killed or stopped, hints thrown away, the exchange misbehaving.

One seeded generator chooses all of it. The figures of a window are its seconds.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from nautilus_site.common.crash_points import crash_point_arm
from tests.chaos.witness import Exchange
from tests.e2e.platform import Platform

# How often each kind is chosen.
VICTIMS = {
    "worker-trading": 4,
    "worker-control": 3,
    "feed": 1,
    "relay": 1,
    "beat": 1,
    "web": 2,
    "watchdog": 1,
    "worker-jobs": 1,
    "valkey": 2,
    "postgres": 2,
    "testnet": 1,
}
# Places where a process kills itself, in proportion; the others need conditions of their own (the matrix has them).
POINTS = ("C1", "C2", "B", "C3", "C5", "C", "C6", "C14", "cancel", "canceled", "stream", "lease")
STOPPED = (
    "worker-trading",
    "worker-control",
    "feed",
    "relay",
    "beat",
    "web",
    "watchdog",
    "valkey",
    "testnet",
)
ORDER_PATHS = {"spot": "/api/v3/order", "usdm": "/fapi/v1/order"}

WINDOWS: tuple[tuple[str, dict[str, Any], dict[str, Any], tuple[float, float]], ...] = (
    ("answers_late", {"path": "*", "probability": 0.3}, {"delay_ms": 800}, (2, 6)),
    (
        "orders_beyond_their_window",
        {"path": "ORDER", "method": "POST", "probability": 0.3},
        {"delay_ms": 2600},
        (2, 5),
    ),
    (
        "answer_lost_after_execution",
        {"path": "ORDER", "method": "POST", "probability": 0.5},
        {"error_after": "drop"},
        (2, 5),
    ),
    (
        "error_after_execution",
        {"path": "ORDER", "method": "POST", "probability": 0.5},
        {"error_after": {"status": 503, "code": -1007}},
        (2, 5),
    ),
    (
        "unknown_and_executed_later",
        {"path": "ORDER", "method": "POST", "probability": 0.5},
        {"late_ms": 900},
        (2, 5),
    ),
    (
        "unknown_and_never_executed",
        {"path": "ORDER", "method": "POST", "probability": 0.5},
        {"error_before": {"status": 504, "code": -1007}},
        (2, 5),
    ),
    (
        "overloaded",
        {"path": "ORDER", "method": "POST", "probability": 0.7},
        {"error_before": {"status": 503, "code": -1008}},
        (2, 4),
    ),
    (
        "refused",
        {"path": "ORDER", "method": "POST", "probability": 0.5},
        {"error_before": {"status": 400, "code": -2010}},
        (2, 4),
    ),
    (
        "internal_errors",
        {"path": "*", "probability": 0.3},
        {"error_before": {"status": 500, "code": -1001}},
        (2, 4),
    ),
    (
        "reads_fail",
        {"path": "*", "method": "GET", "probability": 0.6},
        {"error_before": {"status": 502, "code": -1000}},
        (2, 5),
    ),
    (
        "cancels_lost",
        {"path": "ORDER", "method": "DELETE", "probability": 0.6},
        {"error_after": "drop"},
        (2, 5),
    ),
    (
        "too_many_requests",
        {"path": "*", "count": 1},
        {"rate_limit": {"status": 429, "retry_after": 2}},
        (2, 3),
    ),
    ("events_lost", {"event": "*", "probability": 0.5}, {"drop_event": True}, (3, 8)),
    ("events_doubled", {"event": "*", "probability": 0.7}, {"duplicate_event": True}, (3, 8)),
    ("events_reordered", {"event": "*", "probability": 0.7}, {"reorder_events": True}, (3, 8)),
    ("streams_cut", {"event": "*", "count": 4}, {"disconnect": True}, (1, 2)),
    ("clock_ahead", {}, {"clock_skew_ms": 1500}, (3, 6)),
    ("clock_behind", {}, {"clock_skew_ms": -1500}, (3, 6)),
    ("no_balances", {"path": "*"}, {"zero_balances": True}, (4, 10)),
    ("symbol_halted", {"symbol": "SYMBOL"}, {"halt_symbol": "SYMBOL"}, (2, 5)),
)


@dataclass
class Counts:
    """What was done."""

    kills: Counter[str]
    stops: Counter[str]
    points: Counter[str]
    windows: Counter[str]
    flushes: int = 0


class Misfortune:
    """Chooses and does it. `say` gets one line for each."""

    def __init__(
        self,
        platform: Platform,
        exchange: Exchange,
        *,
        symbols: tuple[str, ...],
        markets: tuple[str, ...],
        seed: int,
        say: Callable[[str], None],
    ) -> None:
        self._platform = platform
        self._exchange = exchange
        self._symbols, self._markets = symbols, markets
        self._rng = random.Random(seed)
        self._say = say
        self._open: dict[int, float] = {}
        self._stopped: list[threading.Timer] = []
        self.counts = Counts(Counter(), Counter(), Counter(), Counter())

    @property
    def points_directory(self) -> Path:
        return self._platform.home / "run" / "crash_points"

    def strike(self) -> bool:
        """One kill: a process from outside, or at a named place of its own. False when there was nobody."""
        if self._rng.random() < 0.35:
            name = self._rng.choice(POINTS)
            crash_point_arm(self.points_directory, name, "kill")
            self.counts.points[name] += 1
            self._say(f"the next process at {name} kills itself")
            return True
        kind = self._rng.choices(list(VICTIMS), weights=list(VICTIMS.values()))[0]
        pids = self._platform.pids(kind)
        if not pids:
            return False
        # Of a worker either the whole, or one of its children in the middle of a task.
        pid = pids[0] if not kind.startswith("worker") or self._rng.random() < 0.5 else self._rng.choice(pids)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.counts.kills[kind] += 1
        self._say(f"kill -9 {kind} ({pid})")
        return True

    def pause(self) -> None:
        """SIGSTOP a process, now and then for longer than its lease, and let it go on as if nothing had been."""
        kind = self._rng.choice(STOPPED)
        pids = self._platform.pids(kind)
        if not pids:
            return
        pid = self._rng.choice(pids)
        seconds = self._rng.choice((1.0, 2.0, 4.0, 14.0 if kind == "worker-trading" else 3.0))
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            return
        timer = threading.Timer(seconds, _continue, (pid,))
        timer.daemon = True
        timer.start()
        self._stopped.append(timer)
        self.counts.stops[kind] += 1
        self._say(f"stopped {kind} ({pid}) for {seconds:.0f} s")

    def flush(self) -> None:
        """Throw every message, push and cached value away."""
        try:
            redis.Redis(unix_socket_path=str(self._platform.home / "run" / "valkey.sock")).flushall()
        except (redis.RedisError, OSError):
            return
        self.counts.flushes += 1
        self._say("FLUSHALL")

    def window(self) -> None:
        """Let the exchange misbehave in one way for some seconds."""
        name, match, effect, (shortest, longest) = self._rng.choice(WINDOWS)
        symbol = self._rng.choice(self._symbols)
        path = ORDER_PATHS[self._rng.choice(self._markets)]
        texts = {"ORDER": path, "SYMBOL": symbol}
        rule = {
            "match": {
                **{k: texts.get(v, v) if isinstance(v, str) else v for k, v in match.items()},
                "seed": self._rng.randrange(1_000_000),
            },
            "effect": {k: texts.get(v, v) if isinstance(v, str) else v for k, v in effect.items()},
        }
        seconds = self._rng.uniform(shortest, longest)
        try:
            fault = self._exchange.call("POST", "faults", rule, timeout_s=10)["id"]
        except OSError:
            return
        self._open[fault] = time.monotonic() + seconds
        self.counts.windows[name] += 1
        self._say(f"{name} for {seconds:.1f} s")

    def close_windows(self, *, all_of_them: bool = False) -> None:
        """End the windows whose time is over. A restarted exchange has forgotten its own."""
        for fault, until in list(self._open.items()):
            if all_of_them or time.monotonic() >= until:
                try:
                    self._exchange.call("DELETE", f"faults/{fault}", timeout_s=10)
                except OSError as error:
                    if getattr(error, "code", None) != 404:
                        continue  # not reachable now: the next look tries again
                del self._open[fault]

    def end(self) -> None:
        """Stop everything that is still going on."""
        for timer in self._stopped:
            timer.join(timeout=20)
        deadline = time.monotonic() + 60
        while self._open and time.monotonic() < deadline:
            self.close_windows(all_of_them=True)
            time.sleep(0.2 if self._open else 0)
        for path in self.points_directory.glob("*"):
            if "." not in path.name:
                path.unlink(missing_ok=True)


def _continue(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return
