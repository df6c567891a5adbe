"""From a closed bar to acknowledged orders: 20 strategies on each of 4 symbols, all of whose bars close together.

    python benchmarks/closing.py [--strategies 20] [--symbols 4] [--rounds 6]

Real parts as in `order_path.py`; one process does what the workers do, one thing after another: it steps every strategy
over the new bar, plans every symbol (its strategies are netted into one order), reserves, sends and settles. Every bar
turns the averages around, so every strategy changes its mind in every round. Times count from the moment the bars are
stored. A platform with N workers shares this work between them; Celery's hop is left out.

Prints a table and one JSON line per figure.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from _live_stack import ACCOUNT, open_account, percentile, refresh_quotes, report, running

GOALS = {"all_acknowledged_worst": "<= 1000"}
MINUTE_MS = 60_000
SLOWEST = 40
MOVE = Decimal("0.002")


def desks(instruments: Sequence[Any], strategies: int) -> list[int]:
    """One instance of every strategy on every symbol; their keys."""
    from nautilus_site.common.clock import now
    from trading.models import Account, Strategy, StrategyInstance

    account = Account.objects.get(name=ACCOUNT)
    StrategyInstance.objects.filter(account=account).update(is_enabled=False)
    keys = []
    for number in range(strategies):
        strategy = Strategy.objects.create(
            name=f"closing_{number:02d}",
            kind="moving_average",
            interval="1m",
            parameters={"fast": 2, "slow": 5 + number},
            is_enabled=True,
            updated_at=now(),
        )
        for instrument in instruments:
            row = StrategyInstance.objects.create(
                strategy=strategy, account=account, instrument=instrument, weight=1, allocation=Decimal(60)
            )
            keys.append(row.pk)
    return keys


def close_bar(instrument: Any, opened_ms: int, price: Decimal) -> None:
    from trading.domain.ports import KlineRecord
    from universe.models import Bar
    from universe.services import bars_store

    price = price.quantize(Decimal("0.00000001"))
    record = KlineRecord(
        open_time_ms=opened_ms,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=Decimal(1),
        close_time_ms=opened_ms + MINUTE_MS - 1,
        quote_volume=price,
        trades=1,
        taker_base=Decimal(0),
        taker_quote=Decimal(0),
    )
    bars_store(instrument, "1m", [record], Bar.Source.STREAM)


def measure(options: argparse.Namespace) -> None:
    from trading.models import Account, Order
    from trading.services.execution.drain import orders_drain
    from trading.services.planning import plan_refresh
    from trading.services.strategies import strategy_step
    from universe.models import Quote

    instruments = open_account()[: options.symbols]
    account = Account.objects.get(name=ACCOUNT)
    keys = desks(instruments, options.strategies)
    middle = {q.instrument_id: (q.bid + q.ask) / 2 for q in Quote.objects.filter(instrument__in=instruments)}
    first_ms = (int(time.time() * 1000) // MINUTE_MS - SLOWEST - options.rounds - 1) * MINUTE_MS
    for number in range(SLOWEST):
        for instrument in instruments:
            close_bar(instrument, first_ms + number * MINUTE_MS, middle[instrument.pk])
    for key in keys:
        strategy_step(instance_id=key)
    decided: list[float] = []
    acknowledged: list[float] = []
    decisions = orders = 0
    for number in range(options.rounds):
        refresh_quotes(instruments)
        # Far enough beyond everything before it to carry both averages of every strategy over each other.
        move = MOVE * (number + 1) * (1 if number % 2 == 0 else -1)
        for instrument in instruments:
            opened_ms = first_ms + (SLOWEST + number) * MINUTE_MS
            close_bar(instrument, opened_ms, middle[instrument.pk] * (1 + move))
        began = time.perf_counter()
        for key in keys:
            decisions += strategy_step(instance_id=key) is not None
        decided.append(time.perf_counter() - began)
        for instrument in instruments:
            made = plan_refresh(account_id=account.pk, instrument_id=instrument.pk)
            for order in made:
                orders_drain(account_id=account.pk, shard=order.shard)
                acknowledged.append(time.perf_counter() - began)
            orders += len(made)
    left = Order.objects.filter(account=account, ended_at=None).count()
    pairs = len(keys) * options.rounds
    print(f"{decisions} decisions of {pairs} steps, {orders} orders, {left} still open")
    if not orders:
        raise SystemExit("nothing was ordered")
    figures = [
        ("pairs", len(keys), "strategy x symbol"),
        ("all_decided_p50", round(percentile(decided, 0.5) * 1000, 1), "ms"),
        ("all_decided_worst", round(max(decided) * 1000, 1), "ms"),
        ("per_decision", round(percentile(decided, 0.5) / len(keys) * 1000, 2), "ms"),
        ("acknowledged_p50", round(percentile(acknowledged, 0.5) * 1000, 1), "ms"),
        ("all_acknowledged_worst", round(max(acknowledged) * 1000, 1), "ms"),
    ]
    report("closing", figures, GOALS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strategies", type=int, default=20)
    parser.add_argument("--symbols", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    with running():
        measure(options)


if __name__ == "__main__":
    main()
