"""When a periodic job may be sent again, and when it counts as missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from governance.domain.schedules import earliest_gap_s, in_hand, is_failing, late_s, pause_s

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def test_a_job_is_late_after_three_periods_and_a_minute() -> None:
    assert late_s(60, 240) == 0
    assert late_s(60, 240.1) == pytest.approx(180.1)
    assert late_s(1, 63) == 0
    assert late_s(1, 63.5) == pytest.approx(62.5)


@pytest.mark.parametrize(
    ("every_s", "in_row", "failing_s", "failing"),
    [
        (5, 2, 600, False),
        (5, 3, 59.9, False),
        (5, 12, 60, True),
        (300, 2, 600, False),
        (300, 3, 600, True),
        (450, 1, 0, False),
        (450, 2, 450, True),
        (3600, 1, 0, True),
        (86_400, 1, 0, True),
        (86_400, 0, 0, False),
    ],
)
def test_a_job_is_failing_by_runs_and_by_time(
    every_s: float, in_row: int, failing_s: float, failing: bool
) -> None:
    assert is_failing(every_s, in_row, failing_s) is failing


def test_nine_tenths_of_the_period_lie_between_two_messages() -> None:
    assert earliest_gap_s(10) == pytest.approx(9)


@pytest.mark.parametrize("every_s", [0, -1])
def test_a_period_is_positive(every_s: float) -> None:
    with pytest.raises(ValueError, match="positive period"):
        late_s(every_s, 1)
    with pytest.raises(ValueError, match="positive period"):
        earliest_gap_s(every_s)
    with pytest.raises(ValueError, match="positive period"):
        is_failing(every_s, 1, 1)


@pytest.mark.parametrize(
    ("sent", "started", "finished", "doing"),
    [
        (None, None, None, ""),
        (59, None, None, "queued"),
        (60, None, None, ""),
        (50, 49, None, "running"),
        (300, 129, None, "running"),
        (300, 130, None, ""),
        (50, 49, 40, ""),
        (10, 49, 40, "queued"),
        (10, 49, None, "running"),
        (30, None, 29, ""),
        (-6, None, None, ""),
        (-4, None, None, "queued"),
        (-3600, -3600, None, ""),
    ],
)
def test_a_run_is_in_hand_from_its_message_to_its_end_or_until_nobody_can_be_at_it(
    sent: int | None, started: int | None, finished: int | None, doing: str
) -> None:
    """In seconds before now; a message is worthless after 60, and a run over after 130."""

    def ago(seconds: int | None) -> datetime | None:
        return None if seconds is None else NOW - timedelta(seconds=seconds)

    found = in_hand(
        sent_at=ago(sent),
        started_at=ago(started),
        finished_at=ago(finished),
        moment=NOW,
        worthless_s=60,
        longest_s=130,
    )
    assert found == doing


def test_people_leave_a_minute_or_twice_what_a_run_takes_between_two() -> None:
    assert (pause_s(None), pause_s(30), pause_s(31)) == (60, 60, 62)
