"""Strategies ranked by their own returns, as the API and the capital page show them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from governance.domain.leaderboard import leaderboard
from trading.models import Strategy
from trading.selectors.strategy_results import strategy_returns

PERIOD = timedelta(hours=1)
PERIODS = 720
"""Hours of market time, a month of them at most: each strategy's own, whatever the others did."""


def leaderboard_members() -> list[dict[str, Any]]:
    """The best first; strategies of which too little is known last."""
    stages = dict(Strategy.objects.order_by("name").values_list("name", "model_stage"))
    histories = {
        name: [
            value
            for (value,) in strategy_returns([name], period=PERIOD, periods=PERIODS).rows
            if value is not None
        ]
        for name in stages
    }
    return [
        {
            "rank": row.rank,
            "strategy": row.strategy,
            "stage": stages[row.strategy] or None,
            "periods": row.periods,
            "total": row.total,
            "deepest": row.deepest,
            "sharpe": _two_places(row.sharpe),
            "low": _two_places(row.low),
            "high": _two_places(row.high),
            "probability": row.probability,
            "verdict": row.verdict,
        }
        for row in leaderboard(histories, period_s=PERIOD.total_seconds())
    ]


def _two_places(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 2)
