"""The same backtest in public packages; run by their own interpreter, which has none of ours.

    python benchmarks/_backtest_peers.py BARS.npz NAME

Prints one JSON object: first and median CPU seconds, round trips, final equity.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import numpy as np

FAST, SLOW, FEE, CASH = 20, 50, 0.001, 1_000_000_000.0


def means(close: Any) -> tuple[Any, Any]:
    total = np.concatenate(([0.0], np.cumsum(close)))
    found = []
    for window in (FAST, SLOW):
        mean = np.full(len(close), np.nan)
        mean[window - 1 :] = (total[window:] - total[:-window]) / window
        found.append(mean)
    return found[0], found[1]


def vectorbt(data: Any) -> tuple[int, float]:
    import pandas as pd
    import vectorbt as vbt

    close = pd.Series(data["close"])
    fast, slow = vbt.MA.run(close, FAST).ma, vbt.MA.run(close, SLOW).ma
    portfolio = vbt.Portfolio.from_signals(
        close,
        entries=(fast > slow).shift(1, fill_value=False),
        exits=(fast < slow).shift(1, fill_value=False),
        price=pd.Series(data["open"]),
        size=1.0,
        fees=FEE,
        init_cash=CASH,
        freq="1min",
    )
    return int(portfolio.trades.closed.count()), float(portfolio.final_value())


def backtesting(data: Any) -> tuple[int, float]:
    import pandas as pd
    from backtesting import Backtest, Strategy

    fast, slow = means(data["close"])

    class Crossing(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.fast, self.slow = self.I(lambda: fast), self.I(lambda: slow)

        def next(self) -> None:
            if self.fast[-1] > self.slow[-1]:
                if not self.position:
                    self.buy(size=1)
            elif self.position and self.fast[-1] < self.slow[-1]:
                self.position.close()

    frame = pd.DataFrame(
        {name.capitalize(): data[name] for name in ("open", "high", "low", "close", "volume")},
        index=pd.date_range("2020-01-01", periods=len(data["close"]), freq="min"),
    )
    stats = Backtest(frame, Crossing, cash=CASH, commission=FEE).run()
    open_trades = int(bool(stats["_strategy"].position)) if "_strategy" in stats else 0
    return int(stats["# Trades"]) - open_trades, float(stats["Equity Final [$]"])


def main() -> None:
    data = dict(np.load(sys.argv[1]))
    run = {"vectorbt": vectorbt, "backtesting": backtesting}[sys.argv[2]]
    began = time.process_time()
    trades, equity = run(data)
    first = time.process_time() - began
    times = []
    for _ in range(3 if first < 20 else 1):
        began = time.process_time()
        run(data)
        times.append(time.process_time() - began)
    print(
        json.dumps({"first": first, "median": statistics.median(times), "trades": trades, "equity": equity})
    )


if __name__ == "__main__":
    main()
