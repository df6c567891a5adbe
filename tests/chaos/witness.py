"""What both sides say: the paper exchange's own journal, and the platform's database read with plain SQL.

Nothing here is shared with the platform. A bug in its models, selectors or parsers cannot hide itself.
"""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]


@dataclass(frozen=True)
class Venue:
    """The exchange's ledger at one moment. Numbers as strings, `seq` counts everything that happened there."""

    orders: list[Row]
    algo_orders: list[Row]
    fills: list[Row]
    balances: dict[str, dict[str, dict[str, dict[str, str]]]]
    positions: list[Row]
    income: list[Row]
    seq: int


@dataclass(frozen=True)
class Books:
    """The platform's rows at one moment: every table from the same snapshot."""

    orders: list[Row]
    events: list[Row]
    fills: list[Row]
    ledger: list[Row]
    balances: list[Row]
    positions: list[Row]
    buckets: list[Row]
    limits: list[Row]
    accounts: list[Row]
    reserved_audits: dict[str, int]
    pushed: list[Row]
    leases: list[Row]
    sub_balances: list[Row]
    sub_positions: list[Row]


class Exchange:
    """The paper exchange's control API."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url.rstrip("/"), token

    def call(self, method: str, path: str, body: Any = None, *, timeout_s: float = 60.0) -> Any:
        """One call; HTTP errors and lost connections are the caller's to handle."""
        request = urllib.request.Request(
            f"{self._url}/testnet/v1/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Testnet-Control": self._token, "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            raw = answer.read()
        return json.loads(raw) if raw else None

    def ledger(self) -> Venue:
        """Everything that really happened."""
        raw = self.call("GET", "ledger")
        return Venue(
            orders=raw["orders"],
            algo_orders=raw.get("algo_orders", []),
            fills=raw["fills"],
            balances=raw["balances"],
            positions=raw["positions"],
            income=raw["income"],
            seq=raw["seq"],
        )


_QUERIES = {
    "accounts": "SELECT a.name, v.name AS venue, v.market, a.opened_at FROM trading_account a"
    " JOIN universe_venue v ON v.id = a.venue_id",
    "orders": "SELECT o.*, a.name AS account, v.market, i.symbol, s.name AS strategy FROM trading_order o"
    " JOIN trading_account a ON a.id = o.account_id JOIN universe_instrument i ON i.id = o.instrument_id"
    " JOIN universe_venue v ON v.id = a.venue_id LEFT JOIN trading_strategy s ON s.id = o.strategy_id"
    " ORDER BY o.id",
    "events": "SELECT id, order_id, status, source, at FROM trading_orderevent ORDER BY id",
    "fills": "SELECT f.*, a.name AS account, i.symbol, o.client_order_id, o.strategy_id FROM trading_fill f"
    " JOIN trading_account a ON a.id = f.account_id JOIN universe_instrument i ON i.id = f.instrument_id"
    " JOIN trading_order o ON o.id = f.order_id ORDER BY f.id",
    "ledger": "SELECT a.name AS account, l.transaction, l.owner, l.sub, l.asset, l.amount, l.kind"
    " FROM trading_ledgerentry l JOIN trading_account a ON a.id = l.account_id",
    "balances": "SELECT a.name AS account, b.asset, b.amount, b.reserved FROM trading_balance b"
    " JOIN trading_account a ON a.id = b.account_id",
    "positions": "SELECT p.*, a.name AS account, v.market, i.symbol, i.base_asset FROM trading_position p"
    " JOIN trading_account a ON a.id = p.account_id JOIN universe_instrument i ON i.id = p.instrument_id"
    " JOIN universe_venue v ON v.id = a.venue_id",
    "sub_balances": "SELECT a.name AS account, b.owner, b.asset, b.amount FROM trading_subbalance b"
    " JOIN trading_account a ON a.id = b.account_id",
    "sub_positions": "SELECT a.name AS account, i.symbol, p.position_side, s.owner, s.quantity"
    " FROM trading_subposition s JOIN trading_position p ON p.id = s.position_id"
    " JOIN trading_account a ON a.id = p.account_id JOIN universe_instrument i ON i.id = p.instrument_id",
    "buckets": "SELECT * FROM trading_exposurebucket",
    "limits": "SELECT name, scope, value FROM trading_risklimit",
    "leases": "SELECT name, fence, holder, build, until FROM common_lease",
    "pushed": "SELECT DISTINCT ON (data->>'id') data->>'id' AS uid, data->>'status' AS status,"
    " data->>'executed_quantity' AS executed, event_id FROM common_outboxevent WHERE topic = 'orders'"
    " ORDER BY data->>'id', id DESC",
}
_RESERVED_AUDITS = (
    "SELECT target, count(*) AS n FROM common_auditentry WHERE action = 'order.reserved' GROUP BY 1"
)


class Database:
    """The platform's database, reached as its own processes reach it; reconnects by itself."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: psycopg.Connection[Row] | None = None

    @classmethod
    def of_home(cls, home: Path) -> Database:
        """The database of a running home, by the note its supervisor keeps."""
        return cls(json.loads((home / "run" / "services.json").read_text())["DATABASE_URL"])

    def connection(self) -> psycopg.Connection[Row]:
        """A connection that works; OperationalError while the database is away."""
        if self._connection is not None:
            try:
                self._connection.execute("SELECT 1")
            except psycopg.Error:
                self._connection = None
        if self._connection is None:
            self._connection = psycopg.connect(
                self.url, autocommit=True, row_factory=dict_row, connect_timeout=5
            )
        return self._connection

    def rows(self, query: str, *parameters: Any) -> list[Row]:
        """One statement's rows."""
        return self.connection().execute(query, parameters or None).fetchall()

    def books(self) -> Books:
        """Every table the oracle reads, from one snapshot."""
        connection = self.connection()
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            found = {name: connection.execute(query).fetchall() for name, query in _QUERIES.items()}
            audits = {row["target"]: row["n"] for row in connection.execute(_RESERVED_AUDITS)}
        return Books(**found, reserved_audits=audits)


def number(text: object) -> Decimal:
    """A number of either side; nothing is zero."""
    return Decimal(str(text)) if text not in (None, "") else Decimal(0)
