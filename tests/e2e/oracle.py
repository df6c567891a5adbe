"""Our books against the exchange's own journal: every difference is told, none is tolerated.

The oracle itself is `tests.chaos.oracle`, the same for every tier; here is how an end-to-end test waits for it.
"""

from __future__ import annotations

import psycopg

from tests.chaos.oracle import final
from tests.chaos.witness import Database, Exchange
from tests.e2e.platform import Platform, eventually


def differences(platform: Platform) -> list[str]:
    """Everything that differs between the exchange and our rows; empty when nothing does."""
    token = (platform.home / "testnet" / "control_token").read_text().strip()
    exchange = Exchange(f"http://127.0.0.1:{platform.testnet_port}", token)
    try:
        venue = exchange.ledger()
        findings = final(venue, Database.of_home(platform.home).books())
    except psycopg.Error as error:
        return [f"the database cannot be read: {error}"]
    return findings.lines()


def agree(platform: Platform, *, within_s: float = 30.0) -> None:
    """Wait until both sides are equal; while orders are on their way they need not be."""
    last: list[str] = []

    def equal() -> bool:
        nonlocal last
        last = differences(platform)
        return not last

    try:
        eventually(equal, within_s=within_s, what="books equal to the exchange's", every_s=0.5)
    except AssertionError:
        raise AssertionError("the books differ from the exchange's:\n" + "\n".join(last[:20])) from None
