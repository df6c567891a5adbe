"""Lists over five million orders and twenty million fills: API pages, admin pages, a dashboard page and an export.

    python benchmarks/lists.py [--orders 5000000] [--fills-per-order 4] [--requests 20]

A real order is placed and filled on the paper exchange; its rows are then multiplied inside Postgres, with triggers
off, a second apart and over all symbols of the demo, until there are as many as asked for. Requests go through
Django's test client, so that what is timed is URL, permissions, query, serializer or template. `full_counts` is how
many statements counted a table without a bound (there should be none): they are what makes such lists slow.
The export is read to its end for a tenth of the fills, and its memory is the peak of Python's own allocations.

Five million orders take about 15 minutes to make and 25 GB; the default is a tenth.
Prints a table and one JSON line per figure.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from _live_stack import ACCOUNT, Figure, open_account, percentile, report, running

STEP_S = 1
GOALS = {"full_counts": "0"}
CHUNK = 250_000


def multiply(table: str, source: int, copies: int, changed: dict[str, str]) -> None:
    """Copy one row many times; `changed` gives the columns that differ, as SQL over `n`."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND column_name <> 'id'",
            [table],
        )
        columns = [row[0] for row in cursor.fetchall()]
        values = ", ".join(changed.get(column, f't."{column}"') for column in columns)
        names = ", ".join(f'"{column}"' for column in columns)
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for first in range(1, copies + 1, CHUNK):
            cursor.execute(
                f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} AS t,"  # noqa: S608
                " generate_series(%s::bigint, %s::bigint) AS n WHERE t.id = %s",
                [first, min(first + CHUNK - 1, copies), source],
            )
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        cursor.execute(f"VACUUM ANALYZE {table}")


def fill_tables(orders: int, fills_per_order: int) -> None:
    """Make the rows."""
    from django.core.management import call_command
    from order_path import Stopwatch, place

    from nautilus_site.common.models import User
    from trading.models import Fill, Order

    call_command("collectstatic", interactive=False, verbosity=0)
    instruments = open_account()
    place(Stopwatch(), instruments, 1, User.objects.get(username="trader"), "seed")
    fill = Fill.objects.latest("pk")
    order = Order.objects.get(pk=fill.order_id)
    keys = "(ARRAY[" + ", ".join(str(i.pk) for i in instruments) + "])"
    one_of = f"{keys}[1 + n %% {len(instruments)}]"
    began = time.perf_counter()
    multiply(
        "trading_order",
        order.pk,
        orders,
        {
            "uid": "gen_random_uuid()",
            "intent_key": "'copy:' || n",
            "client_order_id": "'copy' || n",
            "venue_order_id": "1000000000 + n",
            "instrument_id": one_of,
            "status": "CASE WHEN n %% 50 = 0 THEN 'REJECTED' ELSE t.status END",
            "created_at": f"t.created_at - (({orders} - n) * interval '{STEP_S} second')",
        },
    )
    first = Order.objects.filter(client_order_id="copy1").values_list("pk", flat=True)[0]
    per_order = one_of.replace("n %%", f"(n / {fills_per_order}) %%")
    multiply(
        "trading_fill",
        fill.pk,
        orders * fills_per_order,
        {
            "order_id": f"{first} + (n - 1) / {fills_per_order}",
            "trade_id": "1000000000 + n",
            "instrument_id": per_order,
            "traded_at": f"t.traded_at - (({orders * fills_per_order} - n) * interval '{STEP_S / 4} second')",
            "recorded_at": f"t.recorded_at - (({orders * fills_per_order} - n) * interval '{STEP_S / 4} second')",
        },
    )
    print(f"made in {time.perf_counter() - began:.0f} s")


def pages(client: Any, orders: int) -> dict[str, list[str]]:
    """Every list with the addresses that are asked in turn; the API's deep pages follow its own links."""
    deep: dict[str, list[str]] = {}
    for name in ("orders", "fills"):
        followed, address = [], f"/api/v1/{name}"
        for _ in range(20):
            followed.append(address)
            answer = client.get(address)
            if answer.status_code != 200:
                raise SystemExit(f"{address} answered {answer.status_code}: {answer.content[:300]!r}")
            address = answer.json()["next"]
            address = address.removeprefix("http://127.0.0.1")
        deep[f"api_{name}"] = followed
    middle = orders // 2
    from trading.models import Fill, Order

    old_order = Order.objects.get(client_order_id=f"copy{middle}").pk
    old_fill = Fill.objects.filter(order_id=old_order).values_list("pk", flat=True)[0]
    return {
        **deep,
        "api_orders_of_a_symbol": [f"/api/v1/orders?symbol={s}" for s in ("BTCUSDT", "DOGEUSDT")],
        "api_orders_of_a_status": ["/api/v1/orders?status=REJECTED", "/api/v1/orders?status=FILLED"],
        "api_fills_of_a_symbol": [f"/api/v1/fills?symbol={s}" for s in ("BTCUSDT", "DOGEUSDT")],
        "admin_orders": ["/admin/trading/order/"],
        "admin_order": [f"/admin/trading/order/{old_order}/change/"],
        "admin_fills": ["/admin/trading/fill/"],
        "admin_fill": [f"/admin/trading/fill/{old_fill}/change/"],
        "dashboard_orders": ["/orders/"],
    }


def measure(arguments: argparse.Namespace) -> list[Figure]:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from nautilus_site.common.clock import now
    from nautilus_site.common.models import User
    from trading.selectors.exports import export_pages

    fill_tables(arguments.orders, arguments.fills_per_order)
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.get(username="admin"))
    figures: list[Figure] = [
        ("orders", arguments.orders, "rows"),
        ("fills", arguments.orders * arguments.fills_per_order, "rows"),
    ]
    worst, counts = 0.0, 0
    for name, addresses in pages(client, arguments.orders).items():
        seconds = []
        client.get(addresses[0])
        for number in range(arguments.requests):
            address = addresses[number % len(addresses)]
            began = time.perf_counter()
            answer = client.get(address)
            seconds.append(time.perf_counter() - began)
            if answer.status_code != 200:
                raise SystemExit(f"{address} answered {answer.status_code}")
        with CaptureQueriesContext(connection) as asked:
            client.get(addresses[0])
        unbounded = [
            question["sql"]
            for question in asked
            if re.search(r'COUNT\(\*\).*FROM "?trading_(order|fill)"?', question["sql"])
            and "LIMIT" not in question["sql"]
        ]
        counts += len(unbounded)
        worst = max(worst, percentile(seconds, 0.95))
        figures.append((f"{name}_p95", round(percentile(seconds, 0.95) * 1000, 1), "ms"))
        GOALS[f"{name}_p95"] = "<= 500"
    figures.append(("full_counts", counts, ""))
    until = now()
    since = until - timedelta(seconds=arguments.orders * STEP_S / 10)
    tracemalloc.start()
    began, lines = time.perf_counter(), 0
    for page in export_pages("fills", account=ACCOUNT, since=since, until=until):
        lines += page.count("\r\n")
    figures += [
        ("export_rows", lines - 1, "rows"),
        ("export_rows_per_second", round(lines / (time.perf_counter() - began)), "1/s"),
        ("export_memory_peak", round(tracemalloc.get_traced_memory()[1] / 2**20, 1), "MiB"),
    ]
    tracemalloc.stop()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=500_000)
    parser.add_argument("--fills-per-order", type=int, default=4)
    parser.add_argument("--requests", type=int, default=20, help="of each list")
    arguments = parser.parse_args()
    with running():
        report("lists", measure(arguments), GOALS)


if __name__ == "__main__":
    main()
