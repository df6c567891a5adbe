"""Market time between bars: never back, never beyond the running bar, as fast as the bars come."""

from hypothesis import given
from hypothesis import strategies as st

from universe.domain.market_clock import MarketClock

S = 1_000_000_000
T0 = 1_700_000_040 * S


def bar(clock: MarketClock, number: int, wall_s: float) -> None:
    clock.bar(T0 + number * 60 * S, T0 + (number + 1) * 60 * S, int(wall_s * S))


def test_it_knows_nothing_before_the_first_bar() -> None:
    assert MarketClock().now(5 * S) is None


def test_between_two_bars_it_runs_with_the_wall_clock() -> None:
    clock = MarketClock()
    bar(clock, 0, 100)
    bar(clock, 1, 130)
    assert clock.now(int(142.5 * S)) == T0 + 60 * S + int(12.5 * S)


def test_a_compressed_market_runs_as_fast_as_its_bars_begin() -> None:
    clock = MarketClock()
    bar(clock, 0, 100)
    bar(clock, 1, 103)
    bar(clock, 2, 109)  # 60 s of market in 6 s
    assert clock.now(112 * S) == T0 + 2 * 60 * S + 30 * S


def test_it_waits_at_the_end_of_the_running_bar() -> None:
    clock = MarketClock()
    bar(clock, 0, 100)
    bar(clock, 1, 160)
    assert clock.now(500 * S) == T0 + 2 * 60 * S - 1


def test_an_older_bar_says_nothing() -> None:
    clock = MarketClock()
    bar(clock, 3, 100)
    bar(clock, 2, 120)
    assert clock.now(130 * S) == T0 + 3 * 60 * S + 30 * S


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.0, 90.0)), min_size=1, max_size=40))
def test_it_never_goes_back_and_stays_inside_the_running_bar(steps: list[tuple[int, float]]) -> None:
    clock, number, wall, told = MarketClock(), 0, 0.0, 0
    for skipped, passed in steps:
        number, wall = number + skipped, wall + passed
        bar(clock, number, wall)
        now = clock.now(int(wall * S))
        assert now is not None
        assert told <= now < T0 + (number + 1) * 60 * S
        told = now
