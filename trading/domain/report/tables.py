"""The tables of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from trading.domain.clock import NS_PER_S
from trading.domain.report.lines import LINES
from trading.domain.report.run import ReportRun
from trading.domain.report.table import Cell, Table, signed
from trading.domain.report.text import NONE, duration, money, number, percent, shown, stamp
from trading.domain.statistics import (
    Figure,
    by_month,
    by_regime,
    cost_stress,
    daily_curve,
    drawdown_episodes,
    simple_returns,
)

_MOST_TRADES = 5_000
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


_SIGNED = frozenset(
    {"Total return", "Growth per year", "Mean result per trade", "Mean result per trade, bps"}
)


def statistics_table(runs: Sequence[ReportRun]) -> Table:
    """Return every statistic, one column per run."""
    rows = []
    for line in LINES:
        cells = [Cell(line.label, remark=line.meaning)]
        for run in runs:
            figure = line.read(run.summary)
            tone = signed("", figure.value or 0.0).tone if line.label in _SIGNED else ""
            cells.append(Cell(_written(figure, line.write), tone, figure.value, figure.reason))
        rows.append(cells)
    basis = runs[0].summary.basis
    note = (
        "Significance, skewness, kurtosis and tail risk are taken from daily returns."
        if basis == "day"
        else "There are fewer than 30 full days: significance and tail risk are taken from returns per bar."
    )
    return Table("statistics", "Statistics", ["", *(run.name for run in runs)], rows, note)


_HEADLINES = ("Total return", "Sharpe", "Largest drawdown", "P(Sharpe > 0)", "Trades", "Win rate", "Fees")


def headlines(run: ReportRun) -> list[tuple[str, Cell]]:
    """Return the few figures to read first, by label."""
    table = statistics_table([run])
    return [(row[0].text, row[1]) for row in table.rows if row[0].text in _HEADLINES]


def _written(figure: Figure, write: str) -> str:
    if write == "count":
        return NONE if figure.value is None else f"{figure.value:,.0f}"
    return shown(figure, write)


def month_table(run: ReportRun) -> Table:
    """Return months by year, shaded by return, with the year's compound return."""
    rows_by_year: dict[str, list[Cell]] = {}
    growth: dict[str, float] = {}
    months = by_month(run.curve, run.trips)
    largest = max((abs(row.total_return) for row in months), default=0.0) or 1.0
    for row in months:
        year, month = row.month.split("-")
        cells = rows_by_year.setdefault(year, [Cell("", order=None)] * 12)
        remark = f"{row.trades} trades, drawdown {percent(row.max_drawdown)}"
        cell = signed(percent(row.total_return, 1), row.total_return)
        cells[int(month) - 1] = Cell(cell.text, cell.tone, cell.order, remark, row.total_return / largest)
        growth[year] = growth.get(year, 1.0) * (1.0 + row.total_return)
    rows = [
        [Cell(year), *cells, signed(percent(growth[year] - 1, 1), growth[year] - 1)]
        for year, cells in rows_by_year.items()
    ]
    return Table("months", f"Months: {run.name}", ["Year", *_MONTHS, "Year's return"], rows)


def regime_table(run: ReportRun) -> Table | None:
    """Return results by the regime known when each step began; None without regimes."""
    if run.regimes is None:
        return None
    rows = [
        [
            Cell(row.name),
            Cell(percent(row.share, 1), order=row.share),
            signed(percent(row.total_return), row.total_return),
            signed(number(row.mean_bps, 3), row.mean_bps),
            Cell(shown(row.volatility, "percent"), order=row.volatility.value, remark=row.volatility.reason),
            Cell(shown(row.sharpe), order=row.sharpe.value, remark=row.sharpe.reason),
            Cell(f"{row.trades:,}", order=row.trades),
            signed(money(row.net), row.net),
        ]
        for row in by_regime(run.curve, run.regimes.states, run.regimes.names, run.trips)
    ]
    columns = [
        "Regime",
        "Time",
        "Return",
        "Mean per bar, bps",
        "Volatility",
        "Sharpe",
        "Trades entered",
        "Their result",
    ]
    note = "A return belongs to the regime that was known when it began; a trade to the one at its entry."
    return Table("regimes", f"Regimes: {run.name}", columns, rows, note)


