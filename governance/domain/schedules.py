"""When a periodic job is late, and when a message for it may be sent. Seconds throughout."""

from __future__ import annotations

from typing import Final

EARLIEST_SHARE: Final = 0.9
"""Of its period must be over before a job is sent again, whichever beat asks: their clocks and waits jitter."""
MISSED_PERIODS: Final = 3.0
GRACE_S: Final = 60.0
"""A worker may be busy with something long for so long before anybody is called."""


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
