"""Reports of backtests as one self-contained HTML page."""

from trading.reports.page import report_html, report_write

__all__ = ["report_html", "report_write"]
