"""What a report of backtests shows, as plain data: nothing here renders, reads or writes."""

from trading.domain.report.run import Candles, Execution, Regimes, ReportRun
from trading.domain.report.table import Cell, Table

__all__ = ["Candles", "Cell", "Execution", "Regimes", "ReportRun", "Table"]
