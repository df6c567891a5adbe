"""Performance and risk statistics on arrays; definitions and sources are in each function."""

from trading.domain.statistics.activity import Activity, activity_figures
from trading.domain.statistics.costs import (
    CostStress,
    PerpetualResult,
    break_even_cost_bps,
    cost_stress,
    perpetual_result,
)
from trading.domain.statistics.curve import (
    DAY_NS,
    YEAR_NS,
    EquityCurve,
    daily_curve,
    equity_curve,
    periods_per_year,
    simple_returns,
)
from trading.domain.statistics.drawdown import (
    Episode,
    calmar_ratio,
    drawdown_episodes,
    drawdowns,
    longest_under_water_ns,
    max_drawdown,
    ulcer_index,
    without_flows,
)
from trading.domain.statistics.figures import Figure
from trading.domain.statistics.moments import Moments, sample_moments
from trading.domain.statistics.periods import MonthRow, RegimeRow, by_month, by_regime
from trading.domain.statistics.sharpe import (
    DeflatedSharpe,
    annualised,
    deflated_sharpe,
    expected_maximum,
    minimum_backtest_years,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_ratio,
    sortino_ratio,
)
from trading.domain.statistics.summary import Summary, Trials, summary
from trading.domain.statistics.trades import RoundTrips, TradeFigures, trade_figures

__all__ = [
    "DAY_NS",
    "YEAR_NS",
    "Activity",
    "CostStress",
    "DeflatedSharpe",
    "Episode",
    "EquityCurve",
    "Figure",
    "Moments",
    "MonthRow",
    "PerpetualResult",
    "RegimeRow",
    "RoundTrips",
    "Summary",
    "TradeFigures",
    "Trials",
    "activity_figures",
    "annualised",
    "break_even_cost_bps",
    "by_month",
    "by_regime",
    "calmar_ratio",
    "cost_stress",
    "daily_curve",
    "deflated_sharpe",
    "drawdown_episodes",
    "drawdowns",
    "equity_curve",
    "expected_maximum",
    "longest_under_water_ns",
    "max_drawdown",
    "minimum_backtest_years",
    "minimum_track_record",
    "periods_per_year",
    "perpetual_result",
    "probabilistic_sharpe",
    "sample_moments",
    "sharpe_ratio",
    "simple_returns",
    "sortino_ratio",
    "summary",
    "trade_figures",
    "ulcer_index",
    "without_flows",
]
