"""Each strategy is judged by its own record: one that has none stops nobody else, and rises by nobody's evidence."""

from __future__ import annotations

import numpy as np
import pytest

from governance.domain.allocation import ThrottleState
from governance.domain.allocation.decision import Choice, Evidence, decide
from governance.domain.allocation.methods import floored, weigh
from governance.domain.policies.capital import CapitalPolicy
from tests.unit.governance.domain.allocation.capital_cases import (
    AT,
    USD,
    decided,
    evidence,
    policy,
    standing,
    usd,
)

METHODS = ("inverse_volatility", "risk_parity", "capped_kelly", "hedge")
UP = [0.03, -0.01, 0.02, 0.0]
DOWN = [-0.03, 0.01, -0.02, 0.0]


def made_by_some() -> Evidence:
    """`a` and `b` with four returns each; `new` without capital, so without any."""
    returns = np.array([UP, [value / 2 for value in UP], [0.0] * 4]).T
    made = np.array([[True, True, False]] * 4)
    return Evidence(11_000 * USD, 0.0, ("a", "b", "new"), returns, AT, made)


def judged(chosen: CapitalPolicy, facts: Evidence, **current: int) -> dict[str, Choice]:
    standings = [standing(name, amount) for name, amount in current.items()]
    return {c.strategy: c for c in decide(chosen, standings, facts, ThrottleState()).choices}


@pytest.mark.parametrize("method", METHODS)
def test_a_strategy_without_capital_does_not_switch_the_method_off_for_the_others(method: str) -> None:
    chosen = policy(method=method, enabled=["a", "b", "new"])
    found = judged(chosen, made_by_some(), a=100, b=100, new=0)
    alone = judged(policy(method=method), made_by_some(), a=100, b=100)
    assert {name: found[name].amount for name in "ab"} == {name: alone[name].amount for name in "ab"}
    assert found["a"].rule == "method"
    assert (found["new"].rule, found["new"].amount) == ("hold", 0)
    assert "0 returns of the 3 it needs" in found["new"].reason


@pytest.mark.parametrize("method", METHODS)
def test_with_an_even_fallback_the_unknown_has_its_even_part_and_the_method_gives_out_the_rest(
    method: str,
) -> None:
    chosen = policy(method=method, fallback_mode="equal_split", enabled=["a", "b", "new"])
    facts = made_by_some()
    weights = weigh(chosen, ["a", "b", "new"], *facts.matrix(["a", "b", "new"])).weights
    alone = weigh(chosen, ["a", "b"], *facts.matrix(["a", "b"])).weights
    assert weights["new"] == pytest.approx(1 / 3)
    assert [weights[name] for name in "ab"] == pytest.approx([alone[name] * 2 / 3 for name in "ab"])


def test_what_is_held_is_not_given_out_a_second_time() -> None:
    found = judged(policy(method="hedge", enabled=["a", "b", "new"]), made_by_some(), a=100, b=100, new=4000)
    assert usd(found["new"]) == 4000
    assert usd(found["a"]) + usd(found["b"]) == pytest.approx(6000, abs=0.02)


def test_one_whose_returns_never_vary_is_held_and_the_rest_is_weighed() -> None:
    facts = evidence(a=UP, b=[0.01, -0.01, 0.02, 0.01], c=[0.0] * 4)
    found = judged(policy(method="risk_parity", enabled=["a", "b", "c"]), facts, a=100, b=100, c=500)
    assert (found["c"].rule, usd(found["c"])) == ("hold", 500)
    assert "its returns do not vary" in found["c"].reason
    assert found["a"].rule == "method"


def test_records_that_do_not_overlap_are_not_weighed_together() -> None:
    returns = np.array([UP + UP, DOWN + UP]).T
    made = np.array([[True, False]] * 4 + [[False, True]] * 4)
    weighting = weigh(policy(method="risk_parity"), ["a", "b"], returns, made)
    assert (weighting.weights, weighting.method) == ({"a": 1.0}, "risk_parity")
    assert weighting.note == "risk_parity: b: 0 returns at the same time as the others'"


