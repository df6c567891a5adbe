"""The figures of a run as one plain object, the same for the command, the API and the pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trading.domain.backtest import BacktestResult
from trading.domain.clock import ns_to_datetime
from trading.domain.statistics import Summary


def result_members(
    strategy: str,
    params: Mapping[str, Any],
    result: BacktestResult,
    statistics: Summary,
    elapsed_s: float,
) -> dict[str, Any]:
    """Return what a run came to; money in quote currency, fractions as fractions, None where undefined."""
    series = result.series[0]
    return {
        "strategy": strategy,
        "symbol": series.symbol,
        "interval": series.interval,
        "bars": len(series),
        "start": ns_to_datetime(int(series.open_ns[0])).isoformat(),
        "end": ns_to_datetime(int(series.close_ns[-1])).isoformat(),
        "params": dict(params),
        "trades": len(result.trips),
        "final_equity": statistics.final_equity,
        "total_return": statistics.total_return,
        "max_drawdown": statistics.max_drawdown,
        "sharpe": statistics.sharpe.value,
        "win_rate": statistics.trades.win_rate.value,
        "fees": statistics.fees,
        "exposure": statistics.activity.time_in_market.value,
        "elapsed_s": round(elapsed_s, 6),
        "bars_per_s": round(len(series) / elapsed_s) if elapsed_s > 0 else None,
        "equity_sha256": result.equity_sha256,
    }
