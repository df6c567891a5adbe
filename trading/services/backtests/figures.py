"""The figures of a run as one plain object, the same for the command, the API and the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trading.domain.backtest import BacktestResult
from trading.domain.backtest.ledger import TRIP_COLUMNS
from trading.domain.clock import ns_to_datetime
from trading.domain.statistics import Summary
from trading.domain.values import UNITS


def result_members(
    strategy: str,
    params: Mapping[str, Any],
    result: BacktestResult,
    statistics: Summary,
    elapsed_s: float,
    legs: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return what a run came to; money in quote currency, fractions as fractions, None where undefined.

    Parameters
    ----------
    legs : everything that traded where there was more than one strategy; then `by_symbol` says what each symbol made.
    """
    series, bars = result.series[0], sum(len(one) for one in result.series)
    found = {
        "strategy": strategy,
        "symbol": series.symbol,
        "interval": series.interval,
        "bars": bars,
        "start": ns_to_datetime(min(int(one.open_ns[0]) for one in result.series)).isoformat(),
        "end": ns_to_datetime(max(int(one.close_ns[-1]) for one in result.series)).isoformat(),
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
        "bars_per_s": round(bars / elapsed_s) if elapsed_s > 0 else None,
        "equity_sha256": result.equity_sha256,
    }
    return found | {"legs": [dict(leg) for leg in legs], "by_symbol": _by_symbol(result)} if legs else found


def more_members(result: BacktestResult, statistics: Summary) -> dict[str, Any]:
    """Return what a job tells beside the figures of the command: costs, refusals by rail, digest of the whole run."""
    return {
        "slippage": statistics.slippage,
        "funding": statistics.funding,
        "refused": result.refusals_by_rail,
        "sha256": result.sha256,
    }


def _by_symbol(result: BacktestResult) -> list[dict[str, Any]]:
    """What each symbol made in closed round trips, after their fees and funding."""
    lanes, net = (result.trips[:, TRIP_COLUMNS.index(name)] for name in ("lane", "net"))
    return [
        {
            "symbol": series.symbol,
            "bars": len(series),
            "trades": int((lanes == number).sum()),
            "net": int(net[lanes == number].sum()) / UNITS,
        }
        for number, series in enumerate(result.series)
    ]
