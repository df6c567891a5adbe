"""What the paper exchange's generated market costs, in process and without sockets.

    python benchmarks/testnet_market.py [--seconds 300] [--symbols 6]

Runs the default symbols in stepped market time at the step each speed uses, and prints the CPU a market
second costs and the share of one core that would be at that speed, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import time

from testnet.instruments import DEFAULT_SYMBOLS
from testnet.klines import MINUTE_MS
from testnet.market.driver import MAX_STEP_MS, TICK_MS
from testnet.opening import MarketOptions, open_exchange

START_MS = 1_750_000_020_000
SPEEDS = (1.0, 10.0, 60.0, 600.0)
GOAL_CORE_PERCENT = {1.0: 5.0, 600.0: 20.0}


def step_ms(speed: float) -> int:
    """The step the driver takes at a speed."""
    return min(MAX_STEP_MS, max(TICK_MS, round(TICK_MS * speed)))


def run(speed: float, seconds: float, symbols: tuple[str, ...]) -> dict[str, float]:
    """CPU and activity of one stretch of market time, long enough for a steady figure."""
    options = MarketOptions(
        seed=1, speed=0.0, start_ms=START_MS, symbols=symbols, usdm_symbols=(), minute_days=1, hour_days=1
    )
    exchange = open_exchange(options).exchange
    driver, step = exchange.driver, step_ms(speed)
    listings = [exchange.listing(symbol) for symbol in symbols]
    stretch_ms = round(seconds * 1000 * max(1.0, step / 1000))
    driver.slice_to(driver.next_ms + step, step)
    ids = sum(listing.tape.trade_id for listing in listings)
    updates = sum(listing.book.update_id for listing in listings)
    target = driver.next_ms + stretch_ms // MINUTE_MS * MINUTE_MS
    market_s = (target - driver.next_ms) / 1000
    began = time.process_time()
    while driver.slice_to(target, step):
        pass
    used = time.process_time() - began
    traded = sum(listing.tape.trade_id for listing in listings) - ids
    changed = sum(listing.book.update_id for listing in listings) - updates
    return {
        "step_ms": step,
        "market_s": market_s,
        "cpu_us_per_market_s": round(used / market_s * 1e6, 1),
        "core_percent": round(used / market_s * speed * 100, 2),
        "trades_per_market_s": round(traded / market_s, 2),
        "book_updates_per_market_s": round(changed / market_s, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="market seconds at speed 1; more above")
    parser.add_argument("--symbols", type=int, default=len(DEFAULT_SYMBOLS), help="how many of the defaults")
    options = parser.parse_args()
    symbols = DEFAULT_SYMBOLS[: options.symbols]
    rows = {speed: run(speed, options.seconds, symbols) for speed in SPEEDS}
    names = list(rows[1.0])
    print(f"{'speed':>8} " + " ".join(f"{name:>26}" for name in names) + "   goal")
    for speed, row in rows.items():
        goal = GOAL_CORE_PERCENT.get(speed)
        shown = f"<= {goal:g} % of a core" if goal else ""
        print(f"{speed:8g} " + " ".join(f"{row[name]:26,.2f}" for name in names) + f"   {shown}")
    print(json.dumps({"benchmark": "testnet_market", "symbols": len(symbols), "speeds": rows}))


if __name__ == "__main__":
    main()
