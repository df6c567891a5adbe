"""One decision about capital, worked out by hand for each reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from governance.domain.allocation import ThrottleState
from governance.domain.allocation.decision import (
    Evidence,
    Standing,
    decide,
    money,
    units,
)
from governance.domain.allocation.methods import YEAR_S, yearly_sharpe
from tests.unit.governance.domain.allocation.capital_cases import (
    AT,
    USD,
    WIDE,
    decided,
    evidence,
    policy,
    standing,
    usd,
)


def test_equal_shares_of_what_is_above_the_reserve() -> None:
    found = decided(policy(), [standing("a"), standing("b", 2000)])
    # 11,000 - 1,000 = 10,000, half each.
    assert [usd(choice) for choice in found.values()] == [5000, 5000]
    assert found["a"].reason == "equal gives it 50.00 % of 10,000.00 USDT, 5,000.00 USDT"


def test_equity_at_or_below_the_reserve_gives_nobody_anything() -> None:
    """W83: the earlier allocator then gave out the whole equity."""
    for equity in (1000, 900, 0, -5):
        found = decided(policy(min_pool_usd=500), [standing("a", 300), standing("b")], evidence(equity))
        assert [usd(choice) for choice in found.values()] == [0, 0], equity
        assert found["a"].reason == "equal gives it 0.00 % of 0.00 USDT, 0.00 USDT"


def test_a_pool_too_small_for_every_minimum_keeps_the_heaviest_whole() -> None:
    """W83: scaling everybody down left each below the minimum quota."""
    found = decided(policy(min_quota_usd=600), [standing("a"), standing("b")], evidence(2000))
    assert [usd(choice) for choice in found.values()] == [1000, 0]


REASONS: list[tuple[str, dict[str, Any], list[Standing], Evidence, str, float]] = [
    ("cap", {"caps": {"a": 700}}, [standing("a")], evidence(), "cap", 700),
    ("default cap", {"max_quota_usd": 800}, [standing("a")], evidence(), "cap", 800),
    (
        "group",
        {"groups": {"btc": {"members": ["a", "b"], "cap_usd": 1000}}},
        [standing("a"), standing("b")],
        evidence(),
        "group",
        500,
    ),
    ("killed", {}, [standing("a", 400, killed=True)], evidence(), "killed", 0),
    ("halted", {}, [standing("a", 400, halted=True)], evidence(), "halted", 400),
    ("lowered by hand", {}, [standing("a", 400, ceiling=400 * USD)], evidence(), "lowered_by_hand", 400),
    ("below its ceiling", {}, [standing("a", 100, ceiling=400 * USD)], evidence(), "lowered_by_hand", 400),
    ("switched off", {}, [standing("a", 400, switched_on=False)], evidence(), "switched_off", 400),
    ("no symbol", {}, [standing("a", has_places=False)], evidence(), "no_symbol", 0),
    ("manual", {"allocation_mode": "manual"}, [standing("a", 400)], evidence(), "manual", 400),
    ("band", {"hysteresis_pct": "0.1"}, [standing("a", 9500)], evidence(), "within_band", 9500),
    (
        "step up",
        {"step_up_pct": "0.15", "smallest_step_usd": 10},
        [standing("a", 1000)],
        evidence(),
        "step_up",
        1150,
    ),
    ("step down", {"step_down_pct": "0.2"}, [standing("a", 9000)], evidence(6000), "step_down", 5000),
    (
        "cool-down",
        {"cooldown_sec": 900},
        [standing("a", 1000, since_change_s=899.0)],
        evidence(),
        "cooldown",
        1000,
    ),
    ("unchanged", {}, [standing("a", 10_000)], evidence(), "unchanged", 10_000),
    (
        "promote gate",
        {"sharpe_promote": 1},
        [standing("a", 1000)],
        evidence(a=[0.01, -0.02, 0.01, 0.0]),
        "sharpe_promote",
        1000,
    ),
    (
        "demoted",
        {"sharpe_demote": "0.3", "sharpe_promote": 1},
        [standing("a", 1000)],
        evidence(a=[0.01, -0.02, 0.01, -0.01]),
        "sharpe_demote",
        10,
    ),
    ("hold", {"method": "risk_parity"}, [standing("a", 1000)], evidence(a=[0.01, 0.02]), "hold", 1000),
    (
        "fall back",
        {"method": "risk_parity", "fallback_mode": "equal_split"},
        [standing("a", 1000)],
        evidence(a=[0.01, 0.02]),
        "method",
        10_000,
    ),
]


@pytest.mark.parametrize(
    ("changes", "standings", "facts", "rule", "amount"),
    [row[1:] for row in REASONS],
    ids=[row[0] for row in REASONS],
)
def test_the_rule_that_bound_is_named_with_its_amount(
    changes: dict[str, Any], standings: list[Standing], facts: Evidence, rule: str, amount: float
) -> None:
    if rule == "step_down":
        # 9,000 may fall by a fifth to 7,200, but 5,000 is all there is: the pool is never exceeded.
        found = decided(policy(**{"enabled": ["a"], **changes}), standings, facts)["a"]
        assert "the largest fall at a time: 7,200.00 USDT" in found.reason
        assert (found.rule, usd(found)) == ("pool", amount)
        return
    enabled = {"enabled": [s.strategy for s in standings]}
    found = decided(policy(**{**enabled, **changes}), standings, facts)["a"]
    assert (found.rule, usd(found)) == (rule, amount), found.reason
    assert found.reason


def test_what_the_policy_does_not_decide_about_keeps_its_amount_and_uses_up_the_pool() -> None:
    found = decided(policy(), [standing("a"), standing("b"), standing("other", 4000)])
    assert (found["other"].rule, usd(found["other"])) == ("not_enabled", 4000)
    assert [usd(found[name]) for name in "ab"] == [3000, 3000]


def test_rises_are_cut_to_the_envelope_in_proportion_and_the_rest_is_proposed() -> None:
    envelope = {"max_total_usd": 100_000, "max_increase_usd": 1000, "until": None}
    found = decided(policy(envelope=envelope), [standing("a", 4000), standing("b", 2000)])
    # a wants +1,000, b +3,000: of 1,000 a gets a quarter.
    assert [(usd(c), c.rule, c.proposed) for c in found.values()] == [
        (4250, "envelope", 5000 * USD),
        (2750, "envelope", 5000 * USD),
    ]


@pytest.mark.parametrize(
    "envelope",
    [
        {"max_total_usd": 6000, "max_increase_usd": 10**6},
        {"max_total_usd": 10**6, "max_increase_usd": 0},
        {**WIDE, "until": "2026-11-30T00:00:00Z"},
        {},
    ],
)
def test_without_room_in_the_envelope_nothing_rises_and_falls_still_happen(envelope: dict[str, Any]) -> None:
    found = decided(policy(envelope=envelope), [standing("a", 6000), standing("b")])
    assert usd(found["a"]) == 5000
    assert usd(found["b"]) == (1000 if envelope.get("max_total_usd") == 6000 else 0)


def test_a_part_of_a_rise_that_is_too_little_to_trade_is_not_made() -> None:
    envelope = {"max_total_usd": 10**6, "max_increase_usd": 100}
    found = decided(policy(min_quota_usd=90, envelope=envelope), [standing("a"), standing("b")])
    assert [usd(choice) for choice in found.values()] == [0, 0]
    assert found["a"].proposed == 5000 * USD


def test_what_is_too_little_to_trade_with_is_not_kept_because_it_may_not_rise() -> None:
    envelope = {"max_total_usd": 10**6, "max_increase_usd": 0}
    found = decided(policy(min_quota_usd=90, envelope=envelope), [standing("a", 89), standing("b", 90)])
    assert (usd(found["a"]), usd(found["b"])) == (0, 90)


def test_drawdown_scales_the_pool_and_the_hard_limit_takes_everything_until_people_lift_it() -> None:
    chosen = policy(drawdown_soft_pct="0.05", drawdown_hard_pct="0.2")
    # A14 of the science page: 10 % with 5/20 leaves two thirds.
    some = decide(chosen, [standing("a"), standing("b")], evidence(drawdown=0.10), ThrottleState())
    assert some.pool == int(10_000 * USD * 2 / 3) or abs(some.pool - 10_000 * USD * 2 // 3) <= 1
    none = decide(chosen, [standing("a", 400), standing("b")], evidence(drawdown=0.2), some.throttle)
    assert (none.total, none.throttle.stopped) == (0, True)
    later = decide(chosen, [standing("a"), standing("b")], evidence(drawdown=0.0), none.throttle)
    assert (later.total, "two people lift that" in later.explanation) == (0, True)


def test_inverse_volatility_by_hand() -> None:
    # Volatilities 2 % and 1 %: a third and two thirds (the means are zero, all ages weigh alike within 1e-3).
    facts = evidence(a=[0.02, -0.02] * 4, b=[0.01, -0.01] * 4)
    found = decided(
        policy(method="inverse_volatility", half_life_periods=5000), [standing("a"), standing("b")], facts
    )
    assert found["a"].weight == pytest.approx(1 / 3, abs=2e-3)


def test_sharpe_is_that_of_returns_not_of_levels() -> None:
    """W81: mean over deviation of cumulative profit called a steady loser's climb from -10 to -1 a good one."""
    returns = np.array([0.01, -0.01, 0.02, 0.0])
    mean, sd = 0.005, np.sqrt(((returns - 0.005) ** 2).sum() / 3)
    assert yearly_sharpe(policy(period_sec=3600), returns) == pytest.approx(
        mean / sd * np.sqrt(YEAR_S / 3600)
    )
    levels = 10_000 + returns.cumsum()
    assert levels.mean() / levels.std() > 100 * yearly_sharpe(policy(), returns)  # type: ignore[operator]


def test_too_few_returns_have_no_sharpe_ratio() -> None:
    assert yearly_sharpe(policy(min_observations=5), np.array([0.01, -0.01, 0.02, 0.0])) is None


def test_money_is_written_for_people() -> None:
    assert money(123456789 * 10**6 + 10) == "1,234,567.89 USDT"
    assert units(Decimal("0.123456789")) == 12345678


def test_the_envelope_ends_when_it_says() -> None:
    envelope = {**WIDE, "until": (AT + timedelta(seconds=1)).isoformat()}
    before = decided(policy(envelope=envelope), [standing("a"), standing("b")])
    assert usd(before["a"]) == 5000
    late = replace(evidence(), at=AT + timedelta(seconds=1))
    assert usd(decided(policy(envelope=envelope), [standing("a"), standing("b")], late)["a"]) == 0
