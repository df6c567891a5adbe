"""The compiled engine: one strategy with a compiled step on one instrument; the same result, sooner."""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np

from trading.domain.backtest.arithmetic import NO_LIMIT, PARTS, mul_div
from trading.domain.backtest.impact import trailing_day
from trading.domain.backtest.inputs import Inputs
from trading.domain.backtest.ledger import FILL_COLUMNS, FUNDING_COLUMNS, REFUSAL_COLUMNS, Ledger
from trading.domain.backtest.limits import LimitTable
from trading.domain.backtest.loop import run_bars
from trading.domain.backtest.losses import first_measure
from trading.domain.backtest.proof import first_lie
from trading.domain.backtest.result import BacktestResult
from trading.domain.backtest.scale import scale_of
from trading.domain.backtest.series import BarSeries, FloatArray, FundingSeries, IntArray
from trading.domain.backtest.settings import FillMode, Settings, SizeRule
from trading.domain.backtest.sizing import MAX_CHILDREN
from trading.domain.backtest.tables import Columns, FundingColumns, Said, Setup, Tables
from trading.domain.backtest.timing import arrivals, funding_ranges, is_late
from trading.domain.strategies.compiled import CompiledStep
from trading.domain.values import Market, to_units

FIRST_ROWS: Final = 65_536
"""Rows the tables have room for; a run with more fills than that is done twice."""


NOT_LATE: Final = np.zeros(0, np.int64)

PROVED: Final = 2_000
"""Bars on which whole-column signals are compared with the step in every run."""

LARGEST: Final = 2**61
"""Bound of the products of the compiled loop."""


class NotCompilable(ValueError):
    """The run needs the Python engine; the text says why."""


def why_not(inputs: Inputs) -> str:
    """Return why the compiled engine cannot take a run, or an empty text."""
    if len(inputs.series) != 1 or len(inputs.assignments) != 1:
        return "it has several instruments or strategies"
    if inputs.slower_of(inputs.series[0].symbol):
        return "its strategy looks at slower bars"
    assignment = inputs.assignments[0]
    declared = getattr(assignment.strategy, "compiled", None)
    if declared is None:
        return f"{assignment.strategy.name} has no compiled step"
    return declared.unable(assignment.params, inputs.series[0].interval) if declared.unable else ""


def run_compiled(inputs: Inputs, *, interpreted: bool = False) -> BacktestResult:
    """Run to the end with machine code.

    Parameters
    ----------
    interpreted : run the same loop and step as plain Python instead; for tests.

    Raises
    ------
    NotCompilable : see `why_not`.
    """
    reason = why_not(inputs)
    if reason:
        raise NotCompilable(reason)
    assignment, series, settings = inputs.assignments[0], inputs.series[0], inputs.settings
    declared = assignment.strategy.compiled
    assert declared is not None
    run: Any
    step: Any
    signals: Any
    prove: Any
    run, step, signals, prove = _as_written(declared) if interpreted else _machine_code(declared)
    costs, limits = settings.cost_table(), inputs.limit_table(assignment)
    columns = _columns(series, settings, costs.impact)
    vector = np.array(declared.numbers(assignment.params, series.interval), dtype=np.float64)
    size = declared.state_size(assignment.params)
    arguments: tuple[Any, ...] = (
        columns,
        _funding(series, inputs.funding.get(series.symbol, FundingSeries())),
        scale_of(series.instrument),
        limits,
        costs,
        _setup(series, settings, assignment.share),
    )
    said = _said(declared, assignment.params, step, signals, prove, vector, size, columns, series.close_sums)
    rows = FIRST_ROWS
    while True:
        tables = _tables(rows, columns, limits, settings)
        state = np.zeros(size)
        if interpreted:
            # Views give Python's own numbers, whose products do not overflow.
            counts = run(
                step,
                vector.data,
                state.data,
                *map(_viewed, arguments),
                _viewed(tables),
                _viewed(said),
            )
        else:
            counts = run(step, vector, state, *arguments, tables, said)
        if max(counts) <= rows:
            break
        rows = max(counts)
    fills, refusals, paid = (table[:count].copy() for table, count in zip(tables[:3], counts, strict=True))
    ledger = Ledger(fills=fills, refusals=refusals, funding=paid)
    return BacktestResult(inputs, (series,), ledger)


def _machine_code(declared: CompiledStep) -> tuple[Any, Any, Any, Any]:
    from trading.domain.backtest import machine

    signals = None if declared.signals is None else machine.compiled_signals(declared.signals)
    return machine.compiled_run(), machine.step_address(declared.function), signals, machine.compiled_proof()


def _as_written(declared: CompiledStep) -> tuple[Any, Any, Any, Any]:
    return run_bars, declared.function, declared.signals, first_lie


NOTHING_SAID: Final = Said(np.zeros(0, np.int8), np.zeros(0, np.int64), np.zeros(0))


