"""Backtests: the strategies, rails, sizing and books of live trading, on recorded bars and trades."""

from trading.domain.backtest.engine import BacktestRun, run
from trading.domain.backtest.inputs import Assignment, Inputs
from trading.domain.backtest.ledger import FillKind, Ledger
from trading.domain.backtest.result import BacktestResult
from trading.domain.backtest.series import BarSeries, FundingSeries
from trading.domain.backtest.settings import Costs, FillMode, Settings, SizeRule

__all__ = [
    "Assignment",
    "BacktestResult",
    "BacktestRun",
    "BarSeries",
    "Costs",
    "FillKind",
    "FillMode",
    "FundingSeries",
    "Inputs",
    "Ledger",
    "Settings",
    "SizeRule",
    "run",
]
