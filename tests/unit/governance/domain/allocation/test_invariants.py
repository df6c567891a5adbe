"""What holds of every decision about capital, whatever the policy and whatever stands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.domain.allocation import AllocationError, ThrottleState
from governance.domain.allocation.decision import (
    Evidence,
    Standing,
    decide,
)
from governance.domain.allocation.methods import floored
from governance.domain.allocation.wording import RULES
from tests.unit.governance.domain.allocation.capital_cases import (
    AT,
    USD,
    policy,
)

AMOUNTS = st.integers(0, 20_000 * USD)
SHARES = st.decimals("0", "1", places=3)
STANDINGS = st.lists(
    st.builds(
        Standing,
        strategy=st.sampled_from("abcdef"),
        current=AMOUNTS,
        since_change_s=st.none() | st.floats(0, 5000),
        switched_on=st.booleans(),
        has_places=st.booleans(),
        halted=st.booleans(),
        killed=st.booleans(),
        ceiling=st.none() | AMOUNTS,
        on_trial_beside=st.sampled_from(["", "", "z"]),
        lent=st.sampled_from([0, 0, 700 * USD]),
    ),
    max_size=6,
    unique_by=lambda item: item.strategy,
)
POLICIES = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["equal", "inverse_volatility", "risk_parity", "capped_kelly", "hedge"]),
        "fallback_mode": st.sampled_from(["hold", "equal_split"]),
        "allocation_mode": st.sampled_from(["dynamic", "dynamic", "manual"]),
        "enabled": st.lists(st.sampled_from("abcdef"), unique=True),
        "base_equity_frac": SHARES,
        "min_pool_usd": st.integers(0, 10_000),
        "reserve_equity_usd": st.integers(0, 10_000),
        "min_quota_usd": st.integers(0, 2000),
        "max_quota_usd": st.integers(2001, 9000),
        "hysteresis_pct": st.decimals("0", "0.5", places=2),
        "cooldown_sec": st.integers(0, 2000),
        "step_up_pct": SHARES,
        "step_down_pct": st.decimals("0.01", "1", places=2),
        "smallest_step_usd": st.integers(2000, 4000),
        "unproven_quota_usd": st.integers(0, 9000),
        "caps": st.dictionaries(st.sampled_from("abc"), st.integers(0, 5000), max_size=3),
        "envelope": st.fixed_dictionaries(
            {"max_total_usd": st.integers(0, 20_000), "max_increase_usd": st.integers(0, 9000)}
        ),
    }
)


@settings(max_examples=300, deadline=None)
@given(POLICIES, STANDINGS, st.integers(-1000, 60_000), st.floats(0, 0.4), st.integers(0, 6), st.randoms())
def test_no_decision_exceeds_pool_reserve_caps_or_envelope(
    changes: dict[str, Any],
    standings: list[Standing],
    equity: int,
    drawdown: float,
    rows: int,
    random: Any,
) -> None:
    chosen = policy(**changes)
    names = tuple(sorted(s.strategy for s in standings))
    returns = np.array([[random.uniform(-0.1, 0.1) for _ in names] for _ in range(rows)]).reshape(
        rows, len(names)
    )
    facts = Evidence(equity * USD, drawdown, names, returns, AT)
    try:
        result = decide(chosen, standings, facts, ThrottleState())
    except AllocationError:
        pytest.fail("there is always a decision")
    by_name = {s.strategy: s for s in standings}
    kept_rules = {"not_enabled", "no_symbol", "switched_off", "canary"}
    held = sum(c.amount for c in result.choices if c.rule in kept_rules)
    governed = [c for c in result.choices if c.rule not in kept_rules]
    assert result.pool <= max(0, equity * USD - result.reserve)
    assert sum(c.amount for c in governed) <= max(0, result.pool - held)
    rises = sum(max(0, c.amount - c.before) for c in governed)
    assert rises <= changes["envelope"]["max_increase_usd"] * USD
    assert rises == 0 or result.total <= changes["envelope"]["max_total_usd"] * USD
    assert [c.strategy for c in result.choices] == sorted(by_name)
    for choice in result.choices:
        assert choice.before == by_name[choice.strategy].current
        assert choice.reason
        assert choice.rule in RULES, "people are told what it is called"
        assert choice.proposed is None or choice.proposed > choice.amount
    for choice in governed:
        cap = changes["caps"].get(choice.strategy, changes["max_quota_usd"]) * USD
        assert choice.amount <= max(0, cap - by_name[choice.strategy].lent)
        assert choice.amount == 0 or choice.amount >= changes["min_quota_usd"] * USD
        if by_name[choice.strategy].killed:
            assert choice.amount == 0
        if by_name[choice.strategy].halted or chosen.allocation_mode == "manual":
            assert choice.amount <= choice.before
        ceiling = by_name[choice.strategy].ceiling
        if ceiling is not None:
            assert choice.amount <= max(choice.before, ceiling)


@given(
    st.dictionaries(st.text("abc", min_size=1), st.floats(0, 1), max_size=5),
    st.integers(0, 10**13),
    st.integers(0, 10**12),
)
def test_floors_leave_nobody_below_the_minimum_and_the_sum_at_one(
    raw: dict[str, float], pool: int, minimum: int
) -> None:
    total = sum(raw.values())
    weights = {name: value / total if total > 1 else value for name, value in raw.items()}
    found = floored(weights, pool, minimum // 10**6 * 10**6)
    assert sum(found.values()) <= 1 + 1e-9
    for weight in found.values():
        assert weight == 0 or int(weight * pool) >= minimum // 10**6 * 10**6 - max(1, pool // 10**9)


@pytest.mark.parametrize("method", ["equal", "inverse_volatility", "risk_parity", "capped_kelly", "hedge"])
@pytest.mark.parametrize("fallback", ["hold", "equal_split"])
@pytest.mark.parametrize(
    "history",
    [
        np.zeros((60, 2)),
        np.tile([1e-300, -1e300], (60, 1)),
        np.tile(np.linspace(-0.01, 0.01, 60)[:, None], (1, 2)),
        np.empty((0, 2)),
    ],
    ids=["nothing ever happened", "extremes", "the same twice", "none"],
)
def test_a_history_that_tells_nothing_still_gives_a_decision_within_the_pool(
    history: np.ndarray, fallback: str, method: str
) -> None:
    chosen = policy(
        method=method, fallback_mode=fallback, enabled=["a", "b"], min_quota_usd=400, max_quota_usd=50_000,
        base_equity_frac=1, reserve_equity_usd=0, min_pool_usd=0,
    )  # fmt: skip
    both = [Standing("a", 300 * USD), Standing("b", 0)]
    for equity in (0, 500, 10_000):  # nothing; room for one of two floors; room for both
        facts = Evidence(equity * USD, 0.0, ("a", "b"), history, AT)
        result = decide(chosen, both, facts, ThrottleState())
        assert result.total <= equity * USD
        assert all(c.amount == 0 or c.amount >= 400 * USD for c in result.choices)
        assert all(c.reason and c.rule in RULES for c in result.choices)
    alone = decide(chosen, both[:1], Evidence(0, 0.0, ("a",), history[:, :1], AT), ThrottleState())
    assert alone.total == 0


@pytest.mark.parametrize("method", ["equal", "inverse_volatility", "risk_parity", "capped_kelly", "hedge"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_one_return_that_is_no_number_is_named_and_nothing_is_decided(method: str, wrong: float) -> None:
    history = np.zeros((60, 2))
    history[30, 1] = wrong
    both = [Standing("a", 300 * USD), Standing("b", 0)]
    facts = Evidence(10_000 * USD, 0.0, ("a", "b"), history, AT)
    with pytest.raises(AllocationError, match="the returns of b are not all finite"):
        decide(policy(method=method, enabled=["a", "b"]), both, facts, ThrottleState())
