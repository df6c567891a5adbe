"""The crash table, row by row, on real processes: killed, stopped or lied to at exactly that place, and recovered.

One platform for all of it. Rows that need nothing of each other run together, each on a symbol (and so a lane) of its
own; then one look of the oracle judges them all. `CHAOS_MATRIX=100` repeats the whole of it.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from nautilus_site.common.crash_points import crash_point_arm, crash_points_hit
from tests.chaos.oracle import Findings, audit_verified, final
from tests.chaos.witness import Database, Exchange, Row
from tests.e2e.platform import Answer, Platform, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.long]

ROUNDS = int(os.environ.get("CHAOS_MATRIX", "1"))
ORDER = "/api/v3/order"
ENDED = ("FILLED", "CANCELED", "EXPIRED", "REJECTED", "ABSENT", "RELEASED")


class Bench:
    """A platform without strategies, so that every order is the test's."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        token = (platform.home / "testnet" / "control_token").read_text().strip()
        self.exchange = Exchange(f"http://127.0.0.1:{platform.testnet_port}", token)
        self.database = Database.of_home(platform.home)
        self.points = platform.home / "run" / "crash_points"
        self.hits: dict[str, int] = {}

    def body(self, symbol: str, *, rests: bool = False) -> dict[str, str]:
        """A small order, cut to the symbol's steps."""
        filters = self.database.rows(
            "SELECT filters FROM universe_instrument WHERE symbol = %s AND market = 'spot'", symbol
        )[0]["filters"]["filters"]
        rules = {rule["filterType"]: rule for rule in filters}
        step, tick = Decimal(rules["LOT_SIZE"]["stepSize"]), Decimal(rules["PRICE_FILTER"]["tickSize"])
        price = self.platform.price(symbol)
        quantity = Decimal(40) / price // step * step
        body = {"account": "paper-spot", "symbol": symbol, "side": "BUY", "quantity": f"{quantity:f}"}
        if not rests:
            return {**body, "type": "MARKET"}
        limit = price * Decimal("0.997") // tick * tick
        return {**body, "type": "LIMIT", "price": f"{limit:f}"}

    def post(self, body: dict[str, str], key: str) -> Answer:
        return self.platform.request("POST", "/api/v1/orders", body, headers={"Idempotency-Key": key})

    def order(self, symbol: str, *, rests: bool = False) -> str:
        """Ask for a small order until it is accepted (prices may be stale for a moment); its client order id."""

        def accepted() -> str | None:
            try:
                answer = self.post(self.body(symbol, rests=rests), f"matrix-{uuid.uuid4()}")
            except (psycopg.Error, http.client.HTTPException):
                return None
            if answer.status != 201:
                raise KeyError(str(answer.body)[:300])
            return str(answer.body["client_order_id"])

        return str(eventually(accepted, within_s=90, what=f"an accepted order of {symbol}", every_s=0.5))

    def accepted(self) -> list[Row]:
        """Orders that were not denied."""
        return self.database.rows("SELECT id FROM trading_order WHERE status <> 'DENIED'")

    def until_hit(self, name: str, symbol: str, *, times: int = 1) -> list[str]:
        """Ask for orders until one has led a process to its end at a place; all of them, the last one first.

        A lane whose holder died is closed for a while, and an order may grow too old there to be sent.
        """
        wanted = self.hits.get(name, 0) + times
        orders: list[str] = []
        for _ in range(6):
            orders.insert(0, self.order(symbol))
            with contextlib.suppress(AssertionError):
                eventually(lambda: self._hits(name) >= wanted, within_s=20, what=f"{name} reached")
                return orders
        raise AssertionError(f"no order of {symbol} led anybody to {name}")

    def _hits(self, name: str) -> int:
        return crash_points_hit(self.points).get(name, 0)

    def row(self, client_id: str) -> Row:
        return self.database.rows("SELECT * FROM trading_order WHERE client_order_id = %s", client_id)[0]

    def ended(self, client_id: str, *statuses: str, within_s: float = 90.0) -> str:
        """Wait for an order's end; fail when it is another one than expected."""

        def over() -> str | None:
            try:
                status = str(self.row(client_id)["status"])
            except psycopg.Error:
                return None
            return status if status in (statuses or ENDED) else None

        return str(
            eventually(over, within_s=within_s, what=f"{client_id} is {' or '.join(statuses or ENDED)}")
        )

    def arm(self, name: str, action: str = "kill", seconds: float = 0.0) -> None:
        crash_point_arm(self.points, name, action, seconds=seconds)

    def hit(self, name: str, *, times: int = 1) -> None:
        """Wait until a process has been where it was told to die, since the round began."""
        wanted = self.hits.get(name, 0) + times
        eventually(lambda: self._hits(name) >= wanted, within_s=60, what=f"{name} reached")

    def round(self) -> None:
        """From here on count anew."""
        self.hits = crash_points_hit(self.points)

    def fault(self, match: dict[str, Any], effect: dict[str, Any]) -> int:
        return int(self.exchange.call("POST", "faults", {"match": match, "effect": effect})["id"])

    def heal(self, fault: int) -> None:
        self.exchange.call("DELETE", f"faults/{fault}")

    def agree(self, *, within_s: float = 90.0) -> None:
        """Wait until the oracle finds no difference at all."""
        last: Findings = Findings()

        def equal() -> bool:
            nonlocal last
            try:
                venue = self.exchange.ledger()
                last = final(venue, self.database.books())
            except (OSError, psycopg.Error):
                return False
            return last.total == 0

        try:
            eventually(equal, within_s=within_s, what="no difference", every_s=1.0)
        except AssertionError:
            raise AssertionError("\n".join(last.lines()) or "the witnesses cannot be read") from None

    def times_at_venue(self, client_id: str) -> int:
        return [o["client_order_id"] for o in self.exchange.ledger().orders].count(client_id)

    def kill(self, kind: str) -> None:
        for pid in self.platform.pids(kind)[:1]:
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="nautilus-matrix-"))
    platform = Platform(folder / "home", {"CRASH_POINTS": "on", "TESTNET_SPEED": "1"})
    failed = True
    try:
        platform.start(ready_within_s=900)
        bench = Bench(platform)
        eventually(
            lambda: bench.database.rows("SELECT 1 FROM trading_strategyinstance"),
            within_s=60,
            what="the demo's strategies",
        )
        for strategy in bench.database.rows("SELECT name FROM trading_strategy WHERE is_enabled"):
            platform.request(
                "POST",
                f"/api/v1/strategy/{strategy['name']}/disable",
                {"reason": "the matrix has its own orders"},
            )
        eventually(
            lambda: all(r["reconciled_at"] for r in bench.database.rows("SELECT * FROM trading_account")),
            within_s=90,
            what="the first clean reconciliation",
        )
        bench.agree()
        yield bench
        failed = False
    finally:
        if platform.process is not None and platform.process.poll() is None:
            platform.stop()
        if not failed:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_c1_to_c8_whoever_dies_or_sleeps_on_the_way_of_an_order_nothing_is_lost_or_doubled(
    bench: Bench, round_: int
) -> None:
    bench.round()
    # C1: the web process dies while it reserves a person's order. The client asks again at the end.
    key, before = "", len(bench.accepted())
    body = bench.body("ETHUSDT")
    bench.arm("C1")
    for _ in range(30):
        key = f"matrix-{uuid.uuid4()}"
        try:
            answer = bench.post(body, key)
        except (OSError, http.client.HTTPException):
            break
        # Denied while prices are stale; a denial does not get that far.
        assert answer.status == 422, answer.body
        time.sleep(1)
    bench.hit("C1")
    assert len(bench.accepted()) == before
    # C3: killed with a signed request in hand. Nothing was sent, and only a proof may say so.
    bench.arm("C3")
    (lost,) = bench.until_hit("C3", "ETHUSDT")
    # C7: authorised and signed, then asleep for longer than its lease; what wakes up holds a dead request.
    bench.arm("C3", "stop", seconds=16.0)
    (paused,) = bench.until_hit("C3", "BNBUSDT", times=2)
    # C2, C5, C6 and both transactions before their commit, spread over the lanes: each death closes one for 12.5 s.
    survivors: dict[str, str] = {}
    for name, symbol in (
        *(("C2", "BTCUSDT"), ("C", "SOLUSDT"), ("B", "BTCUSDT")),
        *(("C6", "DOGEUSDT"), ("C5", "BTCUSDT")),
    ):
        bench.arm(name)
        survivors |= dict.fromkeys(bench.until_hit(name, symbol), name)
    # C4: the venue executes, the answer never arrives. C8: a request under way for longer than its window.
    fault = bench.fault({"path": ORDER, "method": "POST", "count": 1}, {"error_after": "drop"})
    unanswered = bench.order("SOLUSDT")
    assert bench.ended(unanswered) in ("FILLED", "EXPIRED")
    bench.heal(fault)
    fault = bench.fault({"path": ORDER, "method": "POST", "count": 1}, {"delay_ms": 2600})
    late = bench.order("SOLUSDT")
    assert bench.ended(late, "REJECTED", "ABSENT") in ("REJECTED", "ABSENT")
    bench.heal(fault)
    for client_id, name in survivors.items():
        status = bench.ended(client_id)
        # A decision that outlived its lane's take-over is given up, never sent late.
        assert status in ("FILLED", "EXPIRED", "RELEASED"), f"{name}: {status}"
        assert bench.times_at_venue(client_id) == (0 if status == "RELEASED" else 1), name
    for client_id, ends in ((lost, ("ABSENT",)), (paused, ("ABSENT", "REJECTED"))):
        assert bench.ended(client_id, *ends) in ends
    for client_id in (lost, paused, late):
        assert bench.times_at_venue(client_id) == 0
    answer = eventually(
        lambda: a if (a := bench.post(body, key)).status in (200, 201) else None, within_s=90, what="accepted"
    )
    assert bench.post(body, key).body["client_order_id"] == answer.body["client_order_id"]
    assert bench.ended(answer.body["client_order_id"]) in ("FILLED", "EXPIRED", "RELEASED")
    bench.agree()


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_c9_and_c14_a_stream_that_lies_and_a_sweep_killed_in_the_middle_of_its_repair(
    bench: Bench, round_: int
) -> None:
    bench.round()
    faults = [
        bench.fault({"event": "executionReport"}, {"drop_event": True}),
        bench.fault({"path": ORDER, "method": "POST", "count": 2}, {"error_after": "drop"}),
    ]
    bench.arm("C14")
    orders = [bench.order("BTCUSDT"), bench.order("ETHUSDT")]
    bench.hit("C14")
    for client_id in orders:
        assert bench.ended(client_id) in ("FILLED", "EXPIRED", "RELEASED")
    bench.heal(faults[0])
    doubled = [
        bench.fault({"event": "*"}, {"duplicate_event": True}),
        bench.fault({"event": "*"}, {"reorder_events": True}),
    ]
    orders = [bench.order("SOLUSDT"), bench.order("BTCUSDT")]
    bench.fault({"event": "*", "count": 2}, {"disconnect": True})
    for client_id in orders:
        assert bench.ended(client_id) in ("FILLED", "EXPIRED", "RELEASED")
    for fault in (faults[1], *doubled):
        bench.heal(fault)
    bench.agree()


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_canceler_killed_before_or_after_the_venue_answers_cancels_once_and_books_it(
    bench: Bench, round_: int
) -> None:
    bench.round()
    resting = {
        name: bench.order(symbol, rests=True)
        for name, symbol in (("cancel", "BTCUSDT"), ("canceled", "ETHUSDT"))
    }
    for client_id in resting.values():
        bench.ended(client_id, "NEW")
    for name, client_id in resting.items():
        bench.arm(name)
        uid = bench.row(client_id)["uid"]
        assert bench.platform.request("DELETE", f"/api/v1/orders/{uid}").status in (200, 202)
        bench.hit(name)
    for client_id in resting.values():
        bench.ended(client_id, "CANCELED")
    bench.agree()


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_c10_c12_c13_postgres_valkey_and_beat_may_die_and_hints_may_vanish(bench: Bench, round_: int) -> None:
    orders = [bench.order("BTCUSDT")]
    bench.kill("postgres")
    orders.append(bench.order("ETHUSDT"))
    redis.Redis(unix_socket_path=str(bench.platform.home / "run" / "valkey.sock")).flushall()
    orders.append(bench.order("SOLUSDT"))
    bench.kill("valkey")
    bench.kill("beat")
    orders.append(bench.order("BTCUSDT"))
    for client_id in orders:
        status = bench.ended(client_id)
        assert status in ("FILLED", "EXPIRED", "RELEASED")
        assert bench.times_at_venue(client_id) == (0 if status == "RELEASED" else 1)
    bench.agree()


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_c15_c16_c17_a_jumping_clock_a_venue_that_is_gone_and_balances_that_vanish(
    bench: Bench, round_: int
) -> None:
    fault = bench.fault({}, {"clock_skew_ms": 60_000})
    skewed = bench.order("BTCUSDT")
    assert bench.ended(skewed) in ("FILLED", "EXPIRED", "RELEASED", "REJECTED", "ABSENT")
    bench.heal(fault)
    gone = bench.platform.pids("testnet")[0]
    waiting = bench.order("ETHUSDT")
    os.kill(gone, signal.SIGSTOP)
    time.sleep(3)
    os.kill(gone, signal.SIGCONT)
    assert bench.ended(waiting) in ENDED
    empty = bench.fault({"path": "*"}, {"zero_balances": True})
    time.sleep(3)
    bench.heal(empty)
    amounts = bench.database.rows("SELECT amount FROM trading_balance WHERE asset = 'USDT'")
    assert all(row["amount"] > 0 for row in amounts), "balances were believed to be gone"
    bench.agree()
    assert audit_verified(bench.platform.home) == []
