"""Playbooks: steps that only lower risk, when one acts, the figures it judges by, and how a rehearsal is marked."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.domain.playbooks import (
    PLAYBOOKS,
    Facts,
    InvalidAction,
    Rule,
    Verb,
    Verdict,
    Watch,
    actions_parse,
    entropy_bits,
    failed_in_a_row,
    in_common,
    judge,
    mean_correlation,
    peg_deviation,
    score,
)


def test_every_playbook_of_the_catalogue_has_steps_that_lower_risk() -> None:
    assert set(PLAYBOOKS) == {
        "drawdown", "venue_lag", "reject_spike", "entropy_spike", "corr_spike", "stale_data", "depeg",
        "funding_spike", "unprotected_position", "daily_loss", "position", "leverage", "open_trades",
    }  # fmt: skip
    for spec in PLAYBOOKS.values():
        assert actions_parse(spec.actions)


@pytest.mark.parametrize(
    ("name", "threshold"),
    [("drawdown", 5.0), ("venue_lag", 800.0), ("reject_spike", 20.0), ("entropy_spike", 0.3), ("corr_spike", 0.7),
     ("depeg", 0.5), ("funding_spike", 0.15), ("daily_loss", 100.0), ("position", 2000.0), ("leverage", 3.0)],
)  # fmt: skip
def test_thresholds_are_those_of_the_earlier_system(name: str, threshold: float) -> None:
    assert PLAYBOOKS[name].rule.threshold == threshold


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"do": "resume"}, "expected one of"),
        ({"do": "kill", "level": "ACTIVE"}, "expected one of REDUCING"),
        ({"do": "kill", "level": "FLATTEN"}, "flattening is for people"),
        ({"do": "tighten", "limit": "max_notional", "factor": 1.0}, "below 1"),
        ({"do": "tighten", "limit": "max_notional", "factor": 1.5}, "below 1"),
        ({"do": "tighten", "limit": "max_notional", "factor": -0.5}, "above 0"),
        ({"do": "tighten", "limit": "max_notional", "factor": math.nan}, "above 0"),
        ({"do": "tighten", "factor": 0.5}, "name of a limit"),
        ({"do": "blackout", "minutes": 0}, "1 to 1440"),
        ({"do": "blackout", "minutes": True}, "1 to 1440"),
        ({"do": "blackout", "minutes": 5, "shell": "rm -rf /"}, "has no shell"),
        ({"do": "disable", "on": "global"}, "one strategy"),
        ({"do": "kill", "level": "CANCEL", "on": "account:x"}, "scope or global"),
    ],
)
def test_a_step_that_would_not_lower_risk_is_refused(step: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidAction, match=said):
        actions_parse([step])


def test_levels_are_raised_before_anything_else_is_locked() -> None:
    steps = [
        {"do": "tighten", "limit": "max_notional", "factor": 0.5},
        {"do": "blackout", "minutes": 5},
        {"do": "kill", "level": "REDUCING"},
    ]
    assert [step.verb for step in actions_parse(steps)] == [Verb.kill, Verb.blackout, Verb.tighten]
    with pytest.raises(InvalidAction, match="one action at least"):
        actions_parse([])


def run(rule: Rule, readings: list[tuple[float, float, int]]) -> list[Verdict]:
    watch, verdicts = Watch(), []
    for at, value, samples in readings:
        watch, verdict = judge(watch, rule, at, value=value, samples=samples)
        verdicts.append(verdict)
    return verdicts


def test_it_acts_at_the_threshold_and_not_just_below() -> None:
    rule = Rule(5.0)
    assert run(rule, [(0, 5.0, 1)]) == [Verdict.trigger]
    assert run(rule, [(0, math.nextafter(5.0, 0), 1)]) == [Verdict.quiet]


def test_it_wants_so_many_readings_in_a_row() -> None:
    rule = Rule(5.0, confirm=3)
    assert run(rule, [(0, 6, 1), (1, 6, 1), (2, 4, 1), (3, 6, 1), (4, 6, 1), (5, 6, 1)]) == [
        Verdict.watching,
        Verdict.watching,
        Verdict.calm,
        Verdict.watching,
        Verdict.watching,
        Verdict.trigger,
    ]


def test_too_few_samples_are_no_reading_and_break_no_row() -> None:
    rule = Rule(5.0, confirm=2, min_samples=3)
    assert run(rule, [(0, 9, 2), (1, 9, 3), (2, 0, 0), (3, 9, 3)]) == [
        Verdict.quiet,
        Verdict.watching,
        Verdict.watching,
        Verdict.trigger,
    ]


def test_what_is_not_known_counts_as_reached() -> None:
    assert run(Rule(5.0), [(0, math.nan, 1)]) == [Verdict.trigger]


@given(
    st.floats(1, 1000),
    st.lists(st.tuples(st.floats(0.1, 300), st.booleans()), min_size=1, max_size=60),
)
def test_the_cool_down_lies_between_any_two_runs(cooldown: float, steps: list[tuple[float, bool]]) -> None:
    at, watch, ran = 0.0, Watch(), []
    for pause, reached in steps:
        at += pause
        watch, verdict = judge(
            watch, Rule(1.0, cooldown_s=cooldown), at, value=2.0 if reached else 0.0, samples=1
        )
        if verdict is Verdict.trigger:
            ran.append(at)
    assert all(later - earlier >= cooldown for earlier, later in pairwise(ran))


def test_entropy_is_zero_when_certain_and_log2_of_k_when_all_are_as_likely() -> None:
    assert entropy_bits([1.0, 0.0, 0.0]) == 0.0
    assert entropy_bits([0.25] * 4) == pytest.approx(2.0)
    assert entropy_bits([0.5, 0.25, 0.25]) == pytest.approx(1.5)
    with pytest.raises(ValueError, match="sum to 1"):
        entropy_bits([0.5, 0.6])


def test_correlation_is_one_for_the_same_moves_and_numpys_otherwise() -> None:
    rng = np.random.default_rng(3)
    base = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 50)))
    assert mean_correlation(np.column_stack([base, base * 7])) == pytest.approx(1.0)
    others = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, (50, 3)), axis=0))
    matrix = np.corrcoef(np.diff(np.log(others), axis=0), rowvar=False)
    assert mean_correlation(others) == pytest.approx((matrix[0, 1] + matrix[0, 2] + matrix[1, 2]) / 3)
    with pytest.raises(ValueError, match="two columns"):
        mean_correlation(np.ones((10, 2)))


def test_one_minute_back_at_the_peg_is_no_depeg() -> None:
    assert peg_deviation([0.99, 0.985, 0.98]) == pytest.approx(1.0)
    assert peg_deviation([0.98, 1.0, 0.98]) == 0.0
    assert peg_deviation([1.006]) == pytest.approx(0.6)


PERFECT = Facts(
    target_s=30,
    detected_s=12,
    actions=2,
    carried_out=2,
    verified=2,
    risk_added_after=0,
    withdrawn=True,
    undo_offered=True,
)


@pytest.mark.parametrize(
    ("changes", "points"),
    [
        ({}, 100),
        ({"detected_s": 60.0}, 80),  # twice the target: half of the forty
        ({"detected_s": 95.0}, 60),
        ({"carried_out": 1, "verified": 1}, 80),
        ({"risk_added_after": 3}, 90),
        ({"withdrawn": False, "undo_offered": False}, 90),
        ({"detected_s": None, "carried_out": 0, "verified": 0, "undo_offered": False}, 5),
    ],
)
def test_a_rehearsal_is_marked_by_what_happened(changes: dict[str, Any], points: int) -> None:
    from dataclasses import replace

    total, marks = score(replace(PERFECT, **changes))
    assert total == points
    assert sum(mark.of for mark in marks) == 100


def test_trimming_keeps_a_share_of_the_scope_and_nothing_wider() -> None:
    (step,) = actions_parse([{"do": "trim", "factor": 0.7}])
    assert step.members() == {"do": "trim", "on": "scope", "factor": 0.7}
    for wrong in (
        {"factor": 1.0},
        {"factor": 0},
        {},
        {"factor": 0.5, "on": "global"},
        {"factor": 0.5, "limit": "x"},
    ):
        with pytest.raises(InvalidAction):
            actions_parse([{"do": "trim", **wrong}])


def test_failed_readings_count_in_a_row_and_not_over_a_pause() -> None:
    assert [failed_in_a_row(before, 5.0) for before in (0, 1, 5)] == [1, 2, 6]
    assert (failed_in_a_row(5, 300.0), failed_in_a_row(5, 300.1)) == (6, 1)


def minutes(first: int, last: int) -> dict[datetime, float]:
    return {datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=at): 1.0 for at in range(first, last)}


@pytest.mark.parametrize(
    ("columns", "kept", "count"),
    [
        ({}, [], 0),
        ({"a": minutes(0, 40)}, [], 0),
        ({"a": minutes(0, 40), "b": minutes(0, 40)}, ["a", "b"], 40),
        ({"a": minutes(0, 40), "b": minutes(0, 40), "new": minutes(38, 40)}, ["a", "b"], 40),
        # One that has stopped is the longest, and has nothing in common with the others.
        ({"a": minutes(30, 60), "b": minutes(30, 60), "over": minutes(-5, 30)}, ["a", "b"], 30),
        # Three for half an hour are more to compare than two for 35 minutes.
        ({"a": minutes(0, 60), "b": minutes(25, 60), "c": minutes(30, 60)}, ["a", "b", "c"], 30),
        ({"a": minutes(0, 30), "b": minutes(30, 60)}, [], 0),
    ],
)
def test_columns_are_compared_where_most_of_them_have_values(
    columns: dict[str, dict[datetime, float]], kept: list[str], count: int
) -> None:
    names, times = in_common(columns)
    assert (names, len(times)) == (kept, count)
    assert times == sorted(times)


def test_no_playbook_waits_for_more_samples_than_its_figure_can_rest_on() -> None:
    for spec in PLAYBOOKS.values():
        most = spec.samples_within(spec.window_s)
        assert most is None or spec.rule.min_samples <= most, spec.name
    assert PLAYBOOKS["corr_spike"].samples_within(1799.0) == 29, "returns of 30 closed minutes"
