"""Policies, evidence and strategies of which decisions are easy to work out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from governance.domain.allocation import ThrottleState
from governance.domain.allocation.decision import Choice, Evidence, Standing, decide
from governance.domain.policies.capital import CapitalPolicy, capital_policy, capital_values
from governance.domain.policies.located import node_of

AT = datetime(2026, 11, 30, tzinfo=UTC)
USD = 10**8
WIDE = {"max_total_usd": 10**9, "max_increase_usd": 10**9, "until": None}


def policy(**changes: Any) -> CapitalPolicy:
    """Two strategies, 100 % of equity less 1,000; no pace, no gate, a wide envelope, unless changed."""
    plain = {
        "enabled": ["a", "b"],
        "base_equity_frac": 1,
        "min_pool_usd": 0,
        "reserve_equity_usd": 1000,
        "min_quota_usd": 10,
        "max_quota_usd": 10**9,
        "step_up_pct": 10,
        "step_down_pct": 1,
        "smallest_step_usd": 10**9,
        "hysteresis_pct": 0,
        "cooldown_sec": 0,
        "sharpe_promote": -100,
        "sharpe_demote": -100,
        "unproven_quota_usd": 10**9,
        "min_observations": 3,
        "envelope": WIDE,
    }
    return capital_policy(capital_values(node_of({**plain, **changes})))


def evidence(equity: int = 11_000, drawdown: float = 0.0, **columns: list[float]) -> Evidence:
    names = tuple(columns)
    rows = np.array(list(columns.values())).T if columns else np.zeros((0, 0))
    return Evidence(equity * USD, drawdown, names, rows, AT)


def standing(strategy: str, current: int = 0, **changes: Any) -> Standing:
    return Standing(strategy, current * USD, **changes)


def decided(
    chosen: CapitalPolicy, standings: list[Standing], facts: Evidence | None = None
) -> dict[str, Choice]:
    result = decide(chosen, standings, facts or evidence(), ThrottleState())
    return {choice.strategy: choice for choice in result.choices}


def usd(choice: Choice) -> float:
    return choice.amount / USD