def _said(
    declared: CompiledStep,
    params: Any,
    step: Any,
    signals: Any,
    prove: Any,
    vector: FloatArray,
    size: int,
    bars: Columns,
    sums: FloatArray | None,
) -> Said:
    """What the strategy says at every bar, where it can tell for whole columns and tells the truth.

    A function of whole columns can look ahead; the step cannot. So the first bars are asked of both.

    Raises
    ------
    ValueError : the two differ; the text names the bar.
    """
    if signals is None or declared.targets is None or sums is None:
        return NOTHING_SAID
    words = np.zeros(-(-len(bars.rows) // 8), np.int64)
    codes = words.view(np.int8)[: len(bars.rows)]
    prices = (bars.p_open, bars.p_high, bars.p_low, bars.p_close, bars.volume)
    signals(vector, *prices, sums, codes)
    targets = np.array(declared.targets(params), dtype=np.float64)
    said = Said(codes, words, targets)
    lie = prove(step, vector, np.zeros(size), bars, said, PROVED)
    if lie >= 0:
        raise ValueError(f"what the strategy says about all bars is not what its step says at bar {lie}")
    return said


def _viewed(argument: Any) -> Any:
    if not isinstance(argument, tuple):
        return argument
    members = (m.data if isinstance(m, np.ndarray) else m for m in argument)
    return type(argument)(*members)


def _plain(column: Any) -> Any:
    # Machine code is compiled for contiguous, writable arrays; a column of a stored file is neither always.
    return np.require(column, requirements=("C", "W"))


def _columns(series: BarSeries, settings: Settings, impact: float) -> Columns:
    daily, sigma = trailing_day(series, impact) if impact > 0.0 else (series.zeros, series.zeros)
    prices = series.prices
    return Columns(
        rows=series.rows,
        t_high=_plain(series.high),
        t_low=_plain(series.low),
        p_open=prices[0],
        p_high=prices[1],
        p_low=prices[2],
        p_close=prices[3],
        volume=_plain(series.volume),
        arrival=arrivals(series, settings) if is_late(settings) else NOT_LATE,
        daily=daily,
        sigma=sigma,
    )


def _new_tables(rows: int) -> tuple[IntArray, IntArray, IntArray]:
    fills, refusals, paid = (
        np.empty((rows, len(columns)), np.int64)
        for columns in (FILL_COLUMNS, REFUSAL_COLUMNS, FUNDING_COLUMNS)
    )
    return fills, refusals, paid


class _Lent(threading.local):
    """Tables of `FIRST_ROWS` rows for each thread: memory that is new to a process costs a short run a third."""

    def __init__(self) -> None:
        self._tables: tuple[IntArray, IntArray, IntArray] | None = None

    def tables(self) -> tuple[IntArray, IntArray, IntArray]:
        if self._tables is None:
            self._tables = _new_tables(FIRST_ROWS)
        return self._tables


_lent: Final = _Lent()


def _tables(rows: int, bars: Columns, limits: LimitTable, settings: Settings) -> Tables:
    size = len(bars.rows)
    in_flight = settings.latency_bars + 2
    if settings.latency_ns:
        in_flight = int((bars.arrival - np.arange(size)).max()) + 2
    # Of the last minute no more go out than the rail on the rate lets pass.
    rate = min(limits.orders_per_minute, limits.orders_per_minute_strategy)
    recent = 1 if rate >= NO_LIMIT else max(1, min(rate, MAX_CHILDREN * size))
    fills, refusals, paid = _lent.tables() if rows == FIRST_ROWS else _new_tables(rows)
    return Tables(
        fills=fills,
        refusals=refusals,
        paid=paid,
        flights=np.zeros((in_flight, 4), np.int64),
        recent=np.zeros((recent, 3), np.int64),
        account=np.array(first_measure(to_units(settings.cash)), np.int64),
        strategy=np.array(first_measure(0), np.int64),
    )


def _funding(series: BarSeries, funding: FundingSeries) -> FundingColumns:
    rows = (funding.times_ns, funding.rates, funding.marks)
    return FundingColumns(funding_ranges(series, funding), *map(_plain, rows))


def _setup(series: BarSeries, settings: Settings, share: int) -> Setup:
    quantity = capital = 0
    if settings.size_amount is not None:
        if settings.size is SizeRule.quantity:
            quantity = mul_div(series.instrument.steps(settings.size_amount), share, PARTS)
        else:
            capital = mul_div(to_units(settings.size_amount), share, PARTS)
    leverage, scale = int(settings.leverage * PARTS), scale_of(series.instrument)
    # Every product in the loop is a notional times `den`, or equity times the leverage: within these bounds
    # none of them reaches 63 bits.
    largest = LARGEST // (scale.den * -(-leverage // PARTS))
    if max(to_units(settings.cash), capital, quantity * series.highest * scale.num) > largest:
        raise ValueError(
            f"{series.symbol}: the amounts are too large for 64 bits; the Python engine has no bound"
        )
    spot = series.instrument.market is Market.spot
    return Setup(
        cash=to_units(settings.cash),
        quantity=quantity,
        capital=capital,
        share=share,
        usable=settings.usable_parts,
        band=settings.band_parts,
        max_child=settings.max_child_units,
        same_close=int(settings.fill is FillMode.same_close),
        through=int(not settings.touch_fills),
        long_only=int(settings.long_only or spot),
        leverage=leverage,
        largest=largest,
    )
