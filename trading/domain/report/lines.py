"""The statistics a report lists, in order, with what each means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trading.domain.statistics import Figure, Summary


@dataclass(frozen=True, slots=True)
class Line:
    """One statistic: its label, how it is read from a summary, how written, and what it means."""

    label: str
    read: Callable[[Summary], Figure]
    write: str
    meaning: str


def _plain(read: Callable[[Summary], float]) -> Callable[[Summary], Figure]:
    return lambda summary: Figure(float(read(summary)))


LINES: tuple[Line, ...] = (
    Line(
        "Total return",
        _plain(lambda s: s.total_return),
        "percent",
        "Final equity over starting equity, less one.",
    ),
    Line("Growth per year", lambda s: s.cagr, "percent", "Compound annual growth rate; a year has 365 days."),
    Line(
        "Volatility per year",
        lambda s: s.volatility,
        "percent",
        "Standard deviation of the returns per bar, annualised.",
    ),
    Line(
        "Sharpe",
        lambda s: s.sharpe,
        "ratio",
        "Mean over standard deviation of the returns per bar, annualised.",
    ),
    Line(
        "Sharpe, daily",
        lambda s: s.sharpe_daily,
        "ratio",
        "The same from UTC daily returns, times the root of 365.",
    ),
    Line("Sortino", lambda s: s.sortino, "ratio", "Mean over downside deviation, annualised."),
    Line("Calmar", lambda s: s.calmar, "ratio", "Growth per year over the largest drawdown."),
    Line(
        "Largest drawdown",
        _plain(lambda s: s.max_drawdown),
        "percent",
        "Largest fall from a peak, as part of the peak.",
    ),
    Line(
        "Longest under water",
        _plain(lambda s: s.longest_under_water_s),
        "seconds",
        "Longest time from a peak back to it.",
    ),
    Line("Ulcer index", _plain(lambda s: s.ulcer), "percent", "Root mean square of the drawdowns."),
    Line(
        "P(Sharpe > 0)",
        lambda s: s.psr,
        "percent",
        "Probabilistic Sharpe ratio: length, skewness and fat tails considered.",
    ),
    Line(
        "P(Sharpe > luck)",
        lambda s: s.dsr,
        "percent",
        "Deflated Sharpe ratio: what the best of all trials reaches by luck is taken off.",
    ),
    Line(
        "Trials counted",
        lambda s: Figure(s.dsr_trials) if s.dsr_trials else Figure(None, "none were recorded"),
        "ratio",
        "Independent trials the deflation assumes: what was tried before this was chosen.",
    ),
    Line(
        "Minimum track record",
        lambda s: s.min_track_record_days,
        "days",
        "Length that P(Sharpe > 0) of 95 % takes at this ratio.",
    ),
    Line("Skewness", lambda s: s.skew, "ratio", "Below zero: the large moves are losses."),
    Line("Kurtosis", lambda s: s.kurt, "ratio", "3 for the normal law; more means fatter tails."),
    Line("Value at risk 95 %", lambda s: s.var_95, "percent", "Loss exceeded in one period of twenty."),
    Line("Expected shortfall 95 %", lambda s: s.es_95, "percent", "Mean loss in that worst twentieth."),
    Line("Best day", lambda s: s.best_day, "percent", "Best UTC day."),
    Line("Worst day", lambda s: s.worst_day, "percent", "Worst UTC day."),
    Line("Time in market", lambda s: s.activity.time_in_market, "percent", "Share of bars with a position."),
    Line(
        "Mean leverage",
        lambda s: s.activity.mean_leverage,
        "ratio",
        "Absolute exposure over equity, flat bars included.",
    ),
    Line(
        "Turnover per year",
        lambda s: s.activity.annual_turnover,
        "ratio",
        "Traded notional over mean equity, both sides.",
    ),
    Line("Trades", _plain(lambda s: s.trades.trades), "count", "Closed round trips."),
    Line("Win rate", lambda s: s.trades.win_rate, "percent", "Share of trades with a profit after costs."),
    Line("Profit factor", lambda s: s.trades.profit_factor, "ratio", "Sum of profits over sum of losses."),
    Line("Mean result per trade", lambda s: s.trades.expectancy, "money", "After fees and funding."),
    Line("Mean result per trade, bps", lambda s: s.trades.expectancy_bps, "bps", "Of the notional put in."),
    Line(
        "Average win / average loss",
        lambda s: s.trades.payoff,
        "ratio",
        "How much larger wins are than losses.",
    ),
    Line("Longest run of losses", _plain(lambda s: s.trades.longest_losses), "count", "Trades in a row."),
    Line("Mean holding time", lambda s: s.trades.mean_holding_s, "seconds", "From entry to exit."),
    Line("Fees", _plain(lambda s: s.fees), "money", "Commission paid."),
    Line("Slippage", _plain(lambda s: s.slippage), "money", "Paid beyond the price a fill was decided at."),
    Line("Funding", _plain(lambda s: s.funding), "money", "Paid less received."),
    Line(
        "Break-even cost",
        lambda s: s.break_even_cost_bps,
        "bps",
        "Cost per traded notional that would have eaten the profit.",
    ),
)
