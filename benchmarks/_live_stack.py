"""What every benchmark of the live path stands on: Postgres, Valkey and the paper exchange, with the demo's account.

A benchmark calls `running(...)` around its work and `open_account()` inside it; lanes that are processes of their own
join a running stack with `join()`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

ACCOUNT, STRATEGY = "paper-spot", "moving_average"
LISTED = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "LTCUSDT")
# The bounds that would stop a benchmark; every rail still runs against them.
LIMITS = {
    "orders_per_minute": 10**6,
    "orders_per_minute_strategy": 10**6,
    "repeated_executions": 10**6,
    "price_max_age": 600,
    "decision_ttl": 600,
    "reconcile_max_age": 3600,
    "stream_max_age": 3600,
    "clock_max_age": 3600,
    "equity_max_age": 3600,
    "clock_max_offset": 60,
    "price_disagreement": 2000,
}
Figure = tuple[str, float, str]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def report(name: str, figures: Sequence[Figure], goals: dict[str, str]) -> None:
    """A table for people, then one JSON line per figure."""
    print(f"{'figure':52} {'measured':>10} {'unit':10} goal")
    for figure, value, unit in figures:
        print(f"{figure:52} {value:>10} {unit:10} {goals.get(figure, '')}")
    for figure, value, unit in figures:
        print(json.dumps({"name": f"{name}.{figure}", "value": value, "unit": unit}))


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack."""

    home: Path
    port: int


@contextmanager
def running(*exchange_arguments: str) -> Iterator[Stack]:
    """Postgres with fsync on, Valkey, Django, the demo's rows, and the exchange as a process of its own."""
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
                "DATABASE_URL": postgres.owner_url,
                "REDIS_URL": valkey.url,
                "TESTNET_PORT": str(port),
                "BINANCE_ENV": "local",
                "DJANGO_SETTINGS_MODULE": "nautilus_site.settings.local",
                "LOG_LEVEL": "ERROR",
            }
            join()
            install()
            exchange = start_exchange(home, port, *exchange_arguments)
            yield Stack(home, port)
        finally:
            if exchange is not None:
                exchange.terminate()
                exchange.wait(10)
            valkey.stop()
            postgres.stop()
            postgres.remove()


def join() -> None:
    """Set Django up in a process whose environment names a running stack."""
    import django

    django.setup()


def start_exchange(home: Path, port: int, *more: str) -> subprocess.Popen[bytes]:
    """The paper exchange with the demo's account, without rate limits; waits until it answers."""
    arguments = ["--port", str(port), "--accounts", str(home / "testnet" / "accounts.json"), *more]
    process = subprocess.Popen(  # noqa: S603 (our own module)
        [
            sys.executable,
            "-m",
            "testnet",
            *arguments,
            "--no-rate-limits",
            "--data-dir",
            str(home / "testnet"),
        ],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v3/ping", timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
        else:
            return process
    process.kill()
    raise SystemExit("the paper exchange did not start")


def list_symbol(port: int, symbol: str) -> None:
    """One more symbol at the paper exchange, by its control interface."""
    body = json.dumps({"symbol": symbol, "market": "spot", "action": "list", "price": "10"}).encode()
    address = f"http://127.0.0.1:{port}/testnet/v1/symbols"
    request = urllib.request.Request(address, data=body, method="POST")
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310  our own address


def install() -> None:
    """The demo's rows before anything trades, with bounds a benchmark does not meet."""
    from django.core.management import call_command

    from trading.services.controls import limits_install
    from trading.services.demo import demo_install

    call_command("migrate", verbosity=0)
    limits_install(actor="benchmark", values={name: Decimal(value) for name, value in LIMITS.items()})
    demo_install()


def open_account() -> list[Any]:
    """Instruments, allowances, opening balances; returns the instruments that may be traded."""
    from django.conf import settings

    from trading.models import Account, StrategyInstance
    from trading.services.demo import demo_strategies_install
    from trading.services.reconcile import account_reconcile
    from trading.services.venues import execution_venue
    from universe.services import instruments_sync, spot_market_data, venue_ensure

    instruments_sync(venue_ensure(market="spot", environment=settings.BINANCE_ENV), spot_market_data())
    widen_venue_limits()
    demo_strategies_install()
    account = Account.objects.select_related("venue").get(name=ACCOUNT)
    venue = execution_venue(account)
    for _ in range(2):
        account_reconcile(account_id=account.pk, venue=venue, trigger="start")
    instances = StrategyInstance.objects.select_related("instrument").filter(account=account)
    refresh_quotes([instance.instrument for instance in instances])
    measure_once(account, venue)
    return [instance.instrument for instance in instances]


def widen_venue_limits() -> None:
    """The exchange counts and never refuses here, so the treasury may send more than a real venue allows."""
    from universe.models import VenueBackoff

    for row in VenueBackoff.objects.all():
        row.windows = [[kind, seconds, limit * 1000] for kind, seconds, limit in row.windows]
        row.weight_limit *= 1000
        row.save()
    time.sleep(1.1)  # what a process has read of the limits holds for a second


def measure_once(account: Any, venue: Any) -> None:
    """What feed, control and equity ticks keep fresh: clock, user stream, results."""
    from nautilus_site.common.clock import now
    from trading.services.equity import equity_mark
    from trading.services.losses import losses_measure
    from trading.services.venue_clock import venue_clock_note
    from universe.models import StreamState

    venue_clock_note(venue_name=account.venue.name, venue=venue)
    StreamState.objects.update_or_create(
        name=f"user:{account.name}", defaults={"connected_at": now(), "last_message_at": now()}
    )
    equity_mark()
    losses_measure()


def refresh_quotes(instruments: list[Any]) -> None:
    """What the feed does: the present top of book of every symbol."""
    from nautilus_site.common.clock import now
    from universe.services import QuoteUpdate, quotes_store, spot_market_data

    tickers = {ticker.symbol: ticker for ticker in spot_market_data().book_tickers()}
    updates = []
    for instrument in instruments:
        book = tickers[instrument.symbol]
        updates.append(QuoteUpdate(instrument.pk, book.bid, book.bid_size, book.ask, book.ask_size, now()))
    quotes_store(updates)
