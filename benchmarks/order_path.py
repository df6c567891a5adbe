"""From asking for an order to its acknowledged, settled row: what each durable step costs.

    python benchmarks/order_path.py [--orders 300] [--warm-up 30] [--traced 20] [--profile FILE]

Everything is real and in this one process: an embedded Postgres with fsync on, an embedded Valkey that takes the
hints, the paper exchange as a process of its own over HTTP. Market orders alternate between buying and selling on
the demo's symbols, so every order is also filled, booked and settled. What is left out is the hop of a Celery
message (nobody consumes them here; the drain is called at once) and everything that competes with it on a busy
machine: feed, relay, web.

Prints a table, the SQL statements of one order, and one JSON line per figure.
"""

from __future__ import annotations

import argparse
import cProfile
import importlib
import os
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from _live_stack import (
    ACCOUNT,
    STRATEGY,
    Figure,
    open_account,
    percentile,
    refresh_quotes,
    report,
    running,
)

NOTIONAL = Decimal(100)
GOALS = {"total_p50": "<= 15", "total_p99": "<= 60", "orders_per_second": ">= 100"}


class Stopwatch:
    """Durations by step, in seconds, and the SQL statements of the step that is running."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        self.cpu: defaultdict[str, list[float]] = defaultdict(list)
        self.statements: dict[str, Counter[str]] = defaultdict(Counter)
        self.statement_seconds: dict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._steps: list[str] = ["outside the steps"]

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._steps.append(name)
        began, burnt = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.seconds[name].append(time.perf_counter() - began)
            self.cpu[name].append(time.process_time() - burnt)
            self._steps.pop()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.step(name):
                return function(*args, **kwargs)

        return call

    @contextmanager
    def traced(self) -> Iterator[None]:
        """Count every statement that reaches the driver, and its time, for the step it belongs to."""
        import psycopg

        execute = psycopg.Cursor.execute

        def counted(cursor: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return execute(cursor, query, *args, **kwargs)
            finally:
                shape = _shape(str(query))
                self.statements[self._steps[-1]][shape] += 1
                self.statement_seconds[self._steps[-1]][shape] += time.perf_counter() - began

        psycopg.Cursor.execute = counted  # type: ignore[method-assign]
        try:
            yield
        finally:
            psycopg.Cursor.execute = execute  # type: ignore[method-assign]


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


def watch_steps(watch: Stopwatch) -> None:
    """Put the stopwatch around the steps of the real chain."""
    drain = importlib.import_module("trading.services.execution.drain")
    send = importlib.import_module("trading.services.execution.send")
    spot = importlib.import_module("trading.adapters.binance.spot")
    drain.order_authorise = watch.timed("tx_b_authorise", drain.order_authorise)  # type: ignore[attr-defined]
    send.order_settle = watch.timed("tx_c_settle", send.order_settle)  # type: ignore[attr-defined]
    spot.BinanceSpot.place = watch.timed("http", spot.BinanceSpot.place)


def place(
    watch: Stopwatch, instruments: list[Any], numbers: Iterable[int], user: Any, batch: str
) -> dict[str, int]:
    """Ask for an order at each number, each driven to its end before the next. Returns how they ended."""
    from trading.models import Account, Order
    from trading.services.execution.drain import orders_drain
    from trading.services.orders import order_request

    account = Account.objects.get(name=ACCOUNT)
    ends: Counter[str] = Counter()
    bought: dict[str, Decimal] = {}
    for number in numbers:
        if number % 40 == 0:
            refresh_quotes(instruments)
        instrument = instruments[(number // 2) % len(instruments)]
        selling = number % 2 == 1 and instrument.symbol in bought
        began, burnt = time.perf_counter(), time.process_time()
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
        watch.cpu["total"].append(time.process_time() - burnt)
        ended = Order.objects.get(pk=order.pk) if order else None
        ends[str(ended.status if ended else "none")] += 1
        if ended is not None and not selling and ended.executed_quantity:
            step = instrument.to_domain().step_size
            # The commission of a purchase is taken from what was bought.
            bought[instrument.symbol] = ended.executed_quantity * Decimal("0.99") // step * step
    return dict(ends)


def bare_figures(rounds: int = 200) -> list[Figure]:
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
    from nautilus_site.common.models import User

    instruments = open_account()
    user = User.objects.get(username="trader")
    watch = Stopwatch()
    watch_steps(watch)
    place(watch, instruments, range(options.warm_up), user, "warm-up")
    watch.seconds.clear()
    watch.cpu.clear()
    profile = cProfile.Profile()
    if options.profile:
        profile.enable()
    began = time.perf_counter()
    ends = place(watch, instruments, range(options.orders), user, "measured")
    elapsed = time.perf_counter() - began
    if options.profile:
        profile.disable()
        profile.dump_stats(options.profile)
    if set(ends) - {"FILLED", "EXPIRED"}:
        raise SystemExit(f"orders ended otherwise than filled or expired: {ends}")
    figures = [*_figures(watch, options.orders, elapsed), *bare_figures()]
    if options.traced:
        watch.statements.clear()
        watch.statement_seconds.clear()
        with watch.traced():
            place(watch, instruments, range(options.traced), user, "traced")
        figures += _statements(watch, options.traced)
    print(f"{options.orders} orders ended {ends}")
    report("order_path", figures, GOALS)


def _figures(watch: Stopwatch, orders: int, elapsed: float) -> list[Figure]:
    figures = []
    # What the drain costs beside its steps: looking for work, taking the lease and giving it back.
    for clock in (watch.seconds, watch.cpu):
        steps = [clock[name] for name in ("tx_b_authorise", "http", "tx_c_settle")]
        clock["drain_itself"] = [
            whole - sum(parts) for whole, *parts in zip(clock["drain"], *steps, strict=True)
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
        if watch.cpu[step]:
            figures.append((f"{step}_cpu", round(percentile(watch.cpu[step], 0.5) * 1000, 2), "ms CPU"))
    figures.append(("orders_per_second", round(orders / elapsed, 1), "1/s"))
    return figures


def _statements(watch: Stopwatch, orders: int) -> list[Figure]:
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
    parser.add_argument("--profile", metavar="FILE", help="keep a cProfile of the measured orders")
    options = parser.parse_args()
    with running():
        measure(options)


if __name__ == "__main__":
    main()
