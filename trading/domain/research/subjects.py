"""What the look-ahead test asks: what a strategy says, wants and holds at each bar of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

import numpy as np

from trading.domain.backtest import BarSeries, Inputs, run
from trading.domain.research.evaluate import with_strategy
from trading.domain.research.lookahead import Column, Subject, Table
from trading.domain.strategies import Desired, Observation, Strategy

_COLUMNS: Final = (
    "open_ns", "close_ns", "open", "high", "low", "close",
    "volume", "quote_volume", "trades", "taker_base",
)  # fmt: skip
_WHOLE: Final = frozenset({"open_ns", "close_ns", "open", "high", "low", "close", "trades"})


class Recorder(Strategy):
    """A strategy that passes everything on and remembers, beside its state, what was wanted at each bar."""

    name: ClassVar[str] = "recorder"
    Params: ClassVar[type] = object

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self.said: list[tuple[int, Desired | None]] = []

    def warmup(self, params: Any) -> int:
        """Return the strategy's own warm-up."""
        return self._strategy.warmup(params)

    def slower_intervals(self, params: Any) -> tuple[str, ...]:
        """Return what the strategy sees beside its own bars."""
        return self._strategy.slower_intervals(params)

    def reads_funding(self, params: Any) -> bool:
        """Return whether the strategy reads it."""
        return self._strategy.reads_funding(params)

    def initial(self, params: Any) -> Any:
        """Return the strategy's own first state."""
        return self._strategy.initial(params)

    def step(self, params: Any, state: Any, observation: Observation) -> tuple[Any, Desired | None]:
        """Step the strategy and note what it said."""
        state, desired = self._strategy.step(params, state, observation)
        if observation.trigger == "bar":
            self.said.append((observation.now_ns, desired))
        return state, desired


def bar_table(series: BarSeries) -> Table:
    """Return the columns of a series; prices in ticks."""
    return {name: getattr(series, name) for name in _COLUMNS}


def series_of(table: Table, like: BarSeries) -> BarSeries:
    """Return the series of a table; prices are kept at one tick or more, and inside their high and low.

    A table of which only one price was changed is no possible bar otherwise.
    """
    columns: dict[str, Any] = {}
    for name in _COLUMNS:
        columns[name] = np.asarray(table[name], dtype=np.int64 if name in _WHOLE else np.float64)
    prices = [np.maximum(columns[name], 1) for name in ("open", "high", "low", "close")]
    columns["open"], columns["close"] = prices[0], prices[3]
    columns["high"] = np.maximum.reduce(prices)
    columns["low"] = np.minimum.reduce(prices)
    return replace(like, **columns)


def strategy_subject(inputs: Inputs, strategy: Strategy, params: Any) -> Subject:
    """Return the function the look-ahead test calls for a strategy.

    Its columns: `said` (0 or 1: whether anything), `target`, `confidence`, `reason`, `stop`, `take_profit`,
    `trailing`, each quote, every `feature:NAME`, and from the books `order` (signed steps filled in the
    bar) and `position` (steps held at its close). What was not said is NaN or "".
    """

    def subject(table: Table) -> Mapping[str, Column]:
        series = series_of(table, inputs.series[0])
        recorder = Recorder(strategy)
        # Rates settled after the last bar's close are part of the future, too.
        funding = {name: rates.until(int(series.close_ns[-1])) for name, rates in inputs.funding.items()}
        result = run(with_strategy(replace(inputs, series=[series], funding=funding), recorder, params))
        columns = _said(recorder, series)
        fills = result.ledger
        order = np.zeros(len(series), np.int64)
        np.add.at(order, fills.column("fills", "bar"), fills.column("fills", "steps"))
        return {**columns, "order": order, "position": result.positions()}

    return _with_stable_columns(subject)


def _said(recorder: Recorder, series: BarSeries) -> dict[str, Column]:
    n = len(series)
    numbers = ("target", "confidence", "stop", "take_profit", "trailing")
    columns: dict[str, Column] = {name: np.full(n, np.nan) for name in numbers}
    columns["said"] = np.zeros(n, np.int64)
    reasons = [""] * n
    features: dict[str, Column] = {}
    for at, (_, desired) in enumerate(recorder.said):
        if desired is None:
            continue
        columns["said"][at] = 1
        columns["target"][at], columns["confidence"][at] = desired.target, desired.confidence
        reasons[at] = desired.reason
        if desired.protection is not None:
            for name in ("stop", "take_profit", "trailing"):
                value = getattr(desired.protection, name)
                columns[name][at] = np.nan if value is None else value
        quotes = desired.quotes
        parts = {} if quotes is None else {f"quote:{n}": getattr(quotes, n) for n in type(quotes).__slots__}
        for name, value in ({f"feature:{k}": v for k, v in desired.features.items()} | parts).items():
            features.setdefault(name, np.full(n, np.nan))[at] = value
    return {**columns, "reason": np.array(reasons, dtype=object), **features}


def _with_stable_columns(subject: Subject) -> Subject:
    """Give every answer the columns seen in the first, whole one: a feature may not have been said yet."""
    known: list[str] = []

    def stable(table: Table) -> Mapping[str, Column]:
        told = subject(table)
        if not known:
            known.extend(told)
        rows = len(next(iter(table.values())))
        return {
            **{name: told.get(name, np.full(rows, np.nan)) for name in known},
            **{name: column for name, column in told.items() if name not in known},
        }

    return stable