def drawdown_table(run: ReportRun, most: int = 10) -> Table:
    """Return the deepest drawdowns."""
    end = int(run.curve.times_ns[-1])
    rows = []
    for episode in drawdown_episodes(run.curve, most):
        lasted = episode.duration_ns(end) / NS_PER_S
        rows.append(
            [
                Cell(percent(episode.depth), "down", episode.depth),
                Cell(stamp(episode.peak_ns)),
                Cell(stamp(episode.trough_ns)),
                Cell("not yet" if episode.recovered_ns is None else stamp(episode.recovered_ns)),
                Cell(duration(lasted), order=lasted),
            ]
        )
    columns = ["Depth", "Peak (UTC)", "Lowest", "Recovered", "Lasted"]
    return Table("drawdowns", f"Deepest drawdowns: {run.name}", columns, rows)


def cost_table(run: ReportRun) -> Table | None:
    """Return the run at other costs; None where the costs of each step are not known."""
    if run.costs is None or len(run.curve.equity) < 2:
        return None
    rows = [
        [
            Cell(f"{row.factor:g} × costs", order=row.factor),
            signed(percent(row.total_return), row.total_return),
            Cell(shown(row.sharpe), order=row.sharpe.value, remark=row.sharpe.reason),
            Cell(percent(row.max_drawdown), order=row.max_drawdown),
        ]
        for row in cost_stress(run.curve.equity, run.costs, run.curve.step_ns)
    ]
    note = "The same trades with fees, slippage and funding multiplied; decisions are not made again."
    return Table("costs", f"Cost stress: {run.name}", ["Costs", "Return", "Sharpe", "Drawdown"], rows, note)


def trade_table(run: ReportRun) -> Table:
    """Return the round trips, newest last; the first 5,000 of a longer list."""
    trips = run.trips
    rows = []
    for i in range(min(len(trips), _MOST_TRADES)):
        net, notional = float(trips.net[i]), float(trips.entry_notional[i])
        held = float(trips.exit_ns[i] - trips.entry_ns[i]) / NS_PER_S
        side = ("long" if run.trip_sides[i] > 0 else "short") if run.trip_sides else ""
        rows.append(
            [
                Cell(f"{i + 1:,}", order=i + 1),
                Cell(run.trip_symbols[i] if run.trip_symbols else ""),
                Cell(side),
                Cell(stamp(int(trips.entry_ns[i]))),
                Cell(stamp(int(trips.exit_ns[i]))),
                Cell(duration(held), order=held),
                Cell(money(notional), order=notional),
                signed(money(net), net),
                signed(number(net / notional * 1e4, 1), net),
            ]
        )
    columns = ["#", "Symbol", "Side", "Entry (UTC)", "Exit (UTC)", "Held", "Notional", "Result", "bps"]
    cut = len(trips) - len(rows)
    note = f"The first {_MOST_TRADES:,}; {cut:,} more are in the record of the run." if cut else ""
    return Table("trades", f"Trades: {run.name}", columns, rows, note, page=50)


def comparison_table(runs: Sequence[ReportRun]) -> Table | None:
    """Return each run against the first: return difference, correlation and tracking error of common days."""
    if len(runs) < 2:
        return None
    base = daily_curve(runs[0].curve)
    rows = []
    for run in runs[1:]:
        other = daily_curve(run.curve)
        _, mine, theirs = np.intersect1d(base.times_ns, other.times_ns, return_indices=True)
        if len(mine) < 4:
            rows.append(
                [Cell(run.name), *(Cell(NONE, remark="fewer than three common days") for _ in range(4))]
            )
            continue
        a, b = simple_returns(base.equity[mine]), simple_returns(other.equity[theirs])
        difference = b - a
        sd = float(difference.std(ddof=1))
        flat = float(a.std()) <= 1e-14 or float(b.std()) <= 1e-14
        correlation = None if flat else float(np.corrcoef(a, b)[0, 1])
        t = float(difference.mean()) / (sd / math.sqrt(len(difference))) if sd > 1e-14 else None
        rows.append(
            [
                Cell(run.name),
                signed(percent(float(difference.mean()) * 365), float(difference.mean())),
                Cell(NONE if correlation is None else number(correlation, 3), order=correlation),
                Cell(percent(sd * math.sqrt(365)), order=sd),
                Cell(NONE if t is None else number(t, 2), order=t),
            ]
        )
    columns = [
        "Run",
        "Mean difference per year",
        "Correlation",
        "Tracking error per year",
        "t of the difference",
    ]
    note = f"Daily returns on common days, each run less {runs[0].name}. Looking again and again inflates t."
    return Table("comparison", "Comparison", columns, rows, note)
