"""A canary's rules, its guard rails at their limits, and when the test says that it has won or harms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlregistry.domain.canary import CanaryRules, Measured, guard, rules_read, weigh
from trading.domain.statistics.peeking import first_crossing

RULES = CanaryRules(dwell_s=0, fills=0)
QUIET = Measured(1000.0, 0.0, 0.0, 0.0, 10, 0, 0, 0.0, False)


def breached(**changes: Any) -> list[str]:
    return [rail.name for rail in guard(RULES, replace(QUIET, **changes)) if rail.breached]


@pytest.mark.parametrize(
    ("name", "at_limit", "over"),
    [
        ("drawdown", {"peak": 100.0, "day_start": -29.0}, {"peak": 100.01, "day_start": -29.0}),
        ("daily_loss", {"day_start": 30.0, "peak": 30.0}, {"day_start": 30.01, "peak": 30.01}),
        ("rejects", {"rejected": 2}, {"rejected": 3}),
        ("stale", {"bars_behind": 3}, {"bars_behind": 4}),
        ("unmeasured_s", {"result": None, "unmeasured_s": 45.0}, {"result": None, "unmeasured_s": 45.1}),
        ("drift", {"drifted": False}, {"drifted": True}),
    ],
)
def test_each_rail_holds_at_its_limit_and_breaks_just_above(
    name: str, at_limit: dict[str, Any], over: dict[str, Any]
) -> None:
    assert breached(**at_limit) == []
    assert breached(**over) == [name]


def test_few_orders_say_nothing_of_rejects() -> None:
    assert breached(orders=4, rejected=4) == []
    assert breached(orders=5, rejected=4) == ["rejects"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"share": 0.26}, "at most 0.25"),
        ({"share": 0}, "above zero"),
        ({"alpha": "0.05"}, "expected a number"),
        ({"fills": True}, "expected a number"),
        ({"cap": float("nan")}, "expected a number"),
        ({"unmeasured_s": 61}, "at most 60"),
        ({"shares": 0.1}, "no rule is called shares"),
    ],
)
def test_rules_nobody_should_approve_are_refused_by_name(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        rules_read(asked)


def test_rules_come_back_from_what_is_stored() -> None:
    assert rules_read(RULES.members()) == RULES


def test_a_canary_wins_exactly_where_the_simulated_two_thousand_are_counted() -> None:
    paths = 0.15 + np.random.default_rng(2).normal(size=(40, 200))
    crossed = first_crossing(paths, alpha=RULES.alpha, n_opt=RULES.n_opt) > 0
    won = [weigh(path.tolist(), RULES, alpha=RULES.alpha, age_s=1, fills=1).won for path in paths]
    assert won == crossed.tolist()
    assert 0 < sum(won) < 40


def test_evidence_does_not_count_before_the_dwell_and_the_fills() -> None:
    better = (1.0 + np.random.default_rng(1).normal(size=60)).tolist()
    slow = replace(RULES, dwell_s=100.0, fills=5)
    assert weigh(better, slow, alpha=0.05, age_s=100, fills=5).won
    assert not weigh(better, slow, alpha=0.05, age_s=99.9, fills=5).won
    assert not weigh(better, slow, alpha=0.05, age_s=100, fills=4).won


def test_harm_is_found_sooner_than_a_win_would_be() -> None:
    worse = -0.4 + np.random.default_rng(6).normal(size=400)
    rules = RULES
    harmed = next(
        n for n in range(30, 401) if weigh(worse[:n].tolist(), rules, alpha=0.05, age_s=1, fills=1).harmed
    )
    mirrored = next(
        n for n in range(30, 401) if weigh((-worse[:n]).tolist(), rules, alpha=0.05, age_s=1, fills=1).won
    )
    assert harmed <= mirrored
