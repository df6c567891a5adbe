"""Numbers as people read them."""

import pytest

from trading.domain.report import text
from trading.domain.statistics import Figure


@pytest.mark.parametrize(
    ("value", "places", "expected"),
    [
        (1234567.891, 2, "1,234,567.89"),
        (-0.004, 2, "0.00"),
        (-12.5, 1, "−12.5"),
        (0.0, 0, "0"),
        (-0.0, 2, "0.00"),
    ],
)
def test_numbers_are_grouped_and_nothing_is_minus_zero(value, places, expected):
    assert text.number(value, places) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(58822.614, "58,822.61"), (0.000123456789, "0.00012346"), (-0.5, "−0.5"), (0.0, "0.00"), (1.0, "1.00")],
)
def test_small_amounts_keep_their_digits(value, expected):
    assert text.money(value) == expected


def test_times_are_rounded_to_the_second_and_full_minutes_are_short():
    at = 1_700_006_400 * 10**9  # 2023-11-15 00:00:00 UTC
    assert text.stamp(at) == "2023-11-15 00:00"
    assert text.stamp(at - 1_000_000) == "2023-11-15 00:00", "the venue closes a bar at 59.999"
    assert text.stamp(at + 5 * 10**9) == "2023-11-15 00:00:05"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(45, "45 s"), (119, "119 s"), (120, "2 min"), (7200, "2.0 h"), (172_800, "2.0 d")],
)
def test_durations_use_the_unit_a_person_would(seconds, expected):
    assert text.duration(seconds) == expected


def test_a_figure_without_a_value_is_a_dash():
    assert text.shown(Figure(None, "because"), "percent") == "–"
    assert text.shown(Figure(0.1234), "percent") == "12.34 %"
    assert text.shown(Figure(-1.5), "bps") == "−1.50 bps"
    assert text.percent(0.5, 0) == "50 %"
