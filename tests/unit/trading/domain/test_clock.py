"""Conversions of time; expected values from the calendar."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.clock import (
    INTERVALS,
    bar_open_ns,
    datetime_to_ns,
    interval_ns,
    ms_to_ns,
    ns_to_datetime,
    ns_to_ms,
    written_moment,
)

# 2024-02-29 12:34:56.789 UTC, by `date -u -d @1709210096.789`
LEAP_MS = 1_709_210_096_789


def test_a_known_instant_converts_both_ways():
    at = datetime(2024, 2, 29, 12, 34, 56, 789_000, tzinfo=UTC)
    assert datetime_to_ns(at) == LEAP_MS * 1_000_000
    assert ns_to_datetime(LEAP_MS * 1_000_000) == at


def test_another_zone_names_the_same_instant():
    at = datetime(2024, 2, 29, 14, 34, 56, 789_000, tzinfo=timezone(timedelta(hours=2)))
    assert datetime_to_ns(at) == LEAP_MS * 1_000_000


def test_a_naive_datetime_is_refused():
    with pytest.raises(ValueError, match="aware"):
        datetime_to_ns(datetime(2024, 1, 1))  # noqa: DTZ001


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_microsecond_survives_the_round_trip(at):
    assert ns_to_datetime(datetime_to_ns(at)) == at


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_every_millisecond_survives_the_round_trip(ms):
    assert ns_to_ms(ms_to_ns(ms)) == ms


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        ("1s", 1),
        ("1m", 60),
        ("15m", 900),
        ("1h", 3600),
        ("12h", 43_200),
        ("1d", 86_400),
        ("3d", 259_200),
        ("1w", 604_800),
    ],
)
def test_intervals_have_their_length(interval, seconds):
    assert interval_ns(interval) == seconds * 1_000_000_000


@pytest.mark.parametrize("interval", ["1M", "7m", "", "m", "60"])
def test_an_interval_without_a_fixed_length_is_refused(interval):
    with pytest.raises(ValueError, match="interval"):
        interval_ns(interval)


def test_a_week_opens_on_monday():
    # 2024-02-29 was a Thursday; its Monday was the 26th.
    opened = ns_to_datetime(bar_open_ns(LEAP_MS * 1_000_000, "1w"))
    assert opened == datetime(2024, 2, 26, tzinfo=UTC)
    assert opened.weekday() == 0


def test_a_bar_opens_on_the_round_time():
    assert ns_to_datetime(bar_open_ns(LEAP_MS * 1_000_000, "15m")) == datetime(
        2024, 2, 29, 12, 30, tzinfo=UTC
    )
    assert ns_to_datetime(bar_open_ns(LEAP_MS * 1_000_000, "1d")) == datetime(2024, 2, 29, tzinfo=UTC)


@given(st.integers(min_value=0, max_value=4 * 10**18), st.sampled_from(sorted(INTERVALS)))
def test_an_instant_lies_in_its_bar(ns, interval):
    opened = bar_open_ns(ns, interval)
    assert opened <= ns < opened + interval_ns(interval)
    assert bar_open_ns(opened, interval) == opened


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00", "soon", ""]
)
def test_a_written_time_that_is_none_in_utc_is_refused_by_name(text):
    with pytest.raises(ValueError):
        written_moment(text)


def test_a_written_time_is_put_into_utc():
    assert written_moment("2026-01-01T01:00:00+01:00") == datetime(2026, 1, 1, tzinfo=UTC)
    assert written_moment("9999-12-31T23:59:59Z").year == 9999