def test_who_loses_is_demoted_although_the_method_holds_it() -> None:
    """Its record and the longer one do not overlap: the method cannot weigh it, and it has lost all the same."""
    returns = np.array([DOWN + [0.0] * 5, [0.0] * 4 + [*UP, 0.01]]).T
    made = np.array([[True, False]] * 4 + [[False, True]] * 5)
    facts = Evidence(11_000 * USD, 0.0, ("a", "b"), returns, AT, made)
    chosen = policy(method="risk_parity", sharpe_demote="0.3", sharpe_promote=1)
    found = judged(chosen, facts, a=1000, b=1000)
    assert (found["a"].weight, found["a"].rule, usd(found["a"])) == (None, "sharpe_demote", 10)
    assert "too little is known (0 returns at the same time as the others')" in found["a"].reason


@pytest.mark.parametrize(
    ("changes", "current", "amount", "rule"),
    [
        ({"unproven_quota_usd": 0}, 9000, 9000, "unproven"),
        ({"unproven_quota_usd": 0}, 0, 10, "unproven"),
        ({"unproven_quota_usd": 600}, 0, 600, "unproven"),
        ({"unproven_quota_usd": 600}, 700, 700, "unproven"),
        ({"unproven_quota_usd": 20_000}, 700, 10_000, "method"),
        ({"unproven_quota_usd": 0}, 10_500, 10_000, "method"),
    ],
)
def test_no_evidence_allows_no_more_than_poor_evidence(
    changes: dict[str, int], current: int, amount: int, rule: str
) -> None:
    """Without a ratio the gate is closed, not open: only enough to begin with, or what the policy says."""
    chosen = policy(enabled=["a"], sharpe_promote=3, sharpe_demote=1, **changes)
    found = decided(chosen, [standing("a", current)])["a"]
    assert (usd(found), found.rule) == (amount, rule), found.reason


def test_floors_do_not_scale_up_what_kelly_kept_small() -> None:
    """Weights of .5, .1, .05 and 0 with a floor of 250 in 600: two fit, and the first had its most already."""
    weights = {"a": 0.5, "b": 0.1, "c": 0.05, "d": 0.0}
    found = floored(weights, 600 * USD, 250 * USD, most=0.5)
    assert found["a"] == 0.5
    assert found["b"] == pytest.approx(250 / 600, abs=1e-9)
    assert (found["c"], found["d"]) == (0, 0)
    # Where the least one can have is more than any may have there is nothing to give.
    assert set(floored(weights, 400 * USD, 250 * USD, most=0.5).values()) == {0.0}


def test_floors_are_paid_for_by_what_the_others_have_above_theirs() -> None:
    # .02 is lifted to .1; of .98 as much above .1 is left as makes 1 in all.
    found = floored({"a": 0.98, "b": 0.02}, 1000 * USD, 100 * USD)
    assert [found[name] for name in "ab"] == pytest.approx([0.9, 0.1], abs=1e-9)
    assert floored({"a": 0.7, "b": 0.3}, 1000 * USD, 100 * USD) == {"a": 0.7, "b": 0.3}


def test_one_whose_returns_never_vary_keeps_nobody_waiting() -> None:
    """The longest record is of one that never trades, and has no period in common with the others."""
    returns = np.array([[0.0] * 5 + UP, [0.0] * 5 + UP, [0.0] * 5 + DOWN]).T
    returns[:, 0] = 0.0
    made = np.array([[True, False, False]] * 5 + [[False, True, True]] * 4)
    weighting = weigh(policy(method="risk_parity"), ["still", "a", "b"], returns, made)
    assert set(weighting.weights) == {"a", "b"}
    assert weighting.unknown == {"still": "its returns do not vary"}


def test_one_that_is_still_while_the_others_move_narrows_nothing_either() -> None:
    """It varies in its own record, not in what it has in common with the others."""
    ups = [*UP, *UP]
    returns = np.array([[0.01, 0.02, *([0.0] * 6)], ups, ups]).T
    made = np.array([[True, False, False]] * 2 + [[True, True, False]] * 3 + [[False, True, True]] * 3)
    weighting = weigh(policy(method="risk_parity"), ["still", "a", "b"], returns, made)
    assert set(weighting.weights) == {"a", "b"}
    assert weighting.unknown == {"still": "its returns do not vary"}
