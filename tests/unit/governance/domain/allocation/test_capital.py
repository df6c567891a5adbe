"""Weights into money: limits by hand, throttle, pace."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from governance.domain.allocation import (
    Adjustment,
    AllocationError,
    CapitalLimits,
    Grant,
    GroupCap,
    Pace,
    Paced,
    ThrottleState,
    capital_pool,
    desired_amounts,
    paced,
    project,
    throttle_observe,
    throttle_reset,
)
from governance.domain.allocation.throttle import Lifted, throttle_lifted


def amounts(grants):
    return {grant.strategy: grant.amount for grant in grants}


def test_the_pool_is_a_fraction_of_equity_and_never_touches_the_reserve():
    assert capital_pool(1000, fraction=Fraction(1, 5), reserve=100) == 200
    assert capital_pool(1000, fraction=Fraction(1, 5), reserve=100, minimum=500) == 500
    assert capital_pool(1000, fraction=Fraction(1), reserve=300) == 700
    assert capital_pool(1000, fraction=Fraction(1, 5), reserve=2000, minimum=500) == 0
    assert capital_pool(-50, fraction=Fraction(1), reserve=0) == 0


def test_desired_amounts_are_rounded_down():
    assert desired_amounts({"a": 1 / 3, "b": 2 / 3}, 100) == {"a": 33, "b": 66}
    with pytest.raises(AllocationError, match="a: expected a finite weight"):
        desired_amounts({"a": float("nan")}, 100)
    with pytest.raises(AllocationError):
        desired_amounts({"a": -0.1}, 100)


def test_limits_apply_in_their_order_and_each_is_explained():
    limits = CapitalLimits(
        pool=500,
        default_cap=400,
        caps={"b": 300},
        groups=(GroupCap("btc", frozenset({"a", "b"}), 350),),
        minimum=50,
        stopped=frozenset({"d"}),
        max_increase=330,
    )
    found = project({"a": 450, "b": 900, "c": 300, "d": 100, "e": 40}, limits, {"b": 100})
    # a: cap 400, increase 330; b: cap 300. Group 630 -> 350: a 330 x 350 / 630 = 183, b 166.
    # Pool: 183 + 166 + 300 + 40 = 689 -> 500: a 132, b 120, c 217, e 29, below the minimum.
    assert amounts(found) == {"a": 132, "b": 120, "c": 217, "d": 0, "e": 0}
    assert found[0] == Grant(
        "a",
        132,
        (
            Adjustment("cap", 450, 400),
            Adjustment("max_increase", 400, 330),
            Adjustment("group:btc", 330, 183),
            Adjustment("pool", 183, 132),
        ),
    )
    assert found[3].adjustments == (Adjustment("stopped", 100, 0),)
    assert [step.rule for step in found[4].adjustments] == ["pool", "minimum"]


def test_what_fits_is_left_as_it_is():
    limits = CapitalLimits(pool=100, default_cap=60)
    assert project({"a": 60, "b": 40}, limits) == (Grant("a", 60), Grant("b", 40))


def test_what_a_cap_takes_stays_in_the_pool():
    limits = CapitalLimits(pool=100, default_cap=100, caps={"a": 10})
    assert amounts(project({"a": 50, "b": 50}, limits)) == {"a": 10, "b": 50}


def test_a_stopped_strategy_gets_nothing_at_once():
    limits = CapitalLimits(pool=100, default_cap=100, stopped=frozenset({"a"}), max_increase=0)
    assert amounts(project({"a": 100}, limits, {"a": 100})) == {"a": 0}


def test_negative_limits_and_amounts_are_refused():
    with pytest.raises(AllocationError):
        CapitalLimits(pool=-1, default_cap=1)
    with pytest.raises(AllocationError):
        project({"a": -1}, CapitalLimits(pool=1, default_cap=1))


@pytest.mark.parametrize(
    ("desired", "current", "since", "expected"),
    [
        (1000, 1000, None, Paced(1000, "")),
        (1050, 1000, None, Paced(1000, "within_band")),
        (951, 1000, None, Paced(1000, "within_band")),
        (1100, 1000, None, Paced(1100, "")),
        (1400, 1000, None, Paced(1150, "step_up")),
        (1400, 1000, 899.0, Paced(1000, "cooldown")),
        (1400, 1000, 900.0, Paced(1150, "step_up")),
        (700, 1000, 1.0, Paced(800, "step_down")),
        (850, 1000, 1.0, Paced(850, "")),
        (500, 0, None, Paced(120, "step_up")),
        (0, 1000, None, Paced(800, "step_down")),
    ],
)
def test_an_allocation_moves_in_steps_waits_to_rise_and_never_to_fall(desired, current, since, expected):
    assert paced(desired, current, Pace(smallest_step=120), since_change_s=since) == expected


def test_zero_is_reached_even_inside_the_band():
    assert paced(0, 10, Pace(band=0.9, step_down=1.0), since_change_s=None) == Paced(0, "")


def test_the_throttle_cuts_at_once_and_rises_with_a_delay():
    limits = {"soft": 0.05, "hard": 0.25, "recovery": 0.25}
    state = ThrottleState()
    seen = []
    for drawdown in (0.03, 0.15, 0.14, 0.11, 0.09, 0.05, 0.0):
        state = throttle_observe(state, drawdown, **limits)
        seen.append(round(state.multiplier, 6))
    # At 0.15 half; it rises once (dd + 0.05) gives more than half: at 0.09 to (0.25 - 0.14) / 0.2 = 0.55.
    assert seen == [1.0, 0.5, 0.5, 0.5, 0.55, 0.75, 1.0]


def test_the_hard_limit_stops_until_a_person_resets():
    limits = {"soft": 0.05, "hard": 0.2}
    state = throttle_observe(ThrottleState(), 0.2, **limits)
    assert state == ThrottleState(0.0, True)
    assert throttle_observe(state, 0.0, **limits) == state
    again = throttle_observe(throttle_reset(state), 0.0, **limits)
    assert again == ThrottleState(1.0, False)
    assert throttle_observe(throttle_reset(state), 0.2, **limits).stopped
    untouched = ThrottleState(0.4, False)
    assert throttle_reset(untouched) is untouched


@pytest.mark.parametrize("bad", [{"soft": 0.2, "hard": 0.1}, {"soft": -0.1, "hard": 0.1}])
def test_a_throttle_without_order_is_refused(bad):
    with pytest.raises(AllocationError):
        throttle_observe(ThrottleState(), 0.1, **bad)
    with pytest.raises(AllocationError):
        throttle_observe(ThrottleState(), float("nan"), soft=0.1, hard=0.2)


def lifted(drawdown, days=0):
    return Lifted(datetime(2026, 11, 30, tzinfo=UTC), 79_000 * 10**8, drawdown, days)


@pytest.mark.parametrize(
    ("ever", "since", "days", "expected"),
    [
        (0.21, 0.0, 0, ThrottleState(0.1, False)),  # the fall people accepted stops nothing again
        (0.21, 0.0, 3, ThrottleState(0.4, False)),  # a tenth more each day
        (0.21, 0.0, 30, ThrottleState(1.0, False)),
        (0.30, 0.125, 30, ThrottleState(0.5, False)),  # a new fall counts from the new peak
        (0.37, 0.2, 30, ThrottleState(0.0, True)),  # and stops again
        (0.0, 0.0, 0, ThrottleState(1.0, False)),  # all is won back
    ],
)
def test_after_people_lifted_a_stop_capital_comes_back_and_a_new_fall_stops_it(ever, since, days, expected):
    after = throttle_lifted(ThrottleState(1.0), ever, lifted(since, days), soft=0.05, hard=0.2)
    assert (after.multiplier, after.stopped) == (pytest.approx(expected.multiplier), expected.stopped)
