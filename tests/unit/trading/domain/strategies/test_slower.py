"""Slower bars from the fast ones they hold."""

from __future__ import annotations

import pytest

from trading.domain.strategies.base import Bar
from trading.domain.strategies.slower import bars_within, slower_closing

MINUTE = 60_000_000_000


def minutes(*numbers: int) -> list[Bar]:
    return [
        Bar(n * MINUTE, (n + 1) * MINUTE - 1, 100.0 + n, 110.0 + n, 90.0 - n, 101.0 + n, 0.1, 10.0, 2, 0.05)
        for n in numbers
    ]


def test_a_slower_bar_has_the_first_open_the_last_close_the_extremes_and_the_sums() -> None:
    bars = minutes(*range(5, 10))
    found = slower_closing(bars, 4, "1m", ("5m",))
    assert found["5m"] == Bar(
        5 * MINUTE, 10 * MINUTE - 1, 105.0, 119.0, 81.0, 110.0, pytest.approx(0.5), pytest.approx(50.0), 10,
        pytest.approx(0.25),
    )  # fmt: skip


def test_only_a_whole_one_is_shown_and_only_with_its_last_bar() -> None:
    bars = minutes(*range(3, 12))
    shown = [tuple(slower_closing(bars, at, "1m", ("5m",))) for at in range(len(bars))]
    assert shown == [(), (), (), (), (), (), ("5m",), (), ()]  # minutes 5 to 9; 0 to 4 is not whole
    holed = minutes(4, 5, 6, 8, 9)
    assert dict(slower_closing(holed, 4, "1m", ("5m",))) == {}


def test_a_week_begins_on_a_monday() -> None:
    day = 1440 * MINUTE
    bars = [
        Bar(n * day, (n + 1) * day - 1, 1.0, 1.0, 1.0, 1.0, 1.0) for n in range(4, 25)
    ]  # from Monday, 5 January 1970
    closing = [n + 4 for n in range(len(bars)) if slower_closing(bars, n, "1d", ("1w",))]
    assert closing == [10, 17, 24]


def test_intervals_that_do_not_divide_are_refused() -> None:
    assert bars_within("1m", ("5m", "1h")) == 60
    assert bars_within("1h", ()) == 0
    for name in ("1m", "7m", "1h"):
        with pytest.raises(ValueError):
            bars_within("5m" if name != "1h" else "1h", (name,))
