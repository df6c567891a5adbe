"""The desk of a chaos run: room to trade, playbooks that stand aside, the markets there are, strategies that end."""

from __future__ import annotations

from decimal import Decimal

import psycopg

from tests.chaos.stream import Market
from tests.chaos.witness import Database
from tests.e2e.platform import Answer, Platform, Session, eventually

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


def loosen(platform: Platform) -> None:
    """Give the stream room, as people do it: one asks, another approves."""
    second = platform.session("risk2")
    for name, value in LIMITS.items():
        asked = platform.request(
            "PUT",
            f"/api/v1/limits/{name}",
            {"value": value, "scope": "global", "reason": "a chaos run"},
            token="risk",
        )
        if asked.status == 202:
            _approve(second, asked)


def disarm(platform: Platform, database: Database) -> None:
    """Keep the playbooks out: they would stop, as they should, what is to be struck."""
    second = platform.session("risk2")
    armed = eventually(
        lambda: database.rows("SELECT name FROM governance_playbook WHERE is_armed"),
        within_s=60,
        what="the playbooks are there",
    )
    for row in armed:
        asked = platform.request(
            "PUT",
            f"/api/v1/playbooks/{row['name']}",
            {"is_armed": False, "reason": "a chaos run"},
            token="risk",
        )
        assert asked.status == 202, asked.body
        _approve(second, asked)


def _approve(second: Session, asked: Answer) -> None:
    """A second person agrees."""
    done = second.post(f"/api/v1/approvals/{asked.body['id']}/approve", {"note": "a chaos run"})
    assert done.status == 200, done.body


def markets(database: Database) -> list[Market]:
    """Every symbol an account may trade."""
    rows = eventually(
        lambda: database.rows(
            "SELECT a.name AS account, v.market, i.symbol, i.filters"
            " FROM trading_symbolallowance s JOIN trading_account a ON a.id = s.account_id"
            " JOIN universe_instrument i ON i.id = s.instrument_id"
            " JOIN universe_venue v ON v.id = a.venue_id ORDER BY 1, 3"
        ),
        within_s=90,
        what="symbols that may be traded",
    )
    found = []
    for row in rows:
        rules = {rule["filterType"]: rule for rule in row["filters"]["filters"]}
        tick, step = rules["PRICE_FILTER"]["tickSize"], rules["LOT_SIZE"]["stepSize"]
        found.append(
            Market(row["account"], row["market"], row["symbol"], Decimal(tick), Decimal(step).normalize())
        )
    return found


def trades(database: Database) -> bool:
    """Whether every account has been found clean once."""
    rows = database.rows("SELECT reconciled_at FROM trading_account WHERE is_active")
    return all(row["reconciled_at"] is not None for row in rows)


def strategies_stop(platform: Platform, database: Database) -> None:
    """No new decisions: what is judged must stand still."""

    def disabled() -> bool:
        rows = platform.get("/api/v1/strategy/").body
        names = [
            s["name"] for s in (rows["results"] if isinstance(rows, dict) else rows) if s.get("enabled", True)
        ]
        for name in names:
            platform.request("POST", f"/api/v1/strategy/{name}/disable", {"reason": "the run is over"})
        return not database.rows("SELECT 1 FROM trading_strategy WHERE is_enabled")

    def patiently() -> bool:
        try:
            return disabled()
        except (psycopg.Error, TypeError):
            return False

    eventually(patiently, within_s=45, what="strategies disabled", every_s=0.5)
