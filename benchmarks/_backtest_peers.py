"""The same backtests in public packages; run by their own interpreter, which has none of ours.

    python benchmarks/_backtest_peers.py BARS.npz NAME crossing
    python benchmarks/_backtest_peers.py BARS.npz NAME sweep|figures FAST SLOW [FAST SLOW ...]

`crossing` is SMA 20/50 long or flat, one unit, next open, 0.1 % fee; `sweep` the same for other lengths, of which
it wants the final equity, `figures` (vectorbt) Sharpe ratio, drawdown and trades too. Prints one JSON object:
CPU seconds of the first run and the median of those after it, round trips, final equities.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

FAST, SLOW, FEE, CASH = 20, 50, 0.001, 1_000_000_000.0
SHORT_S = 20.0
"""A run that takes longer is made twice, not four times."""

Pairs = Sequence[tuple[int, int]]
Found = tuple[int, list[float]]
"""Round trips of all runs, final equity of each."""


def means(close: Any, lengths: tuple[int, int]) -> tuple[Any, Any]:
    total = np.concatenate(([0.0], np.cumsum(close)))
    found = []
    for window in lengths:
        mean = np.full(len(close), np.nan)
        mean[window - 1 :] = (total[window:] - total[:-window]) / window
        found.append(mean)
    return found[0], found[1]


def vectorbt(data: Any, pairs: Pairs, *, figures: bool = False) -> Found:
    import pandas as pd
    import vectorbt as vbt

    close, price = pd.Series(data["close"]), pd.Series(data["open"])
    if len(pairs) > 1:
        fast = vbt.MA.run(close, [fast for fast, _ in pairs]).ma.to_numpy()
        slow = vbt.MA.run(close, [slow for _, slow in pairs]).ma.to_numpy()
        entries, exits = np.zeros(fast.shape, bool), np.zeros(fast.shape, bool)
        entries[1:], exits[1:] = (fast > slow)[:-1], (fast < slow)[:-1]
    else:
        first, second = vbt.MA.run(close, pairs[0][0]).ma, vbt.MA.run(close, pairs[0][1]).ma
        entries = (first > second).shift(1, fill_value=False)
        exits = (first < second).shift(1, fill_value=False)
    portfolio = vbt.Portfolio.from_signals(
        close, entries=entries, exits=exits, price=price, size=1.0, fees=FEE, init_cash=CASH, freq="1min"
    )
    if len(pairs) == 1:
        return int(portfolio.trades.closed.count()), [float(portfolio.final_value())]
    equities = [float(value) for value in portfolio.final_value()]
    if not figures:
        return 0, equities
    portfolio.sharpe_ratio(), portfolio.max_drawdown()
    return int(portfolio.trades.closed.count().sum()), equities


def vectorbt_figures(data: Any, pairs: Pairs) -> Found:
    return vectorbt(data, pairs, figures=True)


def backtesting(data: Any, pairs: Pairs) -> Found:
    import pandas as pd
    from backtesting import Backtest, Strategy

    class Crossing(Strategy):  # type: ignore[misc]
        lengths = (FAST, SLOW)

        def init(self) -> None:
            fast, slow = means(data["close"], self.lengths)
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
    test = Backtest(frame, Crossing, cash=CASH, commission=FEE)
    trades, equities = 0, []
    for lengths in pairs:
        stats = test.run(lengths=lengths)
        trades += int(stats["# Trades"])
        equities.append(float(stats["Equity Final [$]"]))
    return trades, equities


def backtrader(data: Any, pairs: Pairs, *, observers: bool = True) -> Found:
    import backtrader as bt

    columns = [data[name].tolist() for name in ("open", "high", "low", "close", "volume")]
    first = bt.date2num(np.datetime64("2020-01-01").astype(object))

    class Arrays(bt.feed.DataBase):  # type: ignore[misc]
        at = 0

        def _load(self) -> bool:
            at, lines = self.at, self.lines
            if at >= len(columns[0]):
                return False
            self.at = at + 1
            lines.datetime[0] = first + at / 1440.0
            lines.open[0], lines.high[0], lines.low[0] = columns[0][at], columns[1][at], columns[2][at]
            lines.close[0], lines.volume[0], lines.openinterest[0] = columns[3][at], columns[4][at], 0.0
            return True

    class Crossing(bt.Strategy):  # type: ignore[misc]
        params = (("lengths", (FAST, SLOW)),)

        def __init__(self) -> None:
            fast, slow = self.p.lengths
            self.fast, self.slow = bt.ind.SMA(period=fast), bt.ind.SMA(period=slow)
            self.closed = 0

        def notify_trade(self, trade: Any) -> None:
            self.closed += trade.isclosed

        def next(self) -> None:
            if self.fast[0] > self.slow[0]:
                if not self.position:
                    self.buy(size=1)
            elif self.position and self.fast[0] < self.slow[0]:
                self.close()

    trades, equities = 0, []
    for lengths in pairs:
        brain = bt.Cerebro(stdstats=observers)
        brain.adddata(Arrays())
        brain.addstrategy(Crossing, lengths=lengths)
        brain.broker.setcash(CASH)
        brain.broker.setcommission(commission=FEE)
        trades += brain.run()[0].closed
        equities.append(float(brain.broker.getvalue()))
    return trades, equities


def backtrader_bare(data: Any, pairs: Pairs) -> Found:
    """Without the observers that it adds by itself."""
    return backtrader(data, pairs, observers=False)


PEERS: dict[str, Callable[[Any, Pairs], Found]] = {
    "vectorbt": vectorbt,
    "backtesting": backtesting,
    "backtrader": backtrader,
    "backtrader_bare": backtrader_bare,
}


def main() -> None:
    data, kind = dict(np.load(sys.argv[1])), sys.argv[3]
    run = vectorbt_figures if kind == "figures" else PEERS[sys.argv[2]]
    numbers = [int(text) for text in sys.argv[4:]]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True)) if numbers else [(FAST, SLOW)]
    began = time.process_time()
    trades, equities = run(data, pairs)
    first = time.process_time() - began
    times = []
    for _ in range(3 if first < SHORT_S else 1):
        began = time.process_time()
        run(data, pairs)
        times.append(time.process_time() - began)
    found = {"first": first, "median": statistics.median(times), "trades": trades, "equities": equities}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
