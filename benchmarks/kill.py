"""From a kill's commit to every cancel asked for, and to the exchange's confirmation.

    python benchmarks/kill.py [--orders 200] [--symbols 20] [--stops 0]

A real Postgres with fsync on and the paper exchange as a process of its own; the enforcer is the control worker's code
in this process. `--stops N` leaves a protective order standing on N symbols, which then cannot be canceled by one call.
Prints a table and one JSON line per figure.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from _live_stack import ACCOUNT, LISTED, list_symbol, open_account, report, running

GOALS = {"all_cancels_requested": "<= 1", "confirmed_empty": "<= 5"}


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
    figures = [
        ("all_cancels_requested", round(requested, 3), "s"),
        ("confirmed_empty", round(confirmed, 3), "s"),
    ]
    report("kill", figures, GOALS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--stops", type=int, default=0)
    options = parser.parse_args()
    with running("--control", "--symbols", *LISTED) as stack:
        for number in range(len(LISTED), options.symbols):
            list_symbol(stack.port, f"K{number:02d}USDT")
        measure(options)


if __name__ == "__main__":
    main()
