"""Backtests of stored bars."""

from trading.services.backtests.request import BacktestRequest, Prepared, backtest_prepare
from trading.services.backtests.running import ENGINES, Finished, backtest_run

__all__ = ["ENGINES", "BacktestRequest", "Finished", "Prepared", "backtest_prepare", "backtest_run"]
