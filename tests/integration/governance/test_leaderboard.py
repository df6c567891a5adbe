"""The leaderboard over the strategies' own stored results."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from nautilus_site.common.clock import now
from tests.factories.trading import Desk
from trading.models import Strategy, StrategyResult


def earned(strategy: Strategy, mean: float, hours: int, seed: int) -> None:
    """Results at the end of each hour, over a capital of 1,000."""
    start = now().replace(minute=59, second=0, microsecond=0) - timedelta(hours=hours + 1)
    moves = np.random.default_rng(seed).normal(mean, 0.01, hours)
    made = np.concatenate(([0.0], np.cumsum(moves))) * 1000
    StrategyResult.objects.bulk_create(
        StrategyResult(
            strategy=strategy, market_at=start + timedelta(hours=n), at=start + timedelta(hours=n),
            result=Decimal(f"{value:.8f}"), capital=Decimal(1000),
        )
        for n, value in enumerate(made.tolist())
    )  # fmt: skip


def test_a_long_record_leads_a_short_one_and_everybody_may_see_it(
    desk: Desk, token_client: Any, viewer: Any
) -> None:
    earned(desk.strategies["swing"], 0.004, 600, 1)
    earned(desk.strategies["trend"], 0.004, 60, 2)
    first, second = token_client(viewer).get("/api/v1/leaderboard").json()
    assert (first["strategy"], first["rank"], first["verdict"]) == ("swing", 1, "above zero")
    assert (second["strategy"], second["rank"]) == ("trend", 2)
    assert 590 <= first["periods"] <= 600
    assert first["low"] < first["sharpe"] < first["high"]
    assert second["high"] - second["low"] > first["high"] - first["low"], "who has shown less is less known"


def test_without_results_there_is_no_rank(desk: Desk, token_client: Any, viewer: Any) -> None:
    for row in token_client(viewer).get("/api/v1/leaderboard").json():
        assert (row["rank"], row["sharpe"], row["periods"]) == (None, None, 0)
        assert row["verdict"] == "0 returns of the 48 it takes"
