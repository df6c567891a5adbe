"""Fills settled a second, and a backlog of fills drained: Tx C alone, on a real database.

    python benchmarks/settle.py [--fills 2000] [--backlog 10000]

An embedded Postgres with fsync on and one process. Five ways: a message for each fill, one transaction each; the user
stream as it is served, where every fill is one journalled execution and one message of balances, orders mixed, settled
by the worker's own code (and what journalling costs the feed); the messages of one order at once; a backlog of many
orders of one symbol in batches, as a sweep books it after a gap; and the same backlog told newest first, where every
batch is folded again in the venue's order. Afterwards the books are rebuilt from their facts and must equal what was
kept.

Prints a table and one JSON line per figure; `per CPU s` counts this process alone and does not depend on what else the
machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PIECES = 10
BATCH_ORDERS = 50
GOALS = {"each": ">= 500", "stream": ">= 500", "one_order": ">= 500", "backlog": ">= 500"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fills", type=int, default=2000, help="fills of each of the first two ways")
    parser.add_argument("--backlog", type=int, default=10_000, help="fills of the backlog")
    options = parser.parse_args()
    from nautilus_site.supervisor.embedded.postgres import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="nautilus-bench-") as name:
        home = Path(name)
        postgres = EmbeddedPostgres(home)
        try:
            postgres.start()
            os.environ.update(
                DJANGO_SETTINGS_MODULE="nautilus_site.settings.local",
                NAUTILUS_HOME=str(home),
                DATABASE_URL=postgres.owner_url,
                BINANCE_ENV="local",
                LOG_LEVEL="ERROR",
            )
            import django

            django.setup()
            from django.core.management import call_command

            call_command("migrate", verbosity=0)
            measure(options)
        finally:
            postgres.stop()
            postgres.remove()


def measure(options: argparse.Namespace) -> None:
    from unittest.mock import patch

    from django.db import transaction

    from tests.factories.futures import futures_account
    from trading.services.books.verify import books_verify

    # Nobody takes hints here; one would only wait for a broker that is not there.
    with patch("nautilus_site.common.services.hints.send_hint", return_value=True):
        with transaction.atomic():
            desk = futures_account(wallet="100000000")
        figures = [
            ("each", *each(desk, options.fills)),
            *stream(desk, options.fills),
            ("one_order", *one_order(desk, options.fills)),
            ("backlog", *backlog(desk, options.backlog, newest_first=False)),
            ("backlog_newest_first", *backlog(desk, options.backlog // 10, newest_first=True)),
        ]
        began = time.perf_counter()
        found = books_verify(desk.account, full=True)
        if found.differences:
            raise SystemExit(f"the books differ from their facts: {found.differences[:3]}")
        rebuilt = time.perf_counter() - began
    total = sum(fills for _, fills, _, _ in figures)
    print(f"{'way':24} {'fills':>8} {'seconds':>9} {'fills/s':>9} {'per CPU s':>9}  goal")
    for name, fills, seconds, cpu in figures:
        print(
            f"{name:24} {fills:>8} {seconds:>9.2f} {fills / seconds:>9.0f} {fills / cpu:>9.0f}  {GOALS.get(name, '')}"
        )
    print(f"{'rebuilt and compared':24} {total:>8} {rebuilt:>9.2f} {total / rebuilt:>9.0f}")
    for name, fills, seconds, _ in figures:
        print(json.dumps({"name": f"settle.{name}", "value": round(fills / seconds, 1), "unit": "fills/s"}))
    print(json.dumps({"name": "settle.rebuild", "value": round(total / rebuilt, 1), "unit": "fills/s"}))


def orders_of(desk: Any, fills: int) -> list[tuple[Any, list[Any]]]:
    """Orders with their trades, made before the clock runs."""
    from django.db import transaction

    made = []
    with transaction.atomic():
        for number in range(fills // PIECES):
            side = "BUY" if number % 2 == 0 else "SELL"
            order = desk.order(side, "0.0001", "60000", strategy=("a", "b")[number % 3 == 0])
            price = str(Decimal(60000) + number % 97)
            made.append(
                (
                    order,
                    [desk.trade(order, "0.00001", price, fee="0.0003", realized=None) for _ in range(PIECES)],
                )
            )
    return made


def each(desk: Any, fills: int) -> tuple[int, float, float]:
    from trading.services.execution.settle import order_settle

    made = orders_of(desk, fills)
    began, burnt = time.perf_counter(), time.process_time()
    for order, trades in made:
        for count, trade in enumerate(trades, 1):
            status = "FILLED" if count == PIECES else "PARTIALLY_FILLED"
            report = desk.report(order, status, str(trade.quantity * count))
            order_settle(order_id=order.pk, report=report, trades=[trade], source="stream")
    return len(made) * PIECES, time.perf_counter() - began, time.process_time() - burnt


def stream(desk: Any, fills: int) -> list[tuple[str, int, float, float]]:
    """Ten orders executed side by side, piece by piece: journalled as by the feed, then settled as by the worker."""
    from trading.models import VenueEvent
    from trading.services.venue_events import venue_event_store, venue_events_settle

    made = orders_of(desk, fills)
    messages = []
    for start in range(0, len(made), PIECES):
        for piece in range(PIECES):
            for order, trades in made[start : start + PIECES]:
                messages += [execution(order, trades, piece), balances(trades[piece])]
    account_id = desk.account.pk
    began, burnt = time.perf_counter(), time.process_time()
    for message in messages:
        venue_event_store(account_id=account_id, event=message)
    stored = ("stream_journalled", len(messages), time.perf_counter() - began, time.process_time() - burnt)
    began, burnt = time.perf_counter(), time.process_time()
    venue_events_settle(account_id=account_id)
    settled = ("stream", len(made) * PIECES, time.perf_counter() - began, time.process_time() - burnt)
    if wrong := VenueEvent.objects.exclude(error="").first():
        raise SystemExit(f"a message could not be settled: {wrong.error}")
    return [stored, settled]


def execution(order: Any, trades: list[Any], piece: int) -> dict[str, Any]:
    """One piece of an order as USD-M tells it."""
    trade, done = trades[piece], sum((t.quantity for t in trades[: piece + 1]), Decimal(0))
    order_told = {
        "s": trade.symbol, "c": order.client_order_id, "S": order.side, "o": "LIMIT", "ot": "LIMIT", "f": "GTC",
        "q": f"{order.quantity:f}", "p": f"{order.price:f}", "ap": f"{trade.price:f}", "x": "TRADE",
        "X": "FILLED" if piece == PIECES - 1 else "PARTIALLY_FILLED", "i": trade.venue_order_id,
        "l": f"{trade.quantity:f}", "z": f"{done:f}", "L": f"{trade.price:f}", "n": f"{trade.commission:f}",
        "N": trade.commission_asset, "T": trade.time_ms, "t": trade.trade_id, "m": False, "R": False,
        "wt": "CONTRACT_PRICE", "ps": "BOTH", "cp": False, "rp": "0",
    }  # fmt: skip
    return {"e": "ORDER_TRADE_UPDATE", "E": trade.time_ms, "T": trade.time_ms, "o": order_told}


def balances(trade: Any) -> dict[str, Any]:
    """The wallet after an execution."""
    change = {"m": "ORDER", "B": [{"a": "USDT", "wb": "1000", "cw": "1000"}], "P": []}
    return {"e": "ACCOUNT_UPDATE", "E": trade.time_ms, "T": trade.trade_id, "a": change}


def one_order(desk: Any, fills: int) -> tuple[int, float, float]:
    from trading.services.execution.settle import order_settle

    made = orders_of(desk, fills)
    began, burnt = time.perf_counter(), time.process_time()
    for order, trades in made:
        report = desk.report(order, "FILLED", str(order.quantity))
        order_settle(order_id=order.pk, report=report, trades=trades, source="query")
    return len(made) * PIECES, time.perf_counter() - began, time.process_time() - burnt


def backlog(desk: Any, fills: int, *, newest_first: bool) -> tuple[int, float, float]:
    from trading.services.execution.settle import Settlement, settle_all

    made = orders_of(desk, fills)
    if newest_first:
        made = made[::-1]
    began, burnt = time.perf_counter(), time.process_time()
    for start in range(0, len(made), BATCH_ORDERS):
        settle_all(
            [
                Settlement(order.pk, None, tuple(trades), "sweep")
                for order, trades in made[start : start + BATCH_ORDERS]
            ]
        )
    return len(made) * PIECES, time.perf_counter() - began, time.process_time() - burnt


if __name__ == "__main__":
    main()
