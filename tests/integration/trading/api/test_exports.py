"""CSV exports: every row once, in constant memory, by an index, and nothing a spreadsheet would run."""

from __future__ import annotations

import csv
import re
import tracemalloc
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry
from tests.integration.trading.api.world import World
from trading.models import Account, LedgerEntry, Strategy
from trading.selectors.exports import PAGE, export_pages

pytestmark = pytest.mark.django_db


def many_entries(world: World, rows: int) -> None:
    """An account with so many ledger entries, a second apart, and another with a tenth of them in between."""
    other = Account.objects.create(name="another", venue=world.venue)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO trading_ledgerentry (account_id, transaction, owner, sub, asset, amount, kind, at)
            SELECT account, 'fill:' || n, 'account', '', 'USDT', n / 100.0, 'trade', %s + n * interval '1 second'
              FROM generate_series(1, %s) AS n, unnest(%s) AS account WHERE account = %s OR n %% 10 = 0
            """,
            [now() - timedelta(days=30), rows, [world.account.pk, other.pk], world.account.pk],
        )
        cursor.execute("ANALYZE trading_ledgerentry")


def read(pages: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO("".join(pages))))


@pytest.mark.parametrize("rows", [40_000, pytest.param(200_000, marks=pytest.mark.long)])
def test_any_number_of_rows_takes_the_memory_of_one_page_and_an_index(world: World, rows: int) -> None:
    many_entries(world, rows)
    pages = export_pages("ledger", account=world.account.name, until=now())
    with CaptureQueriesContext(connection) as asked:
        assert next(pages).startswith("at,id,account,transaction,")
        for _ in range(rows // PAGE - 10):
            next(pages)
        tracemalloc.start()
        try:
            next(pages)
            one_page = tracemalloc.get_traced_memory()[1]
            tracemalloc.reset_peak()
            lines = sum(page.count("\r\n") for page in pages)
            every_page = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert lines == 9 * PAGE
    assert every_page < 2 * one_page
    # The account's key, and a query for each page and for the end.
    assert len(asked) == 2 + rows // PAGE
    for question in (asked[1], asked[rows // PAGE // 2]):
        plan = explained(question["sql"])
        assert "ledger_by_time" in plan, plan
        assert not re.search(r"Sort|Seq Scan on trading_ledgerentry", plan), plan


def explained(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(row[0] for row in cursor.fetchall())


def test_a_page_of_fills_is_read_by_its_index(world: World) -> None:
    order = world.order(status="FILLED")
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO trading_fill (account_id, instrument_id, order_id, trade_id, side, price, quantity,
                   quote_quantity, commission, commission_asset, commission_quote, realized, maker, traded_at,
                   recorded_at, source)
            SELECT %s, %s, %s, n, 'BUY', 60000, 0.001, 60, 0, 'USDT', 0, 0, true, now(),
                   now() - n * interval '1 second', 'stream' FROM generate_series(1, 20000) AS n
            """,
            [order.account_id, order.instrument_id, order.pk],
        )
        cursor.execute("ANALYZE trading_fill")
    with CaptureQueriesContext(connection) as asked:
        fills = read(export_pages("fills", until=now(), page=5_000))
    assert [int(f["venue_trade_id"]) for f in fills] == list(range(20_000, 0, -1))
    plan = explained(asked[1]["sql"])
    assert "fills_by_time" in plan, plan
    assert not re.search(r"Sort|Seq Scan on trading_fill", plan), plan


def test_every_row_is_told_once_with_what_a_program_needs(
    world: World, viewer: Any, token_client: Any
) -> None:
    order = world.order(status="FILLED")
    for number in (1, 2, 3):
        world.fill(order, trade_id=number, price="60000.5", quantity="0.01", commission=Decimal("-0.000001"))
    pages = token_client(viewer).get("/api/v1/fills/export", headers={"accept": "text/csv"})
    assert (pages.status_code, pages["content-type"]) == (200, "text/csv")
    fills = read(page.decode() for page in pages.streaming_content)
    assert [f["venue_trade_id"] for f in fills] == ["1", "2", "3"]
    first = fills[0]
    assert (first["symbol"], first["price"], first["fee"], first["maker"], first["strategy"]) == (
        "BTCUSDT",
        "60000.5",
        "-0.000001",
        "false",
        world.strategy.name,
    )
    assert first["order_id"] == str(order.uid)
    entry = AuditEntry.objects.get(action="export.fills")
    assert (entry.actor, entry.target) == (viewer, "every account")


def test_pages_neither_lose_nor_repeat_rows_of_one_moment(world: World) -> None:
    at = now() - timedelta(days=1)
    for number in range(7):
        LedgerEntry.objects.create(
            account=world.account,
            transaction=f"t{number}",
            owner="account",
            asset="USDT",
            amount=1,
            kind="other",
            at=at,
        )
    told = read(export_pages("ledger", since=at, until=now(), page=3))
    assert [row["transaction"] for row in told] == [f"t{number}" for number in range(7)]
    assert read(export_pages("ledger", since=at + timedelta(microseconds=1), until=now())) == []
    assert read(export_pages("ledger", until=at)) == []


def test_what_a_spreadsheet_would_run_is_marked_as_text(world: World) -> None:
    Strategy.objects.filter(pk=world.strategy.pk).update(name="=cmd|' /C calc'!A0")
    world.fill(world.order(status="FILLED"), trade_id=1, price="1", quantity="1")
    assert read(export_pages("fills", until=now()))[0]["strategy"].startswith("'=")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?since=yesterday", "INVALID_SINCE"),
        ("?until=2026-01-01", "INVALID_UNTIL"),
        ("?symbol=BTCUSDT", "UNKNOWN_FILTER"),
        ("?account=nobodys", "UNKNOWN_ACCOUNT"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_before_a_line_is_sent(
    world: World, viewer: Any, token_client: Any, query: str, code: str
) -> None:
    answer = token_client(viewer).get(f"/api/v1/ledger/export{query}")
    assert (answer.json()["code"], answer.status_code in (400, 404)) == (code, True)
    assert not AuditEntry.objects.filter(action="export.ledger").exists()


@pytest.mark.django_db(transaction=True)
async def test_under_asgi_pages_are_sent_as_they_are_read(world: World, viewer: Any) -> None:
    from nautilus_site.common.services.tokens import token_create

    token = await sync_to_async(token_create)(user=viewer, name="test", actor=viewer, life=timedelta(days=1))
    await sync_to_async(many_entries)(world, 3 * PAGE)
    answer = await AsyncClient().get(
        f"/api/v1/ledger/export?account={world.account.name}",
        headers={"authorization": f"Bearer {token}"},
    )
    assert answer.is_async
    pages = [page.count(b"\r\n") async for page in answer.streaming_content]
    assert pages == [1, PAGE, PAGE, PAGE]
    await sync_to_async(lambda: connection.close())()  # that of the thread the pages were read in
