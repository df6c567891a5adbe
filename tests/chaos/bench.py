"""A platform of real processes on which a test kills, stops and lies at named places, and one look that judges it."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from nautilus_site.common.crash_points import crash_point_arm, crash_points_hit
from tests.chaos.findings import Findings
from tests.chaos.oracle import final
from tests.chaos.witness import Database, Exchange, Row
from tests.e2e.platform import Answer, Platform, eventually

ENDED = ("FILLED", "CANCELED", "EXPIRED", "REJECTED", "ABSENT", "RELEASED")


def _tick(price: Decimal) -> Decimal:
    """A step that every tick size of the demo's coins divides, for a price of theirs."""
    return Decimal(1).scaleb(price.adjusted() - 3)


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
        """A small order, cut to the symbol's steps; one that rests lies where the market does not get within a test."""
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
        limit = price * Decimal("0.97") // tick * tick
        return {**body, "type": "LIMIT", "price": f"{limit:f}"}

    def post(self, body: dict[str, str], key: str) -> Answer:
        return self.platform.request("POST", "/api/v1/orders", body, headers={"Idempotency-Key": key})

    def order(self, symbol: str, *, rests: bool = False) -> str:
        """Ask for a small order until it is accepted (prices may be stale for a moment); its client order id."""
        answer = self._answered(symbol, rests=rests, unless="")
        return str(answer.body["client_order_id"])

    def order_unless(self, code: str, symbol: str) -> str | None:
        """The same, or None where it is denied with a code."""
        answer = self._answered(symbol, rests=False, unless=code)
        return str(answer.body["client_order_id"]) if answer.status == 201 else None

    def _answered(self, symbol: str, *, rests: bool, unless: str) -> Answer:
        def answered() -> Answer | None:
            try:
                answer = self.post(self.body(symbol, rests=rests), f"matrix-{uuid.uuid4()}")
            except (psycopg.Error, http.client.HTTPException):
                return None
            if answer.status != 201 and (not unless or answer.body.get("code") != unless):
                raise KeyError(str(answer.body)[:300])
            return answer

        found: Answer = eventually(answered, within_s=90, what=f"an accepted order of {symbol}", every_s=0.5)
        return found

    def replace(self, client_id: str) -> str:
        """Ask for a resting order at a price a little lower, until that is accepted; the new one's client order id."""
        row = self.row(client_id)
        body = {"price": f"{row['price'] * Decimal('0.999') // _tick(row['price']) * _tick(row['price']):f}"}

        def accepted() -> str | None:
            answer = self.platform.request(
                "POST",
                f"/api/v1/orders/{row['uid']}/amend",
                {**body, "reason": "the matrix moves it"},
                headers={"Idempotency-Key": f"matrix-{uuid.uuid4()}"},
            )
            if answer.status not in (200, 201, 202):
                raise KeyError(str(answer.body)[:300])
            return str(answer.body["client_order_id"])

        return str(eventually(accepted, within_s=60, what=f"{client_id} replaced", every_s=0.5))

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


@contextlib.contextmanager
def running_bench() -> Iterator[Bench]:
    """Start it, switch its strategies off, wait for the first clean reconciliation."""
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
