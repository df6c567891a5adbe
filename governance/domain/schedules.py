"""When a periodic job is late, and when a message for it may be sent. Seconds throughout."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

EARLIEST_SHARE: Final = 0.9
"""Of its period must be over before a job is sent again, whichever beat asks: their clocks and waits jitter."""
CLOCK_AHEAD_S: Final = 5.0
"""A time further ahead than that was noted before the clock was put back; hosts differ by less."""
MISSED_PERIODS: Final = 3.0
GRACE_S: Final = 60.0
"""A worker may be busy with something long for so long before anybody is called."""
FAILURES: Final = 3
"""Failures in a row before anybody is called: one may be a restart of the database."""
UNTOLD_S: Final = 900.0
"""A job that runs so seldom that its failures take longer than that is told of after fewer, after one at least."""
FAILING_S: Final = 60.0
"""A job that runs every few seconds fails three times before a failover is over."""
PAUSE_S: Final = 60.0
"""Between two runs of a job that people ask for."""
ROOM: Final = 2
"""Runs that follow closer than so many times what one takes keep a worker from its other jobs."""


def earliest_gap_s(every_s: float) -> float:
    """Seconds that must lie between two messages of a job.

    Raises
    ------
    ValueError : the period is not positive.
    """
    if not every_s > 0:
        raise ValueError(f"expected a positive period, was {every_s}")
    return every_s * EARLIEST_SHARE


def late_s(every_s: float, silent_s: float) -> float:
    """By how much a job is late that was last finished so long ago; 0 within three periods and a minute.

    Raises
    ------
    ValueError : the period is not positive.
    """
    if not every_s > 0:
        raise ValueError(f"expected a positive period, was {every_s}")
    allowed = MISSED_PERIODS * every_s + GRACE_S
    return silent_s - every_s if silent_s > allowed else 0.0


def is_failing(every_s: float, in_row: int, failing_s: float) -> bool:
    """Whether somebody is called because a job failed so often in a row, the first time so long ago.

    Every second to five minutes: three failures, and a minute at least; hourly or daily: the first.

    Raises
    ------
    ValueError : the period is not positive.
    """
    if not every_s > 0:
        raise ValueError(f"expected a positive period, was {every_s}")
    needed = max(1, min(FAILURES, int(UNTOLD_S // every_s)))
    return in_row >= needed and (needed < FAILURES or failing_s >= FAILING_S)


def in_hand(
    *,
    sent_at: datetime | None,
    started_at: datetime | None,
    finished_at: datetime | None,
    moment: datetime,
    worthless_s: float,
    longest_s: float,
) -> str:
    """Whether a run of a job is `queued` or `running`; empty: neither, another may be sent.

    What was sent in what is now the future was sent before the clock was put back, and holds up nobody.

    Parameters
    ----------
    worthless_s : after which a worker drops a message it has not taken up.
    longest_s : a run that is older was ended, whether or not anybody wrote it down.
    """

    def is_over(since: datetime) -> bool:
        return finished_at is not None and finished_at >= since

    ahead = moment + timedelta(seconds=CLOCK_AHEAD_S)
    begun = started_at is not None and started_at <= ahead and not is_over(started_at)
    if begun and started_at is not None and (moment - started_at).total_seconds() < longest_s:
        return "running"
    if sent_at is None or sent_at > ahead or is_over(sent_at):
        return ""
    if started_at is not None and started_at >= sent_at:
        return ""
    return "queued" if (moment - sent_at).total_seconds() < worthless_s else ""


def pause_s(took_s: float | None) -> float:
    """Seconds between two runs of a job that people ask for."""
    return max(PAUSE_S, ROOM * (took_s or 0.0))
