"""Killed with a position under protection; a database that cannot commit; a host that is lost with its newest rows.

The rest of the crash table is in `test_crash_matrix`. One platform for all of it; what ends the host comes last.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.chaos.bench import Bench, running_bench
from tests.chaos.oracle import audit_verified
from tests.chaos.witness import Database
from tests.e2e.platform import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.long]

WRITTEN = (
    "trading_order", "trading_orderevent", "trading_fill", "trading_ledgerentry", "trading_position",
    "common_auditentry", "common_outboxevent",
)  # fmt: skip


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with running_bench() as found:
        yield found


def stops(bench: Bench, symbol: str) -> list[tuple[str, Decimal]]:
    """(client order id, trigger) of the stops that rest at the exchange."""
    rows = bench.database.rows(
        "SELECT o.client_order_id, o.stop_price FROM trading_order o JOIN trading_bracketleg l ON l.order_id = o.id"
        " JOIN universe_instrument i ON i.id = o.instrument_id"
        " WHERE i.symbol = %s AND i.market = 'spot' AND l.role = 'stop'",
        symbol,
    )
    ours = {row["client_order_id"]: Decimal(row["stop_price"]) for row in rows}
    return [
        (o["client_order_id"], ours[o["client_order_id"]])
        for o in bench.exchange.ledger().orders
        if o["client_order_id"] in ours and o["status"] == "NEW"
    ]


def state_is(bench: Bench, bracket: int, *states: str) -> str:
    def reached() -> str | None:
        row = bench.database.rows("SELECT state FROM trading_bracket WHERE id = %s", bracket)[0]
        return str(row["state"]) if row["state"] in states else None

    return str(eventually(reached, within_s=120, what=f"the bracket is {' or '.join(states)}"))


def test_a_worker_killed_at_each_step_of_a_bracket_leaves_one_set_of_orders(bench: Bench) -> None:
    bench.round()
    symbol = "ETHUSDT"
    price = bench.platform.price(symbol)
    body: dict[str, Any] = {
        **bench.body(symbol),
        "stop_loss": f"{price * Decimal('0.90'):.0f}",
        "take_profit": f"{price * Decimal('1.10'):.0f}",
    }
    bench.database.rows(
        "UPDATE trading_risklimit SET value = 600 WHERE name = 'unprotected_max_age' RETURNING 1"
    )
    bench.arm("bracket")

    def accepted() -> bool:
        with contextlib.suppress(http.client.HTTPException):
            return bench.post(body, f"bracket-{uuid.uuid4()}").status == 201
        return False

    eventually(accepted, within_s=90, what="an order with exits")
    bench.hit("bracket")
    bracket = int(bench.database.rows("SELECT max(id) AS id FROM trading_bracket")[0]["id"])
    state_is(bench, bracket, "PROTECTED")
    assert len(stops(bench, symbol)) == 1

    for moves, name in enumerate(("C1", "bracket", "cancel", "canceled", "C3", "C5", "C6"), start=1):
        level = (price * Decimal("0.90")).to_integral_value() - moves
        bench.round()
        bench.arm(name)
        path = f"/api/v1/brackets/{bracket}/move"
        answer = bench.platform.request("POST", path, {"stop_loss": f"{level:f}", "reason": name})
        assert answer.status == 200, answer.body
        bench.hit(name)

        def one_at_the_level(level: Decimal = level) -> bool:
            return [trigger for _, trigger in stops(bench, symbol)] == [level]

        eventually(one_at_the_level, within_s=150, what=f"{name}: one stop at {level}")
        state_is(bench, bracket, "PROTECTED")

    bench.arm("canceled")
    assert bench.platform.request("DELETE", f"/api/v1/brackets/{bracket}").status == 200
    bench.hit("canceled", times=1)
    state_is(bench, bracket, "DONE")
    assert stops(bench, symbol) == []
    bench.agree()


def test_c18_nothing_is_sent_while_the_database_has_no_room_to_commit(bench: Bench) -> None:
    """Every commit fails as on a full disk (SQLSTATE 53100), also that of an order on its way to the wire."""
    bench.round()
    bench.arm("C2", "sleep", seconds=10.0)
    waiting = bench.order("BTCUSDT")
    bench.hit("C2")
    with no_room(bench.database):
        sent = len(bench.exchange.ledger().orders)
        with contextlib.suppress(OSError, http.client.HTTPException):
            assert bench.post(bench.body("SOLUSDT"), f"full-{uuid.uuid4()}").status >= 422
        time.sleep(12)  # what slept has woken up by now
        assert bench.times_at_venue(waiting) == 0
        assert len(bench.exchange.ledger().orders) == sent
    status = bench.ended(waiting)
    assert status in ("FILLED", "EXPIRED", "RELEASED")
    assert bench.times_at_venue(waiting) == (0 if status == "RELEASED" else 1)
    assert bench.ended(bench.order("SOLUSDT")) in ("FILLED", "EXPIRED")
    bench.agree()


@contextlib.contextmanager
def no_room(database: Database) -> Iterator[None]:
    connection = database.connection()
    connection.execute("SET lock_timeout = '3s'")
    connection.execute(
        "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
    )
    try:
        for table in WRITTEN:
            statement = (
                f"CREATE CONSTRAINT TRIGGER no_room AFTER INSERT OR UPDATE ON {table} DEFERRABLE"
                " INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION no_room()"
            )
            _insisting(database, statement)
        yield
    finally:
        for table in WRITTEN:
            _insisting(database, f"DROP TRIGGER IF EXISTS no_room ON {table}")
        _insisting(database, "DROP FUNCTION no_room()")


def _insisting(database: Database, statement: str) -> None:
    def done() -> bool:
        with contextlib.suppress(psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            database.connection().execute(statement)
            return True
        return False

    eventually(done, within_s=60, what=statement[:60])


def test_c11_and_c20_a_host_lost_with_its_newest_rows_adopts_what_it_forgot_before_it_trades(
    bench: Bench,
) -> None:
    bench.agree()
    kept = copied(bench)
    forgotten = [bench.order(symbol) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")]
    for client_id in forgotten:
        assert bench.ended(client_id) in ("FILLED", "EXPIRED")
    resting = bench.order("BTCUSDT", rests=True)
    bench.ended(resting, "NEW")
    head = bench.platform.home / "audit" / "head.log"
    noted = head.stat().st_size
    forgotten.append(bench.order("ETHUSDT"))
    assert bench.ended(forgotten[-1]) in ("FILLED", "EXPIRED")
    eventually(lambda: head.stat().st_size > noted, within_s=30, what="entries that will be lost are sealed")
    for pid in bench.platform.all_pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: not bench.platform.all_pids(), within_s=60, what="the host is gone")
    data = bench.platform.home / "postgres"
    shutil.rmtree(data)
    shutil.move(kept, data)

    bench.platform.start(ready_within_s=600)
    bench.database = Database.of_home(bench.platform.home)

    def trades(symbol_trades: list[dict[str, Any]]) -> set[tuple[str, str]]:
        return {(str(row["symbol"]), str(row["trade_id"])) for row in symbol_trades}

    def adopted() -> bool:
        venue = [f for f in bench.exchange.ledger().fills if f["account_id"] == "paper-spot"]
        books = bench.database.rows(
            "SELECT i.symbol, f.trade_id FROM trading_fill f JOIN trading_account a ON a.id = f.account_id"
            " JOIN universe_instrument i ON i.id = f.instrument_id WHERE a.name = 'paper-spot'"
        )
        return trades(venue) == trades(books)

    eventually(adopted, within_s=180, what="every execution is in the books again", every_s=1.0)
    for client_id in (*forgotten, resting):
        assert bench.row(client_id)["origin"] == "external"
        assert bench.times_at_venue(client_id) == 1
    new = bench.order("BTCUSDT")  # accepted only once the books equal the exchange's
    assert bench.ended(new) in ("FILLED", "EXPIRED")
    uid = bench.row(resting)["uid"]
    assert bench.platform.request("DELETE", f"/api/v1/orders/{uid}").status in (200, 202)
    bench.ended(resting, "CANCELED")
    bench.agree()
    # The head file outlived the host: that sealed entries are gone with it is told, not glossed over.
    (told,) = audit_verified(bench.platform.home)
    assert "is noted in the head file" in told  # as missing, or as two, where its number was given away again
    accept_the_loss(bench)
    assert audit_verified(bench.platform.home) == []


def accept_the_loss(bench: Bench) -> None:
    """As two risk officers do it, without their browsers."""
    done = bench.platform.command(
        "shell", "-c",
        "from nautilus_site.common.models import User\n"
        "from nautilus_site.common.services.change_requests import change_request_approve, change_request_create\n"
        "one, other = User.objects.filter(role='risk_officer', is_active=True).order_by('pk')[:2]\n"
        "asked = change_request_create(kind='audit.accept_loss', target='audit:chain', payload={},"
        " reason='the stand-by took over', requester=one)\n"
        "print(change_request_approve(request_id=asked.pk, approver=other).state)",
    )  # fmt: skip
    assert "applied" in done.stdout, done.stderr


def copied(bench: Bench) -> Path:
    """What a stand-by had: the cluster as it was at this moment, all that is committed later is lost with the host."""
    home = bench.platform.home
    source, target = home / "postgres", home.parent / "standby"
    role = conninfo_to_dict(bench.database.url) | {
        "user": "postgres",
        "password": (source / "superuser_password").read_text().strip(),
    }
    connection = psycopg.connect(**role, autocommit=True)
    connection.execute("SELECT pg_backup_start('stand-by', true)")
    shutil.copytree(
        source, target, symlinks=True, copy_function=_copied_if_there,
        ignore=lambda folder, names: [n for n in names if n in ("postmaster.pid", "postmaster.opts")],
    )  # fmt: skip
    stopped = connection.execute("SELECT labelfile FROM pg_backup_stop(wait_for_archive => false)").fetchone()
    connection.close()
    assert stopped is not None
    for folder in source.rglob("pg_wal"):
        shutil.copytree(
            folder, target / folder.relative_to(source), dirs_exist_ok=True, copy_function=_copied_if_there
        )
        (target / folder.relative_to(source)).parent.joinpath("backup_label").write_text(stopped[0])
    return target


def _copied_if_there(source: str, target: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # it was temporary
        shutil.copy2(source, target)
