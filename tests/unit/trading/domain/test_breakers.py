"""Circuit breakers; the trace is the published definition, the rest by hand."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.breakers import (
    BreakerRule,
    BreakerState,
    Phase,
    error_rate,
    observe,
    on_probe_result,
    reset,
    trip,
    try_probe,
)
from trading.domain.errors import IllegalTransition

S = 1_000_000_000
CASES = Path(__file__).parents[3] / "data" / "science_cases.json"
RULE = BreakerRule(
    window_s=60, min_samples=4, threshold=0.5, cooldown_s=10, cooldown_max_s=35, half_open_successes=2
)


def opened(now_ns=0):
    return observe(BreakerState(), RULE, now_ns, 4, 4)


def call(state, rule, now_ns, ok):
    """One call of a client that asks its breaker first: the state after it, and if it was let through."""
    state, may = try_probe(state, rule, now_ns)
    if not may:
        return state, False
    if state.phase is Phase.half_open:
        return on_probe_result(state, rule, now_ns, ok), True
    return observe(state, rule, now_ns, 1, 0 if ok else 1), True


def test_the_published_trace_is_followed_step_by_step():
    case = next(c for c in json.loads(CASES.read_text()) if c["id"] == "R15")
    args = case["args"]
    rule = BreakerRule(
        window_s=args["window"],
        min_samples=args["min_calls"],
        threshold=args["threshold"],
        cooldown_s=args["cooldown"],
        cooldown_max_s=args["cooldown"],
        half_open_successes=args["probes"],
    )
    state, trace = BreakerState(), []
    for at, ok in args["events"]:
        state, may = call(state, rule, at * S, ok)
        trace.append([state.phase.value, may])
    assert trace == case["expected"]


def test_one_error_is_no_rate():
    # defect W21: the first error alone tripped it
    assert observe(BreakerState(), RULE, 0, 1, 1).phase is Phase.closed
    assert observe(BreakerState(), RULE, 0, 3, 3).phase is Phase.closed


def test_it_opens_when_enough_calls_reach_the_threshold():
    # defect W20: it could never trip
    assert observe(BreakerState(), RULE, 0, 4, 1).phase is Phase.closed
    state = observe(BreakerState(), RULE, 0, 4, 2)
    assert state.phase is Phase.open
    assert state.reason == "2 errors in 4 calls within 60 s"


def test_calls_outside_the_window_are_forgotten():
    state = observe(BreakerState(), RULE, 0, 3, 3)
    state = observe(state, RULE, 60 * S, 1, 1)
    assert error_rate(state, RULE, 60 * S) == (1, 1)
    assert state.phase is Phase.closed


def test_it_recovers_without_new_results_of_ordinary_calls():
    # defect W21: it never cleared. Probes come by themselves once the cool-down is over.
    state = opened()
    assert state.retry_after_s(4 * S) == 6.0
    state, may = try_probe(state, RULE, 10 * S - 1)
    assert not may
    state, may = try_probe(state, RULE, 10 * S)
    assert may
    assert state.phase is Phase.half_open


def test_only_one_probe_is_in_flight():
    state, _ = try_probe(opened(), RULE, 10 * S)
    state, may = try_probe(state, RULE, 11 * S)
    assert not may
    state = on_probe_result(state, RULE, 12 * S, True)
    _, may = try_probe(state, RULE, 12 * S)
    assert may


def test_a_probe_whose_process_died_does_not_block_for_ever():
    state, _ = try_probe(opened(), RULE, 10 * S)
    assert try_probe(state, RULE, 20 * S - 1)[1] is False
    assert try_probe(state, RULE, 20 * S)[1] is True


def test_enough_successes_close_it_with_an_empty_window():
    # defect W22: switching on again did not resume
    state, _ = try_probe(opened(), RULE, 10 * S)
    state = on_probe_result(state, RULE, 10 * S, True)
    assert state.phase is Phase.half_open
    state, _ = try_probe(state, RULE, 11 * S)
    state = on_probe_result(state, RULE, 11 * S, True)
    assert state == BreakerState()
    assert observe(state, RULE, 12 * S, 3, 3).phase is Phase.closed


def test_each_failed_probe_doubles_the_wait_up_to_the_bound():
    state, now, waits = opened(), 0, []
    for _ in range(4):
        waits.append((state.until_ns - now) // S)
        now = state.until_ns
        state, _ = try_probe(state, RULE, now)
        state = on_probe_result(state, RULE, now, False)
    assert waits == [10, 20, 35, 35]


def test_jitter_lengthens_the_wait():
    state = observe(BreakerState(), RULE, 0, 4, 4, jitter=0.25)
    assert state.until_ns == round(12.5 * S)


def test_results_of_calls_made_before_do_not_speak_while_it_is_open():
    state = opened()
    assert observe(state, RULE, 5 * S, 100, 0) == state
    assert on_probe_result(state, RULE, 5 * S, True) == state


def test_a_venue_ban_opens_it_for_the_time_the_venue_stated():
    state = trip(BreakerState(), RULE, 0, "HTTP 418", for_s=120)
    assert state.retry_after_s(0) == 120.0
    assert state.reason == "HTTP 418"


def test_a_second_trip_never_shortens_the_first():
    state = trip(BreakerState(), RULE, 0, "HTTP 418", for_s=120)
    assert trip(state, RULE, 1 * S, "HTTP 429", for_s=5).until_ns == 120 * S


def test_a_person_resets_to_half_open_never_to_closed():
    state = reset(opened())
    assert state.phase is Phase.half_open
    state, may = try_probe(state, RULE, 1 * S)
    assert may
    assert on_probe_result(state, RULE, 1 * S, False).phase is Phase.open


def test_a_closed_breaker_has_nothing_to_reset():
    with pytest.raises(IllegalTransition):
        reset(BreakerState())


@pytest.mark.parametrize(("calls", "errors"), [(1, 2), (-1, 0), (1, -1)])
def test_impossible_counts_are_refused(calls, errors):
    with pytest.raises(ValueError, match="errors"):
        observe(BreakerState(), RULE, 0, calls, errors)


@pytest.mark.parametrize(
    "change",
    [
        {"window_s": 0},
        {"min_samples": 0},
        {"threshold": 0},
        {"threshold": float("inf")},
        {"cooldown_s": 0},
        {"cooldown_max_s": 9},
        {"half_open_successes": 0},
    ],
)
def test_a_rule_that_cannot_work_is_refused(change):
    values = {
        "window_s": 60,
        "min_samples": 4,
        "threshold": 0.5,
        "cooldown_s": 10,
        "cooldown_max_s": 35,
        "half_open_successes": 2,
    }
    with pytest.raises(ValueError, match="expected"):
        BreakerRule(**(values | change))


@given(st.lists(st.tuples(st.integers(1, 20), st.booleans()), max_size=60))
def test_whatever_happens_it_never_stays_shut(events):
    state, now = BreakerState(), 0
    for gap, ok in events:
        now += gap * S
        state, _ = call(state, RULE, now, ok)
    # From any state, waiting out the longest cool-down and succeeding twice closes it.
    for _ in range(RULE.half_open_successes + 1):
        now += 36 * S
        state, may = call(state, RULE, now, True)
        assert may
    assert state.phase is Phase.closed


def test_a_trip_without_a_stated_time_waits_the_cool_down():
    state = trip(BreakerState(), RULE, 0, "key rejected")
    assert (state.phase, state.retry_after_s(0), state.reason) == (Phase.open, 10.0, "key rejected")
    assert state.retry_after_s(99 * S) == 0.0
    assert BreakerState().retry_after_s(0) is None
