"""From asking for an order to its acknowledged, settled row: what each durable step costs.

    python benchmarks/order_path.py [--orders 300] [--warm-up 30] [--traced 20]

Everything is real and in this one process: an embedded Postgres with fsync on, an embedded Valkey that takes the
hints, the paper exchange as a process of its own over HTTP. Market orders alternate between buying and selling on
the demo's symbols, so every order is also filled, booked and settled. What is left out is the hop of a Celery
message (nobody consumes them here; the drain is called at once) and everything that competes with it on a busy
machine: feed, relay, web.

Prints a table, the SQL statements of one order, and one JSON line per figure.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

ACCOUNT, STRATEGY, NOTIONAL = "paper-spot", "moving_average", Decimal(100)
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
GOALS = {"total_p50": "<= 15", "total_p99": "<= 60", "orders_per_second": ">= 100"}


class Stopwatch:
    """Durations by step, in seconds, and the SQL statements of the step that is running."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        self.statements: dict[str, Counter[str]] = defaultdict(Counter)
        self.statement_seconds: dict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._steps: list[str] = ["outside the steps"]

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._steps.append(name)
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name].append(time.perf_counter() - began)
            self._steps.pop()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.step(name):
                return function(*args, **kwargs)

        return call

    def trace(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        """Django's execute wrapper: count a statement, and its time, for the step it belongs to."""
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            shape = _shape(str(sql))
            self.statements[self._steps[-1]][shape] += 1
            self.statement_seconds[self._steps[-1]][shape] += time.perf_counter() - began


def _shape(sql: str) -> str:
    """The verb and the table of a statement."""
    text = " ".join(sql.replace('"', "").split())
    found = re.match(r"(?i)(?:with .*? )?(savepoint|release savepoint|rollback|begin|commit)\b", text)
    if found:
        return found[1].upper()
    verb = text.split(" ", 1)[0].upper()
    table = re.search(r"(?i)\b(?:from|into|update) (\w+)", text)
    lock = " FOR UPDATE" if "FOR UPDATE" in text else " FOR SHARE" if "FOR SHARE" in text else ""
    return f"{verb} {table[1] if table else ''}{lock}".strip()


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
    demo_strategies_install()
    account = Account.objects.select_related("venue").get(name=ACCOUNT)
    venue = execution_venue(account)
    for _ in range(2):
        account_reconcile(account_id=account.pk, venue=venue, trigger="start")
    instances = StrategyInstance.objects.select_related("instrument").filter(account=account)
    refresh_quotes([instance.instrument for instance in instances])
    measure_once(account, venue)
    return [instance.instrument for instance in instances]


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


def watch_steps(watch: Stopwatch) -> None:
    """Put the stopwatch around the steps of the real chain."""
    drain = importlib.import_module("trading.services.execution.drain")
    send = importlib.import_module("trading.services.execution.send")
    spot = importlib.import_module("trading.adapters.binance.spot")
    drain.order_authorise = watch.timed("tx_b_authorise", drain.order_authorise)  # type: ignore[attr-defined]
    send.order_settle = watch.timed("tx_c_settle", send.order_settle)  # type: ignore[attr-defined]
    spot.BinanceSpot.place = watch.timed("http", spot.BinanceSpot.place)


def place(watch: Stopwatch, instruments: list[Any], count: int, user: Any, batch: str) -> dict[str, int]:
    """Ask for orders one after another, each driven to its end before the next. Returns how they ended."""
    from trading.models import Account, Order
    from trading.services.execution.drain import orders_drain
    from trading.services.orders import order_request

    account = Account.objects.get(name=ACCOUNT)
    ends: Counter[str] = Counter()
    bought: dict[str, Decimal] = {}
    for number in range(count):
        if number % 40 == 0:
            refresh_quotes(instruments)
        instrument = instruments[(number // 2) % len(instruments)]
        selling = number % 2 == 1 and instrument.symbol in bought
        began = time.perf_counter()
        with watch.step("tx_a_rails_and_reservation"):
            order = order_request(
                account_name=ACCOUNT,
                symbol=instrument.symbol,
                side="SELL" if selling else "BUY",
                type="MARKET",
                quantity=bought.pop(instrument.symbol) if selling else None,
                quote_quantity=None if selling else NOTIONAL,
                price=None,
                time_in_force=None,
                reduce_only=False,
                strategy_name=STRATEGY,
                user=user,
                request_key=f"{batch}-{number}",
            ).order
        with watch.step("drain"):
            orders_drain(account_id=account.pk, shard=order.shard if order else 0)
        watch.seconds["total"].append(time.perf_counter() - began)
        ended = Order.objects.get(pk=order.pk) if order else None
        ends[str(ended.status if ended else "none")] += 1
        if ended is not None and not selling and ended.executed_quantity:
            step = instrument.to_domain().step_size
            # The commission of a purchase is taken from what was bought.
            bought[instrument.symbol] = ended.executed_quantity * Decimal("0.99") // step * step
    return dict(ends)


def bare_figures(rounds: int = 200) -> list[tuple[str, float, str]]:
    """What this machine charges for one round trip and for one durable commit, with nothing of ours around it."""
    import psycopg

    timings: dict[str, list[float]] = {"bare_round_trip": [], "bare_commit": []}
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as bare:
        bare.execute("CREATE TABLE bare_row (number bigint)")
        bare.execute("INSERT INTO bare_row VALUES (0)")
        for name, sql in (
            ("bare_round_trip", "SELECT number FROM bare_row"),
            ("bare_commit", "UPDATE bare_row SET number = number + 1"),
        ):
            for _ in range(rounds):
                began = time.perf_counter()
                bare.execute(sql)
                timings[name].append(time.perf_counter() - began)
        bare.execute("DROP TABLE bare_row")
    return [(f"{name}_p50", round(percentile(times, 0.5) * 1000, 3), "ms") for name, times in timings.items()]


def measure(options: argparse.Namespace) -> None:
    from django.db import connection

    from nautilus_site.common.models import User

    instruments = open_account()
    user = User.objects.get(username="trader")
    watch = Stopwatch()
    watch_steps(watch)
    place(watch, instruments, options.warm_up, user, "warm-up")
    watch.seconds.clear()
    began = time.perf_counter()
    ends = place(watch, instruments, options.orders, user, "measured")
    elapsed = time.perf_counter() - began
    if set(ends) - {"FILLED", "EXPIRED"}:
        raise SystemExit(f"orders ended otherwise than filled or expired: {ends}")
    figures = [*_figures(watch, options.orders, elapsed), *bare_figures()]
    if options.traced:
        watch.statements.clear()
        watch.statement_seconds.clear()
        with connection.execute_wrapper(watch.trace):
            place(watch, instruments, options.traced, user, "traced")
        figures += _statements(watch, options.traced)
    print(f"{options.orders} orders ended {ends}")
    print(f"{'figure':52} {'measured':>10} {'unit':10} goal")
    for name, value, unit in figures:
        print(f"{name:52} {value:>10} {unit:10} {GOALS.get(name, '')}")
    for name, value, unit in figures:
        print(json.dumps({"name": f"order_path.{name}", "value": value, "unit": unit}))


def _figures(watch: Stopwatch, orders: int, elapsed: float) -> list[tuple[str, float, str]]:
    figures = []
    # What the drain costs beside its steps: looking for work, taking the lease and giving it back.
    steps = [watch.seconds[name] for name in ("tx_b_authorise", "http", "tx_c_settle")]
    watch.seconds["drain_itself"] = [
        whole - sum(parts) for whole, *parts in zip(watch.seconds["drain"], *steps, strict=True)
    ]
    for step in (
        "tx_a_rails_and_reservation",
        "drain_itself",
        "tx_b_authorise",
        "http",
        "tx_c_settle",
        "total",
    ):
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            figures.append((f"{step}_{name}", round(percentile(watch.seconds[step], share) * 1000, 2), "ms"))
    figures.append(("orders_per_second", round(orders / elapsed, 1), "1/s"))
    return figures


def _statements(watch: Stopwatch, orders: int) -> list[tuple[str, float, str]]:
    """Print the statements of an order by step; return their numbers."""
    figures = []
    print(f"SQL statements of one order, mean of {orders}:")
    for step, counts in watch.statements.items():
        if step == "outside the steps":
            continue
        seconds = watch.statement_seconds[step]
        number, spent = sum(counts.values()) / orders, sum(seconds.values()) / orders * 1000
        print(f"  {step}: {number:.1f} statements, {spent:.2f} ms")
        for shape, count in sorted(counts.items(), key=lambda item: -seconds[item[0]]):
            print(f"    {count / orders:6.2f} x  {seconds[shape] / orders * 1000:6.3f} ms  {shape}")
        figures.append((f"statements_{step}", round(number, 1), "per order"))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--warm-up", type=int, default=30)
    parser.add_argument("--traced", type=int, default=20, help="orders whose SQL is listed; 0 for none")
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
            exchange = start_exchange(home, port)
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
