"""A backtest's record as a report sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from trading.domain.backtest import BacktestResult, BarSeries, FillKind
from trading.domain.backtest.ledger import TRIP_COLUMNS
from trading.domain.backtest.series import IntArray
from trading.domain.report.assumptions import assumption_texts
from trading.domain.report.run import Candles, Execution, Regimes, ReportRun
from trading.domain.report.text import money, stamp
from trading.domain.statistics import EquityCurve, RoundTrips, Summary, Trials, equity_curve, summary
from trading.domain.statistics.figures import FloatArray
from trading.domain.values import UNITS

_MOST_EXECUTIONS = 100_000


def summary_of(result: BacktestResult, trials: Trials | None = None) -> Summary:
    """Return the statistics of a backtest, money in quote currency.

    Raises
    ------
    ValueError : see `summary`.
    """
    stop = _until_ruin(result.equity)
    return summary(
        result.times_ns[:stop],
        result.equity[:stop] / UNITS,
        exposure=result.gross_exposure[:stop] / UNITS,
        traded_notional=result.traded / UNITS,
        trips=round_trips_of(result),
        fees=result.fees / UNITS,
        funding=result.funding / UNITS,
        slippage=result.slippage / UNITS,
        trials=trials,
    )


def round_trips_of(result: BacktestResult) -> RoundTrips:
    """Return the closed round trips, money in quote currency."""
    entry_ns, exit_ns, net, notional = (
        _trip_column(result, name) for name in ("entry_ns", "exit_ns", "net", "entry_quote")
    )
    return RoundTrips(entry_ns, exit_ns, net / UNITS, notional / UNITS)


def run_from_backtest(
    result: BacktestResult,
    name: str,
    *,
    facts: Sequence[tuple[str, str]] = (),
    regimes: Regimes | None = None,
    trials: Trials | None = None,
) -> ReportRun:
    """Return what a report shows of a backtest.

    Parameters
    ----------
    facts : shown first in the head.  regimes : at each of the result's times.
    trials : what the run was selected from.
    """
    stop = _until_ruin(result.equity)
    symbols = [series.symbol for series in result.series]
    counted = summary_of(result, trials)
    head = [
        *facts,
        ("Period", f"{stamp(counted.start_ns)} to {stamp(counted.end_ns)} UTC"),
        ("Bars", ", ".join(f"{s.symbol} {s.interval}: {len(s):,}" for s in result.series)),
        ("Start", money(counted.start_equity)),
        ("End", money(counted.final_equity)),
    ]
    if not result.complete:
        head.append(("State", "partial: the run was stopped before its last bar"))
    refused = result.refusals_by_rail
    if refused:
        head.append(("Refused orders", ", ".join(f"{rail} {count:,}" for rail, count in refused.items())))
    if result.liquidations:
        head.append(("Liquidations", f"{result.liquidations:,}"))
    cut = None
    if regimes is not None:
        cut = Regimes(regimes.states[:stop], regimes.names)
    return ReportRun(
        name=name,
        facts=head,
        curve=equity_curve(result.times_ns[:stop], result.equity[:stop] / UNITS),
        summary=counted,
        trips=round_trips_of(result),
        trip_symbols=[symbols[lane] for lane in _trip_column(result, "lane").tolist()],
        trip_sides=_trip_column(result, "side").tolist(),
        candles=[_candles(series) for series in result.series],
        executions=_executions(result),
        regimes=cut,
        costs=_costs(result)[:stop],
        assumptions=assumption_texts(result.header),
        digest=result.sha256,
    )


def run_from_tests(
    results: Sequence[BacktestResult],
    name: str,
    *,
    series: BarSeries,
    curve: EquityCurve,
    counted: Summary,
    regimes: Regimes | None = None,
    facts: Sequence[tuple[str, str]] = (),
    assumptions: Mapping[str, str] | None = None,
) -> ReportRun:
    """Return what a report shows of tests one after the other: a stitched curve, and everybody's trades.

    Parameters
    ----------
    results : of the tests, in order of time.  series : all bars.  curve, counted : stitched, and its summary.
    """
    return ReportRun(
        name=name,
        facts=[
            *facts,
            ("Period", f"{stamp(counted.start_ns)} to {stamp(counted.end_ns)} UTC"),
            ("Start", money(counted.start_equity)),
            ("End", money(counted.final_equity)),
        ],
        curve=curve,
        summary=counted,
        trips=joined_trips(results),
        trip_symbols=[series.symbol for result in results for _ in result.trips],
        trip_sides=[side for result in results for side in _trip_column(result, "side").tolist()],
        candles=[_candles(series)],
        executions=[execution for result in results for execution in _executions(result)],
        regimes=regimes,
        assumptions=assumptions or {},
    )


def joined_trips(results: Sequence[BacktestResult]) -> RoundTrips:
    """Return the round trips of runs one after the other."""
    parts = [round_trips_of(result) for result in results]
    return RoundTrips(
        np.concatenate([part.entry_ns for part in parts]),
        np.concatenate([part.exit_ns for part in parts]),
        np.concatenate([part.net for part in parts]),
        np.concatenate([part.entry_notional for part in parts]),
    )


def _trip_column(result: BacktestResult, name: str) -> IntArray:
    return np.asarray(result.trips[:, TRIP_COLUMNS.index(name)], dtype=np.int64)


def _until_ruin(equity: IntArray) -> int:
    """How many points there are up to and including the first at or below zero: after it no return means anything."""
    ruined = equity <= 0
    return int(np.argmax(ruined)) + 1 if ruined.any() else len(equity)


def _candles(series: BarSeries) -> Candles:
    return Candles(
        series.symbol,
        series.close_ns,
        open=series.price(series.open),
        high=series.price(series.high),
        low=series.price(series.low),
        close=series.price(series.close),
        volume=series.volume,
    )


def _executions(result: BacktestResult) -> list[Execution]:
    ledger = result.ledger
    rows = [
        ledger.column("fills", column)[:_MOST_EXECUTIONS].tolist()
        for column in ("time_ns", "lane", "steps", "quote", "fee", "kind")
    ]
    found = []
    for time_ns, lane, steps, quote, fee, kind in zip(*rows, strict=True):
        instrument = result.series[lane].instrument
        quantity = float(Decimal(steps) * instrument.step_size)
        words = FillKind(kind).name.lower().replace("_", " ")
        price = quote / UNITS / abs(quantity)
        found.append(Execution(instrument.symbol, time_ns, quantity, price, fee / UNITS, words))
    return found


def _costs(result: BacktestResult) -> FloatArray:
    """Fees, slippage and funding paid in the step that ends at each point."""
    costs = np.zeros(len(result.times_ns))
    ledger = result.ledger
    for table, columns in (("fills", ("fee", "slippage")), ("funding", ("paid",))):
        lanes, bars = ledger.column(table, "lane"), ledger.column(table, "bar")
        for lane, series in enumerate(result.series):
            mine = lanes == lane
            at = np.searchsorted(result.times_ns, series.close_ns[bars[mine]])
            for column in columns:
                np.add.at(costs, at, ledger.column(table, column)[mine] / UNITS)
    return costs
