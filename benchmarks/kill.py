"""From a kill's commit to every cancel asked for, and to the exchange's confirmation.

    python benchmarks/kill.py [--orders 200] [--symbols 20] [--stops 0]

A real Postgres with fsync on and the paper exchange as a process of its own; the enforcer is the control worker's code
in this process. `--stops N` leaves a protective order standing on N symbols, which then cannot be canceled by one call.
Prints a table and one JSON line per figure.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "benchmarks"))

from order_path import ACCOUNT, free_port, install, open_account, start_exchange  # noqa: E402

LISTED = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "LTCUSDT")
GOALS = {"all_cancels_requested": "<= 1", "confirmed_empty": "<= 5"}


def list_symbol(port: int, symbol: str) -> None:
    """One more symbol at the paper exchange, by its control interface."""
    body = json.dumps({"symbol": symbol, "market": "spot", "action": "list", "price": "10"}).encode()
    address = f"http://127.0.0.1:{port}/testnet/v1/symbols"
    request = urllib.request.Request(address, data=body, method="POST")
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310  our own address


def rest(venue: Any, instrument: Any, number: int) -> None:
    """Buys of the smallest sensible size, a tenth below the market."""
    from trading.domain.ports import VenueOrder
    from trading.domain.values import OrderType, Side, TimeInForce
    from universe.services import spot_market_data

    domain = instrument.to_domain()
    book = spot_market_data().book_ticker(instrument.symbol)
    for _ in range(number):
        ticks = domain.round_ticks(book.bid * Decimal("0.9"), Side.BUY)
        price = domain.price(ticks)
        steps = domain.floor_steps(max(domain.min_notional, Decimal(10)) * 2 / price) + 1
        order = VenueOrder(
            symbol=instrument.symbol,
            side=Side.BUY,
            type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            quantity=domain.quantity(steps),
            price=price,
            client_order_id=f"bench{uuid.uuid4().hex[:24]}",
        )
        venue.place(order, timestamp_ms=venue.server_time_ms(), recv_window_ms=2000)


def measure(options: argparse.Namespace) -> None:
    from trading.domain.values import Level
    from trading.models import Account, Order
    from trading.services.controls import enforcement_step, enforcements_due, kill_raise
    from trading.services.reconcile import account_reconcile
    from trading.services.venues import execution_venue

    instruments = open_account()[: options.symbols]
    account = Account.objects.select_related("venue").get(name=ACCOUNT)
    venue = execution_venue(account)
    each = -(-options.orders // len(instruments))
    for instrument in instruments:
        rest(venue, instrument, each)
    account_reconcile(account_id=account.pk, venue=venue, trigger="manual")
    kept = list(Order.objects.filter(account=account, ended_at=None).order_by("instrument_id", "pk"))
    for instrument in instruments[: options.stops]:
        first = next(order for order in kept if order.instrument_id == instrument.pk)
        Order.objects.filter(pk=first.pk).update(origin=Order.Origin.PROTECTION)
    open_before = len(venue.open_orders(None))

    kill_raise(scope="global", level=Level.CANCEL, reason="benchmark", actor="benchmark")
    committed = time.perf_counter()
    requested = None
    row = None
    while row is None or row.confirmed_at is None:
        for due in enforcements_due(account, "control"):
            row = enforcement_step(
                account=account,
                venue=venue,
                due=due,
                enforcer="control",
                connect=partial(execution_venue, account),
            )
        requested = requested or time.perf_counter() - committed
        if time.perf_counter() - committed > 60:
            raise SystemExit(f"not confirmed within a minute: {row.error if row else 'nothing is due'}")
    confirmed = time.perf_counter() - committed
    left = len(venue.open_orders(None))
    still_open = Order.objects.filter(account=account, ended_at=None).count()
    print(
        f"{open_before} orders on {len(instruments)} symbols, {left} left at the exchange, {still_open} open rows"
    )
    figures = [("all_cancels_requested", requested), ("confirmed_empty", confirmed)]
    for name, seconds in figures:
        print(f"{name:28} {seconds:8.3f} s   goal {GOALS[name]}")
    for name, seconds in figures:
        print(json.dumps({"name": f"kill.{name}", "value": round(seconds, 3), "unit": "s"}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--stops", type=int, default=0)
    options = parser.parse_args()
    from nautilus_site.supervisor.embedded.postgres import EmbeddedPostgres
    from nautilus_site.supervisor.embedded.valkey import EmbeddedValkey

    with tempfile.TemporaryDirectory(prefix="nautilus-bench-") as name:
        home, port = Path(name), free_port()
        postgres, valkey = EmbeddedPostgres(home), EmbeddedValkey(home)
        exchange: subprocess.Popen[bytes] | None = None
        try:
            postgres.start()
            valkey.start()
            os.environ |= {
                "NAUTILUS_HOME": name,
                "DATABASE_URL": postgres.url,
                "REDIS_URL": valkey.url,
                "TESTNET_PORT": str(port),
                "BINANCE_ENV": "local",
                "DJANGO_SETTINGS_MODULE": "nautilus_site.settings.local",
                "LOG_LEVEL": "ERROR",
            }
            import django

            django.setup()
            install()
            exchange = start_exchange(home, port, "--control", "--symbols", *LISTED)
            for number in range(len(LISTED), options.symbols):
                list_symbol(port, f"K{number:02d}USDT")
            measure(options)
        finally:
            if exchange is not None:
                exchange.terminate()
                exchange.wait(10)
            valkey.stop()
            postgres.stop()
            postgres.remove()


if __name__ == "__main__":
    main()
