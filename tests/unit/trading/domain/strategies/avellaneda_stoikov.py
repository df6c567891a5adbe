"""The simulation of Avellaneda & Stoikov (2008), section 3.3, with the quotes of the product.

Run as a module it prints the table of docs/strategies/market_maker.md:

    python -m tests.unit.trading.domain.strategies.avellaneda_stoikov 100000
"""

from __future__ import annotations

import math
import sys

import numpy as np

from trading.domain.regime.arrays import FloatArray
from trading.domain.strategies.quoting import reservation_quotes

MID, HORIZON, SIGMA, STEP, DECAY, ARRIVAL = 100.0, 1.0, 2.0, 0.005, 1.5, 140.0


def simulate(gamma: float, inventory_aware: bool, paths: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return (paths,) profits and final inventories; without awareness the average spread stands around mid."""
    rng = np.random.default_rng(seed)
    steps = round(HORIZON / STEP)
    flat = [
        reservation_quotes(0.0, 0.0, gamma, SIGMA, DECAY, HORIZON - i * STEP).spread for i in range(steps)
    ]
    average = math.fsum(flat) / steps
    mid, cash, inventory = np.full(paths, MID), np.zeros(paths), np.zeros(paths)
    for i in range(steps):
        remaining = HORIZON - i * STEP
        if inventory_aware:
            # The reservation price is linear in the inventory: two calls give it for all paths.
            empty = reservation_quotes(0.0, 0.0, gamma, SIGMA, DECAY, remaining)
            lean = reservation_quotes(0.0, 1.0, gamma, SIGMA, DECAY, remaining).price
            bid, ask = -empty.bid - lean * inventory, empty.ask + lean * inventory
        else:
            bid = ask = np.full(paths, average / 2.0)
        bought = rng.random(paths) < np.minimum(1.0, ARRIVAL * np.exp(-DECAY * bid) * STEP)
        sold = rng.random(paths) < np.minimum(1.0, ARRIVAL * np.exp(-DECAY * ask) * STEP)
        cash += np.where(sold, mid + ask, 0.0) - np.where(bought, mid - bid, 0.0)
        inventory += bought.astype(float) - sold.astype(float)
        mid = mid + np.where(rng.random(paths) < 0.5, 1.0, -1.0) * SIGMA * math.sqrt(STEP)
    return cash + inventory * mid, inventory


def main(paths: int) -> None:
    """Print profit and inventory of both strategies at both risk aversions."""
    for gamma in (0.1, 1.0):
        for aware in (True, False):
            profits, inventories = simulate(gamma, aware, paths, seed=1)
            name = "inventory" if aware else "symmetric"
            sys.stdout.write(
                f"{gamma:4} {name}  profit {profits.mean():7.3f}  sd {profits.std(ddof=1):7.3f}  "
                f"final q {inventories.mean():7.3f}  sd {inventories.std(ddof=1):6.3f}\n"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]))
