"""What should be known and is not, told apart from what there is nothing to know of."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

FRESH_S = 20.0
"""Results are written every two seconds. What is ten times as old is no judgement of now."""


class Unmeasured(Exception):
    """The figure cannot be told; the message says why, for people."""


def check_fresh(what: str, at: datetime | None, moment: datetime) -> None:
    """Raise Unmeasured where something was written down too long ago, or never."""
    if at is None:
        raise Unmeasured(f"{what} was never written down")
    age = (moment - at).total_seconds()
    if age > FRESH_S and settings.WALL_TIME_RAILS:
        raise Unmeasured(f"{what} was last written down {age:.0f} s ago")


def name_of(scope: str) -> str:
    """`desk` of `account:desk`."""
    return scope.partition(":")[2]
