"""Fills and the ledger as CSV, oldest first, a page at a time: however many there are, one page is in memory.

A page goes on after the last row of the one before it, by time and id, which is how the index has them; so rows that
are booked meanwhile neither shift a page nor are told twice.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from typing import Any, Final

from django.db import connection

from trading.models import Account
from trading.selectors.notation import amount_text, utc_text

PAGE: Final = 2_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Export:
    """A table to export: its columns as a program reads them, and the query of one page.

    `page_sql` selects the columns and, before them, the time and the id that a page goes on after.
    """

    columns: tuple[str, ...]
    page_sql: str


_PAGE: Final = """
  FROM {table} AS row {joins}
 WHERE row.account_id = %(account)s AND (row.{time}, row.id) > (%(at)s, %(id)s) AND row.{time} < %(until)s
 ORDER BY row.{time}, row.id LIMIT %(page)s
"""
EXPORTS: Final[Mapping[str, Export]] = {
    "fills": Export(
        (
            *(
                "recorded_at",
                "traded_at",
                "account",
                "symbol",
                "order_id",
                "venue_trade_id",
                "side",
                "position_side",
            ),
            *(
                "quantity",
                "price",
                "quote_quantity",
                "fee",
                "fee_asset",
                "fee_quote",
                "realized_pnl",
                "maker",
            ),
            *("strategy", "source"),
        ),
        """
SELECT row.recorded_at, row.id, row.recorded_at, row.traded_at, account.name, instrument.symbol, orders.uid,
       row.trade_id, row.side, orders.position_side, row.quantity, row.price, row.quote_quantity, row.commission,
       row.commission_asset, row.commission_quote, row.realized, row.maker, coalesce(strategy.name, ''), row.source
"""
        + _PAGE.format(
            table="trading_fill",
            time="recorded_at",
            joins="""JOIN trading_account AS account ON account.id = row.account_id
  JOIN universe_instrument AS instrument ON instrument.id = row.instrument_id
  JOIN trading_order AS orders ON orders.id = row.order_id
  LEFT JOIN trading_strategy AS strategy ON strategy.id = orders.strategy_id""",
        ),
    ),
    "ledger": Export(
        (
            *("at", "id", "account", "transaction", "owner", "strategy", "asset", "amount", "kind", "symbol"),
            "venue_trade_id",
        ),
        """
SELECT row.at, row.id, row.at, row.id, account.name, row.transaction, row.owner, row.sub, row.asset, row.amount,
       row.kind, coalesce(instrument.symbol, ''), fill.trade_id
"""
        + _PAGE.format(
            table="trading_ledgerentry",
            time="at",
            joins="""JOIN trading_account AS account ON account.id = row.account_id
  LEFT JOIN universe_instrument AS instrument ON instrument.id = row.instrument_id
  LEFT JOIN trading_fill AS fill ON fill.id = row.fill_id""",
        ),
    ),
}


def export_pages(
    name: str,
    *,
    account: str | None = None,
    since: datetime | None = None,
    until: datetime,
    page: int = PAGE,
) -> Iterator[str]:
    """Yield the CSV text of one table: the head, then pages of at most `page` lines, account by account.

    Parameters
    ----------
    since, until : by the time we learned of a fill, by the time a ledger entry is of; `until` is not included.
    """
    export = EXPORTS[name]
    yield csv_text([export.columns])
    accounts = Account.objects.order_by("name")
    if account is not None:
        accounts = accounts.filter(name=account)
    for pk in list(accounts.values_list("pk", flat=True)):
        after = (since or EPOCH, 0 if since is None else -1)
        while rows := _page(export, pk, after, until, page):
            after = (rows[-1][0], rows[-1][1])
            yield csv_text(row[2:] for row in rows)
            if len(rows) < page:
                break


def _page(
    export: Export, account_id: int, after: tuple[datetime, int], until: datetime, page: int
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            export.page_sql,
            {"account": account_id, "at": after[0], "id": after[1], "until": until, "page": page},
        )
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def csv_text(rows: Any) -> str:
    """Lines of RFC 4180 CSV."""
    text = StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    """A value as text. A name that a spreadsheet would take for a formula is marked as text; a number is none."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return amount_text(value) or "0"
    if isinstance(value, datetime):
        return utc_text(value) or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not isinstance(value, int) else text
