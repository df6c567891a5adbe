"""A canary's rules, its guard rails at their limits, and when the test says that it has won or harms."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mlregistry.domain.canary import (
    CanaryRules,
    Measured,
    Slippage,
    evidence_path,
    guard,
    rules_read,
    weigh,
)
from mlregistry.domain.challengers import alpha_share
from trading.domain.statistics.peeking import first_crossing, peek

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
        ("errors", {"lost": 1}, {"lost": 2}),
        ("unknown_s", {"unknown_s": 45.0}, {"unknown_s": 45.1}),
        ("quote_s", {"quote_s": 120.0}, {"quote_s": 120.1}),
        ("stale", {"bars_behind": 3}, {"bars_behind": 4}),
        ("unmeasured_s", {"result": None, "unmeasured_s": 45.0}, {"result": None, "unmeasured_s": 45.1}),
        ("drift", {"drifted": False}, {"drifted": True}),
        # Orders that all slip alike leave no doubt: the bound is their mean, and twice one basis point may be paid.
        ("slippage", {"slippage": Slippage(10, 2.0, 0.0)}, {"slippage": Slippage(10, 2.001, 0.0)}),
        ("divergence", {"divergence": 1.5}, {"divergence": 1.501}),
        # Twice 2 % of 1000.
        (
            "backtest_drawdown",
            {"backtest_drawdown": 0.02, "peak": 40.0, "day_start": 29.0},
            {"backtest_drawdown": 0.02, "peak": 40.01, "day_start": 29.0},
        ),
    ],
)
def test_each_rail_holds_at_its_limit_and_breaks_just_above(
    name: str, at_limit: dict[str, Any], over: dict[str, Any]
) -> None:
    assert breached(**at_limit) == []
    assert breached(**over) == [name]


def test_without_a_verdict_there_is_no_rail_of_the_backtest() -> None:
    assert "backtest_drawdown" not in {rail.name for rail in guard(RULES, QUIET)}


@pytest.mark.parametrize("orders", [10, 12, 30, 200])
def test_slippage_is_judged_by_the_lower_end_of_student_s_one_sided_90_percent_interval(orders: int) -> None:
    values = np.random.default_rng(orders).normal(3.0, 2.0, orders)
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    expected = stats.t.interval(0.8, orders - 1, mean, sd / np.sqrt(orders))[0]
    assert Slippage(orders, mean, sd).at_least() == pytest.approx(expected, abs=2e-3)


def test_slippage_that_may_be_chance_and_that_of_few_orders_ends_no_canary() -> None:
    assert breached(slippage=Slippage(10, 5.0, 10.0)) == []
    assert breached(slippage=Slippage(10, 5.0, 2.0)) == ["slippage"]
    assert breached(slippage=Slippage(9, 50.0, 0.0)) == []


def test_few_orders_say_nothing_of_rejects_and_lost_answers() -> None:
    assert breached(orders=4, rejected=4, lost=4) == []
    assert breached(orders=5, rejected=4) == ["rejects"]
    assert breached(orders=5, lost=1) == ["errors"]


def test_every_guard_rail_of_the_specification_is_there() -> None:
    """The list of science.md, section 3, by the names used here."""
    with_backtest = guard(RULES, replace(QUIET, backtest_drawdown=0.02))
    assert {rail.name for rail in with_backtest} >= {
        "backtest_drawdown",  # sleeve's drawdown over twice the backtest's 99 %
        "drawdown",  # or an absolute cap
        "daily_loss",
        "errors",  # order error rate
        "rejects",
        "slippage",
        "divergence",
        "stale",
        "quote_s",  # stale data
        "drift",  # CUSUM of the log score
    }


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"share": 0.26}, "at most 0.25"),
        ({"share": 0}, "above zero"),
        ({"alpha": "0.05"}, "expected a number"),
        ({"fills": True}, "expected a number"),
        ({"cap": float("nan")}, "expected a number"),
        ({"unmeasured_s": 61}, "at most 60"),
        ({"unknown_s": 61}, "unknown_s: expected at most 60"),
        ({"errors": 1.1}, "at most 1.0"),
        ({"shares": 0.1}, "no rule is called shares"),
        ({"ramp": 0.26}, "at most 0.25"),
        ({"ramp": -0.1}, "zero or more"),
        ({"slippage_of": 1}, "two or more"),
        ({"divergence": 5.0}, "at most 4.0"),
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


RAMPED = CanaryRules(share=0.05, ramp=0.25, dwell_s=100.0, fills=5)


def grows(differences: list[float], **changes: Any) -> bool:
    asked: dict[str, Any] = {"age_s": 100, "fills": 5, "step": 1, **changes}
    return weigh(differences, RAMPED, alpha=0.05, **asked).grows


def test_a_canary_grows_once_and_wins_only_at_its_larger_size() -> None:
    better = (1.0 + np.random.default_rng(1).normal(size=60)).tolist()
    assert grows(better)
    assert not grows(better, age_s=99.9)
    assert not grows(better, fills=4)
    assert not grows(better, step=2)
    assert not weigh(better, RAMPED, alpha=0.05, age_s=100, fills=5, step=1).won
    assert weigh(better, RAMPED, alpha=0.05, age_s=100, fills=5, step=2).won
    # Rules without a ramp, or one that is no larger, have one step.
    for flat in (replace(RAMPED, ramp=0.0), replace(RAMPED, ramp=0.05)):
        found = weigh(better, flat, alpha=0.05, age_s=100, fills=5, step=1)
        assert (found.won, found.grows) == (True, False)


def test_it_grows_at_the_first_look_at_which_the_evidence_is_a_fifth_s() -> None:
    path = (0.3 + np.random.default_rng(4).normal(size=300)).tolist()
    looks = [peek(path[:n], alpha=0.05, n_opt=RAMPED.n_opt).log_e for n in range(1, 301)]
    due = [log_e is not None and log_e >= math.log(5.0) for log_e in looks]
    assert [grows(path[:n]) for n in range(1, 301)] == due
    assert any(due)
    assert not all(due[30:])


def ar1(rng: np.random.Generator, rho: float) -> np.ndarray:
    noise = rng.normal(size=(RUNS, LENGTH))
    path = np.empty_like(noise)
    path[:, 0] = noise[:, 0]
    for t in range(1, LENGTH):
        path[:, t] = rho * path[:, t - 1] + math.sqrt(1 - rho * rho) * noise[:, t]
    return path


RUNS, LENGTH = 2000, 500


@pytest.mark.parametrize("noise", ["normal", "t4", "ar1", "ar1 of 0.6"])
def test_two_thousand_canaries_without_a_difference_win_no_oftener_than_alpha_where_they_are_decided(
    noise: str,
) -> None:
    """What a canary's check calls, with everything its interval by interval looks would have seen."""
    rng = np.random.default_rng(11)
    paths = {
        "normal": lambda: rng.normal(size=(RUNS, LENGTH)),
        "t4": lambda: rng.standard_t(4, size=(RUNS, LENGTH)),
        "ar1": lambda: ar1(rng, 0.2),
        "ar1 of 0.6": lambda: ar1(rng, 0.6),
    }[noise]()
    won = [weigh(path, RULES, alpha=RULES.alpha, age_s=1, fills=1).won for path in paths]
    crossed = first_crossing(paths, alpha=RULES.alpha, n_opt=RULES.n_opt) > 0
    assert won == crossed.tolist()
    promoted = sum(won) / RUNS
    assert 0.001 < promoted <= RULES.alpha


