"""One chaos run: start, trade, strike, judge, write down."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.desk import disarm, loosen, markets, strategies_stop, trades
from tests.chaos.drill import Drill
from tests.chaos.exposure import caps_exceeded
from tests.chaos.faults import Misfortune
from tests.chaos.findings import Findings
from tests.chaos.oracle import audit_verified, final, running
from tests.chaos.report import asked, booked, build, struck
from tests.chaos.stream import OrderStream
from tests.chaos.watcher import Watcher
from tests.chaos.witness import Books, Database, Exchange
from tests.e2e.platform import Platform, eventually

CHECK_EVERY_S = 10.0
QUIET_WITHIN_S = 60.0
KILL_DRILL_EVERY = 12
# The next blow waits until this many orders have left since the last one, a few paces long at most.
ALIVE_AFTER = 5
PATIENCE = 2.0


@dataclass(frozen=True)
class Options:
    """Size and seed of a run."""

    kills: int
    seed: int
    rate: float
    pace_s: float


class Chaos:
    """A run over one platform."""

    def __init__(self, platform: Platform, options: Options) -> None:
        self._platform = platform
        self._options = options
        self._began = time.monotonic()
        self._seen = Findings()
        self._checks = 0
        self._last: Books | None = None
        self._checked_seq = 0
        self.enough = False
        """Set to end the striking early; everything is judged all the same."""

    def run(self, result: Path) -> int:
        """Do all of it. Returns the number of differences."""
        platform, options = self._platform, self._options
        self.say(f"starting; {options.kills} kills, seed {options.seed}, {options.rate:g} orders/s asked for")
        took = platform.start(ready_within_s=900)
        self.say(f"ready after {took:.0f} s in {platform.home}")
        self._database = Database.of_home(platform.home)
        token = (platform.home / "testnet" / "control_token").read_text().strip()
        self._exchange = Exchange(f"http://127.0.0.1:{platform.testnet_port}", token)
        self._drill = Drill(platform, self._database, self.say)
        loosen(platform)
        disarm(platform, self._database)
        traded = markets(self._database)
        self.say(f"trading {', '.join(f'{m.symbol} on {m.account}' for m in traded)}")
        watcher = Watcher(platform)
        watcher.start()
        stream = OrderStream(platform, traded, rate=options.rate, seed=options.seed)
        misfortune = Misfortune(
            platform,
            self._exchange,
            symbols=tuple({m.symbol for m in traded}),
            markets=tuple(sorted({m.market for m in traded})),
            seed=options.seed,
            say=self.say,
        )
        eventually(
            lambda: trades(self._database),
            within_s=90,
            what="the first clean reconciliation of every account",
        )
        stream.start()
        trading_since = time.monotonic()
        self._strike(misfortune)
        misfortune.end()
        self.say("no more faults")
        stream.stop()
        quiet_since = time.monotonic()
        traded_s = time.monotonic() - trading_since
        findings, settled_s = self._settle(quiet_since)
        findings.add("O1", self._acknowledged(stream.told.accepted))
        findings.add("O7", audit_verified(platform.home))
        findings.add("O9", watcher.differences(self._database))
        watcher.stop()
        for check, lines in self._seen.by_check.items():
            findings.add(check, [f"while running: {line}" for line in dict.fromkeys(lines)])
        self._write(result, findings, misfortune, stream, settled_s, traded_s)
        return findings.total

    def say(self, text: str) -> None:
        """One line with the time of the run."""
        print(f"[{time.monotonic() - self._began:6.1f} s] {text}", flush=True)  # noqa: T201

    # --- striking ----------------------------------------------------------------------------------------------

    def _strike(self, misfortune: Misfortune) -> None:
        options = self._options
        struck, check_at, strike_at = 0, time.monotonic() + CHECK_EVERY_S, time.monotonic() + 5
        window_at, drill_at, sent = time.monotonic() + 3, KILL_DRILL_EVERY, self._sent(0)
        drill_every = max(KILL_DRILL_EVERY, options.kills // 10)
        while struck < options.kills and not self.enough:
            process, now = self._platform.process, time.monotonic()
            if process is not None and process.poll() is not None:
                raise AssertionError(f"the platform ended with {process.returncode}: nothing can be judged")
            if now >= strike_at and (now >= strike_at + options.pace_s * PATIENCE or self._sent_since(sent)):
                sent = self._sent(sent)
                struck += misfortune.strike()
                strike_at = time.monotonic() + options.pace_s
                if struck % 5 == 0:
                    misfortune.pause()
                if struck % 7 == 0:
                    misfortune.flush()
            if now >= window_at:
                misfortune.window()
                window_at = now + options.pace_s * 1.3
            misfortune.close_windows()
            if struck >= drill_at:
                drill_at += drill_every
                self._seen.add("O5", self._drill.run())
            if now >= check_at:
                began = time.monotonic()
                self._check()
                # Reading everything gets slower as there is more of it: never more than a sixth of the time.
                check_at = time.monotonic() + max(CHECK_EVERY_S, 5 * (time.monotonic() - began))
            time.sleep(0.1)

    def _sent(self, otherwise: int) -> int:
        """How many orders have left so far."""
        try:
            rows = self._database.rows(
                "SELECT count(*) AS n FROM trading_order WHERE timestamp_ms IS NOT NULL"
            )
        except psycopg.Error:
            return otherwise
        return int(rows[0]["n"])

    def _sent_since(self, before: int) -> bool:
        """Whether the platform has worked since the last blow: one that falls on the dead proves nothing."""
        return self._sent(0) >= before + ALIVE_AFTER

    def _check(self) -> None:
        """What holds at every instant."""
        try:
            before = self._database.books()
            venue = self._exchange.ledger()
            after = self._database.books()
        except (OSError, psycopg.Error, ValueError):
            return  # one of the witnesses is down: the next look
        found = running(venue, before, after)
        found.add(
            "O4",
            caps_exceeded(venue, [b for b in (self._last, before, after) if b], after_seq=self._checked_seq),
        )
        self._last, self._checked_seq = after, venue.seq
        self._checks += 1
        for check, lines in found.by_check.items():
            for line in lines:
                if line not in self._seen.by_check[check]:
                    self.say(f"DIFFERENCE {check}: {line}")
            self._seen.add(check, lines)

    # --- judging -----------------------------------------------------------------------------------------------

    def _settle(self, quiet_since: float) -> tuple[Findings, float]:
        """Wait until nothing differs any more, a minute at most (O8)."""
        strategies_stop(self._platform, self._database)
        findings = Findings()
        while True:
            try:
                books = self._database.books()
                venue = self._exchange.ledger()
                again = self._database.books()
                moved = [o["id"] for o in again.orders] != [o["id"] for o in books.orders]
                findings = final(venue, again)
                findings.add(
                    "O4",
                    caps_exceeded(
                        venue, [b for b in (self._last, books, again) if b], after_seq=self._checked_seq
                    ),
                )
            except (OSError, psycopg.Error, ValueError) as error:
                findings = Findings()
                findings.add("O8", [f"a witness cannot be read: {error}"])
                moved = True
            elapsed = time.monotonic() - quiet_since
            equal = not findings.total and not moved
            if equal or elapsed > QUIET_WITHIN_S + 60:
                self._final_books, self._final_venue = again, venue
                if elapsed > QUIET_WITHIN_S:
                    findings.add("O8", [f"quiet only {elapsed:.0f} s after the last fault and order"])
                return findings, elapsed
            time.sleep(1.5)

    def _acknowledged(self, accepted: dict[str, str]) -> list[str]:
        """Every order that was answered with 201 exists, and no two keys share one."""
        known = {order["client_order_id"] for order in self._final_books.orders}
        found = [
            f"{key} was accepted as {cid}, which does not exist"
            for key, cid in accepted.items()
            if cid not in known
        ]
        if len(set(accepted.values())) != len(accepted):
            found.append("two idempotency keys were answered with one order")
        return found

    def _write(
        self,
        path: Path,
        findings: Findings,
        misfortune: Misfortune,
        stream: OrderStream,
        settled_s: float,
        traded_s: float,
    ) -> None:
        books = self._final_books
        unknown = self._database.rows(
            "SELECT count(*) AS n FROM trading_orderevent WHERE status = 'UNKNOWN'"
        )[0]["n"]
        answer: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "build": build(),
            **asdict(self._options),
            "duration_s": round(time.monotonic() - self._began, 1),
            "traded_s": round(traded_s, 1),
            **struck(misfortune),
            "drills": self._drill.done,
            "running_checks": self._checks,
            **asked(stream),
            **booked(books, self._final_venue),
            "unknown_outcomes": unknown,
            "orders_per_s": round(len(books.orders) / max(traded_s, 1), 1),
            "settled_s": round(settled_s, 1),
            "differences": findings.total,
            "differences_by_check": {
                check: found[:50] for check, found in findings.by_check.items() if found
            },
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(answer, indent=2) + "\n")
        temporary.replace(path)
        for line in findings.lines():
            self.say(f"DIFFERENCE {line}")
        self.say(
            f"{answer['orders']} orders ({answer['orders_per_s']}/s), {answer['fills']} fills, "
            f"{answer['kills_done']} kills, {answer['fault_windows']} fault windows, "
            f"{answer['unknown_outcomes']} unknown outcomes, quiet after {settled_s:.1f} s"
        )
        self.say(f"{findings.total} differences; {path}")
