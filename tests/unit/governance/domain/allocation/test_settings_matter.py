"""Every key of the capital policy changes some decision."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from governance.domain.allocation import ThrottleState
from governance.domain.allocation.decision import (
    CapitalDecision,
    decide,
)
from governance.domain.allocation.methods import weigh
from governance.domain.policies.capital import CAPITAL_POLICY, CapitalPolicy
from tests.unit.governance.domain.allocation.capital_cases import (
    evidence,
    policy,
    standing,
)

METHOD_KEYS = {
    "half_life_periods": ("inverse_volatility", 1),
    "correlation_floor": ("risk_parity", 0),
    "kelly_fraction": ("capped_kelly", "0.1"),
    "kelly_cap": ("capped_kelly", "0.02"),
    "prior_observations": ("capped_kelly", 10),
    "hedge_share": ("hedge", "0.9"),
    "hedge_scale_pct": ("hedge", "0.5"),
}


@pytest.mark.parametrize("key", METHOD_KEYS)
def test_each_setting_of_a_method_changes_its_weights(key: str) -> None:
    method, value = METHOD_KEYS[key]
    rng = np.random.default_rng(7)
    returns = rng.normal([0.0002, 0.0, 0.0004], [0.02, 0.01, 0.03], (40, 3))
    base = policy(method=method, enabled=["a", "b", "c"], kelly_cap=1, prior_observations=1000)
    changed = replace(base, **{key: Decimal(value)})
    before = weigh(base, "abc", returns).weights
    after = weigh(changed, "abc", returns).weights
    assert before.keys() == after.keys()
    assert max(abs(before[name] - after[name]) for name in before) > 1e-4


NEUTRAL = {
    "allocation_mode": "manual",
    "method": "hedge",
    "fallback_mode": "equal_split",
    "enabled": ("a",),
    "base_equity_frac": Decimal("0.5"),
    "min_pool_usd": Decimal(9000),
    "reserve_equity_usd": Decimal(8000),
    "min_quota_usd": Decimal(2000),
    "max_quota_usd": Decimal(3000),
    "caps": {"a": Decimal(100)},
    "groups": {"g": {"members": ("a",), "cap_usd": Decimal(5)}},
    "step_up_pct": Decimal("0.1"),
    "step_down_pct": Decimal("0.1"),
    "smallest_step_usd": Decimal(700),
    "hysteresis_pct": Decimal("0.9"),
    "cooldown_sec": 10**6,
    "sharpe_promote": Decimal(99),
    "sharpe_demote": Decimal(90),
    "unproven_quota_usd": Decimal(0),
    "period_sec": 7200,
    "min_observations": 100,
    "drawdown_soft_pct": Decimal("0.01"),
    "drawdown_hard_pct": Decimal("0.055"),
    "drawdown_recovery": Decimal(1),
}
TIMES = {"refresh_sec", "expires_sec", "lookback_periods"}
"""Read by the service; tests/integration/governance/test_capital.py shows it."""


@pytest.mark.parametrize("key", NEUTRAL)
def test_each_setting_changes_a_decision(key: str) -> None:
    base = policy(
        method="risk_parity",
        step_up_pct=3,
        step_down_pct="0.5",
        smallest_step_usd=500,
        hysteresis_pct="0.001",
        cooldown_sec=10,
        sharpe_promote=-1,
        sharpe_demote=-2,
        base_equity_frac="0.6",
    )
    columns = {
        "a": [0.02, -0.02, 0.021, 0.001],
        "b": [0.01, -0.01, -0.009, 0.0],
        "c": [0.0, 0.01, 0.02, 0.01],
    }
    if key == "fallback_mode":
        base = replace(base, min_observations=50)
    if key == "unproven_quota_usd":
        base = replace(base, method="equal", min_observations=50)
    if key == "period_sec":
        base = replace(base, sharpe_promote=Decimal(19))
    if key == "drawdown_recovery":
        base = replace(base, drawdown_recovery=Decimal(0))
    worlds = [
        ([standing("a", 1000, since_change_s=60.0), standing("b", 5000, since_change_s=60.0)], 0.02),
        ([standing("a", 0), standing("b", 4000)], 0.04),
        ([standing("a", 9000), standing("b", 100)], 0.06),
        ([standing("a", 1500), standing("b", 3500)], 0.02),
    ]

    def outcome(chosen: CapitalPolicy) -> list[tuple[Any, ...]]:
        results: list[CapitalDecision] = []
        for standings, drawdown in worlds:
            state = ThrottleState(0.5) if drawdown == 0.06 else ThrottleState()
            results.append(decide(chosen, standings, evidence(drawdown=drawdown, **columns), state))
        return [tuple(choice.amount for choice in result.choices) for result in results]

    assert outcome(replace(base, **{key: NEUTRAL[key]})) != outcome(base)


def test_every_key_of_the_policy_is_shown_to_matter() -> None:
    """A8: most keys of the earlier policy files were read by no code."""
    envelope = {"envelope"}  # test_rises_are_cut_to_the_envelope, test_without_room_in_the_envelope
    assert METHOD_KEYS.keys() | NEUTRAL.keys() | TIMES | envelope == CAPITAL_POLICY.fields.keys()
