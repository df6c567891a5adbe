"""The drill of a chaos run: a level is raised in the middle of it, and lowered again by two people (O5)."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from tests.chaos.witness import Database
from tests.e2e.platform import Platform, eventually


class Drill:
    """Raises and lowers the level of one symbol, as often as it is asked to."""

    def __init__(self, platform: Platform, database: Database, say: Callable[[str], None]) -> None:
        self._platform, self._database, self._say = platform, database, say
        self.done = 0

    def run(self) -> list[str]:
        """Returns what was authorised although the kill was committed."""
        scope = "symbol:BTCUSDT"
        raised = self._platform.command(
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
            return []
        if raised.returncode != 0 and not (level and level[0]["level"] == 2):
            return []
        self._say("drill: BTCUSDT is at HALT_NEW")
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
        self.done += 1
        self._resume(scope)
        return [f"order {row['client_order_id']} was authorised after the kill" for row in late]

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
        self._say("drill: BTCUSDT is active again")
