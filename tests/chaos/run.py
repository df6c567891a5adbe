"""One chaos run: start, trade, strike, judge, write down."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from nautilus_site.common.crash_points import crash_points_hit
from tests.chaos.exposure import caps_exceeded
from tests.chaos.faults import Misfortune
from tests.chaos.oracle import Findings, Kill, audit_verified, final, kill_kept, running
from tests.chaos.stream import Market, OrderStream
from tests.chaos.watcher import Watcher
from tests.chaos.witness import Books, Database, Exchange
from tests.e2e.platform import ROOT, Platform, eventually

CHECK_EVERY_S = 10.0
QUIET_WITHIN_S = 60.0
KILL_DRILL_EVERY = 12
# The next blow waits until this many orders have left since the last one, a few paces long at most.
ALIVE_AFTER = 5
PATIENCE = 2.0
# Room for a stream of orders; everything else stays as the demo has it.
LIMITS = {
    "orders_per_minute": "100000",
    "max_open_orders": "150",
    # What waits through a restart is still sent, so that more happens: old decisions and prices are rails of their own.
    "decision_ttl": "60",
    "price_max_age": "30",
    "reconcile_max_age": "120",
    "market_slippage": "100",
    "price_collar": "200",
}


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
        self._drills: list[tuple[Kill, str]] = []
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
        self._loosen()
        self._disarm()
        markets = self._markets()
        self.say(f"trading {', '.join(f'{m.symbol} on {m.account}' for m in markets)}")
        watcher = Watcher(platform)
        watcher.start()
        stream = OrderStream(platform, markets, rate=options.rate, seed=options.seed)
        misfortune = Misfortune(
            platform,
            self._exchange,
            symbols=tuple({m.symbol for m in markets}),
            markets=tuple(sorted({m.market for m in markets})),
            seed=options.seed,
            say=self.say,
        )
        eventually(self._trades, within_s=90, what="the first clean reconciliation of every account")
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

    # --- preparing ---------------------------------------------------------------------------------------------

    def _loosen(self) -> None:
        """Give the stream room, as people do it: one asks, another approves."""
        first, second = self._platform.session("risk"), self._platform.session("risk2")
        for name, value in LIMITS.items():
            asked = self._platform.request(
                "PUT",
                f"/api/v1/limits/{name}",
                {"value": value, "scope": "global", "reason": "a chaos run"},
                token="risk",
            )
            if asked.status == 202:
                done = second.post(f"/api/v1/approvals/{asked.body['id']}/approve", {"note": "a chaos run"})
                assert done.status == 200, done.body
        del first

    def _disarm(self) -> None:
        """Keep the playbooks out: they would stop, as they should, what is to be struck."""
        second = self._platform.session("risk2")
        armed = eventually(
            lambda: self._database.rows("SELECT name FROM governance_playbook WHERE is_armed"),
            within_s=60,
            what="the playbooks are there",
        )
        for row in armed:
            asked = self._platform.request(
                "PUT",
                f"/api/v1/playbooks/{row['name']}",
                {"is_armed": False, "reason": "a chaos run"},
                token="risk",
            )
            assert asked.status == 202, asked.body
            done = second.post(f"/api/v1/approvals/{asked.body['id']}/approve", {"note": "a chaos run"})
            assert done.status == 200, done.body

    def _markets(self) -> list[Market]:
        """Every symbol an account may trade."""
        rows = eventually(
            lambda: self._database.rows(
                "SELECT a.name AS account, v.market, i.symbol, i.filters"
                " FROM trading_symbolallowance s JOIN trading_account a ON a.id = s.account_id"
                " JOIN universe_instrument i ON i.id = s.instrument_id"
                " JOIN universe_venue v ON v.id = a.venue_id ORDER BY 1, 3"
            ),
            within_s=90,
            what="symbols that may be traded",
        )
        markets = []
        for row in rows:
            rules = {rule["filterType"]: rule for rule in row["filters"]["filters"]}
            tick, step = rules["PRICE_FILTER"]["tickSize"], rules["LOT_SIZE"]["stepSize"]
            markets.append(
                Market(row["account"], row["market"], row["symbol"], Decimal(tick), Decimal(step).normalize())
            )
        return markets

    def _trades(self) -> bool:
        rows = self._database.rows("SELECT reconciled_at FROM trading_account WHERE is_active")
        return all(row["reconciled_at"] is not None for row in rows)

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
                self._drill()
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
        for kill, until in self._drills:
            if not until:
                found.add("O5", kill_kept(kill, after))
        self._last, self._checked_seq = after, venue.seq
        self._checks += 1
        for check, lines in found.by_check.items():
            for line in lines:
                if line not in self._seen.by_check[check]:
                    self.say(f"DIFFERENCE {check}: {line}")
            self._seen.add(check, lines)

    def _drill(self) -> None:
        """A person raises one symbol's level in the middle of it, and two people lower it again (O5)."""
        scope = "symbol:BTCUSDT"
        done = self._platform.command(
            "kill", "--scope", scope, "--level", "HALT_NEW", "--reason", "chaos drill"
        )
        try:
            rows = self._database.rows(
                "SELECT o.id FROM trading_order o JOIN universe_instrument i ON i.id = o.instrument_id"
                " WHERE i.symbol = 'BTCUSDT' AND o.status = 'RESERVED'"
            )
            last = self._database.rows("SELECT coalesce(max(id), 0) AS id FROM trading_order")[0]["id"]
            level = self._database.rows("SELECT level FROM trading_tradingstate WHERE scope = %s", scope)
        except psycopg.Error:
            return
        if done.returncode != 0 and not (level and level[0]["level"] == 2):
            return
        self.say("drill: BTCUSDT is at HALT_NEW")
        time.sleep(4)
        try:
            until = self._database.rows("SELECT coalesce(max(id), 0) AS id FROM trading_order")[0]["id"]
            late = self._database.rows(
                "SELECT o.client_order_id FROM trading_order o JOIN universe_instrument i"
                " ON i.id = o.instrument_id WHERE i.symbol = 'BTCUSDT' AND o.origin <> 'external'"
                " AND (o.id = ANY(%s) OR (o.id > %s AND o.id <= %s)) AND o.timestamp_ms IS NOT NULL",
                [row["id"] for row in rows],
                last,
                until,
            )
        except psycopg.Error:
            late = []
        self._seen.add(
            "O5", [f"order {row['client_order_id']} was authorised after the kill" for row in late]
        )
        self._drilled = getattr(self, "_drilled", 0) + 1
        self._resume(scope)

    def _resume(self, scope: str) -> None:
        """Two people, as often as it takes while web and database come and go."""

        def lowered() -> bool:
            rows = self._database.rows("SELECT level FROM trading_tradingstate WHERE scope = %s", scope)
            if rows and rows[0]["level"] == 0:
                return True
            asked = self._platform.session("risk").post(
                "/api/v1/resume", {"scope": scope, "to_level": "ACTIVE", "reason": "the drill is over"}
            )
            if asked.status == 202:
                self._platform.session("risk2").post(
                    f"/api/v1/approvals/{asked.body['id']}/approve", {"note": "yes"}
                )
            return False

        def patiently() -> bool:
            try:
                return lowered()
            except (psycopg.Error, AssertionError, StopIteration):
                return False

        eventually(patiently, within_s=120, what="the drill's level lowered again", every_s=1.0)
        self.say("drill: BTCUSDT is active again")

    # --- judging -----------------------------------------------------------------------------------------------

    def _settle(self, quiet_since: float) -> tuple[Findings, float]:
        """Wait until nothing differs any more, a minute at most (O8)."""
        self._stop_strategies()
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

    def _stop_strategies(self) -> None:
        """No new decisions: what is judged must stand still."""

        def disabled() -> bool:
            rows = self._platform.get("/api/v1/strategy/").body
            names = [
                s["name"]
                for s in (rows["results"] if isinstance(rows, dict) else rows)
                if s.get("enabled", True)
            ]
            for name in names:
                self._platform.request(
                    "POST", f"/api/v1/strategy/{name}/disable", {"reason": "the run is over"}
                )
            return not self._database.rows("SELECT 1 FROM trading_strategy WHERE is_enabled")

        def patiently() -> bool:
            try:
                return disabled()
            except (psycopg.Error, TypeError):
                return False

        eventually(patiently, within_s=45, what="strategies disabled", every_s=0.5)

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
        counts, books = misfortune.counts, self._final_books
        hit = crash_points_hit(misfortune.points_directory)
        statuses: dict[str, int] = {}
        for order in books.orders:
            statuses[order["status"]] = statuses.get(order["status"], 0) + 1
        unknown = self._database.rows(
            "SELECT count(*) AS n FROM trading_orderevent WHERE status = 'UNKNOWN'"
        )[0]["n"]
        ours = {a["name"] for a in books.accounts}
        answer: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "build": _build(),
            **asdict(self._options),
            "duration_s": round(time.monotonic() - self._began, 1),
            "traded_s": round(traded_s, 1),
            "kills_done": sum(counts.kills.values()) + sum(hit.values()),
            "kills_by_kind": dict(sorted(counts.kills.items())),
            "kills_by_point": dict(sorted(hit.items())),
            "stops": dict(sorted(counts.stops.items())),
            "flushes": counts.flushes,
            "fault_windows": sum(counts.windows.values()),
            "fault_windows_by_kind": dict(sorted(counts.windows.items())),
            "drills": getattr(self, "_drilled", 0),
            "running_checks": self._checks,
            "asked": sum(stream.told.answers.values()),
            "answers": dict(stream.told.answers.most_common()),
            "repeated_requests": stream.told.retries,
            "orders": len(books.orders),
            "orders_at_venue": sum(1 for o in self._final_venue.orders if o["account_id"] in ours),
            "orders_by_market": {
                m: sum(1 for o in books.orders if o["market"] == m)
                for m in sorted({o["market"] for o in books.orders})
            },
            "orders_by_status": dict(sorted(statuses.items())),
            "unknown_outcomes": unknown,
            "fills": len(books.fills),
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


def _build() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