@pytest.mark.parametrize("noise", ["normal", "t4", "ar1", "ar1 of 0.6"])
def test_of_two_thousand_champions_no_more_than_alpha_ever_see_a_false_winner_among_all_their_challengers(
    noise: str,
) -> None:
    """As canaries are decided: each with its own part of alpha, looked at after every interval, no slack allowed."""
    rng = np.random.default_rng(13)
    fooled = np.zeros(RUNS, dtype=bool)
    for earlier in range(3):
        paths = {
            "normal": lambda: rng.normal(size=(RUNS, LENGTH)),
            "t4": lambda: rng.standard_t(4, size=(RUNS, LENGTH)),
            "ar1": lambda: ar1(rng, 0.2),
            "ar1 of 0.6": lambda: ar1(rng, 0.6),
        }[noise]()
        alpha = alpha_share(RULES.alpha, earlier)
        fooled |= first_crossing(paths, alpha=alpha, n_opt=RULES.n_opt) > 0
    assert 0 < fooled.mean() <= RULES.alpha


def test_the_parts_of_alpha_add_up_to_no_more_than_alpha() -> None:
    assert [alpha_share(0.05, n) for n in range(3)] == [0.025, 0.0125, 0.00625]
    assert sum(alpha_share(0.05, n) for n in range(60)) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="zero challengers"):
        alpha_share(0.05, -1)


def test_the_evidence_drawn_is_the_evidence_decided_by() -> None:
    path = (0.2 + np.random.default_rng(5).normal(size=120)).tolist()
    better, worse = evidence_path(path, RULES, alpha=0.025)
    assert better[:29] == worse[:29] == [None] * 29
    for n in (30, 77, 120):
        assert better[n - 1] == peek(path[:n], alpha=0.025, n_opt=RULES.n_opt).log_e
        assert worse[n - 1] == peek([-one for one in path[:n]], alpha=0.2, n_opt=RULES.n_opt).log_e
    assert evidence_path([], RULES, alpha=0.025) == ([], [])


def test_what_a_look_says_after_all_is_the_first_look_that_said_it() -> None:
    """Looking once at the end decides as looking after every interval would have."""
    paths = 0.1 + np.random.default_rng(12).normal(size=(12, 150))
    for path in paths:
        looks = [
            weigh(path[:n].tolist(), RULES, alpha=RULES.alpha, age_s=1, fills=1).won for n in range(1, 151)
        ]
        assert looks[-1] == any(looks)
        first = int(first_crossing(path, alpha=RULES.alpha, n_opt=RULES.n_opt))
        assert (looks.index(True) + 1 if looks[-1] else 0) == first


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
