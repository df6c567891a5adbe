"""Which processes must give signs of life, and when the want of one is worth calling people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

NOTE: Final = "silence"
"""In the detail of a sign of life: what was seen of the silence after it. The next sign wipes it out."""
CONFIRM: Final = timedelta(seconds=25)
"""A silence has to be seen for so long: after an outage, and when all of it starts, every sign is old at first."""
STEADY: Final = timedelta(seconds=30)
"""Who starts anew has to live for so long before people are told that it is back."""
FORGOTTEN: Final = timedelta(days=1)
"""What has been gone for so long was told, and is no longer part of this deployment."""


@dataclass(frozen=True, slots=True)
class Required:
    """A process that is missed. Together with `CONFIRM`, `after` is longer than a restart and than its longest task."""

    after: timedelta
    by_ticks: bool
    """Whether its signs are written by periodic tasks: without beat there are none."""
    meaning: str
    severity: str = "critical"


REQUIRED: Final[Mapping[str, Required]] = {
    "worker-control": Required(
        timedelta(seconds=20),
        True,
        "no playbook acts, no doubt is cleared; kills are enforced by the watchdog",
    ),
    "worker-trading": Required(
        timedelta(seconds=30), True, "no order is sent; what works at the venue stays"
    ),
    # Alone on its queues, where one task may take two minutes.
    "worker-jobs": Required(
        timedelta(seconds=150), True, "nothing is valued; people are told by worker-control meanwhile"
    ),
    "feed": Required(timedelta(seconds=30), False, "prices are old, and nothing is opened on them"),
    "relay": Required(
        timedelta(seconds=30), False, "screens stand still, events wait, the audit trail is not sealed"
    ),
    "watchdog": Required(timedelta(seconds=30), False, "there is no second way to stop"),
    "exporter": Required(timedelta(seconds=60), False, "alarms on figures are blind", "warning"),
}

WORKER_OF: Final[Mapping[str, str]] = {
    "control": "worker-control",
    "trading": "worker-trading",
    "governance": "worker-jobs",
    "universe": "worker-jobs",
    "training": "worker-jobs",
}
"""Which of them works on what waits in a queue."""


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of life of a kind, and what was noted since."""

    kind: str
    beat_at: datetime
    started_at: datetime
    detail: Mapping[str, Any]


def is_silent(sign: Sign, *, now: datetime) -> bool:
    """Whether a process that is required has given no sign for too long."""
    required = REQUIRED.get(sign.kind)
    return required is not None and required.after < now - sign.beat_at < FORGOTTEN


def is_confirmed(sign: Sign, *, now: datetime) -> bool:
    """Whether the silence was noted long enough ago to be believed."""
    note = sign.detail.get(NOTE)
    return isinstance(note, Mapping) and now - datetime.fromisoformat(str(note["since"])) >= CONFIRM


def is_steady(sign: Sign, *, now: datetime) -> bool:
    """Whether a process is at work again, and not only between two crashes."""
    return not is_silent(sign, now=now) and now - sign.beat_at < FORGOTTEN and now - sign.started_at >= STEADY


def silence_words(sign: Sign, *, now: datetime) -> tuple[str, str]:
    """Title and text for people."""
    silent = (now - sign.beat_at).total_seconds()
    return f"{sign.kind} has given no sign of life for {silent:.0f} s", REQUIRED[sign.kind].meaning
