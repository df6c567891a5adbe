"""When a playbook acts: a threshold reached so many times in a row, and its cool-down over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

LONGEST_PAUSE_S: Final = 300.0


class Verdict(StrEnum):
    """What one reading means."""

    quiet = "quiet"
    watching = "watching"
    """Reached, not often enough yet."""
    trigger = "trigger"
    cooling = "cooling"
    """Reached, and acted on a short while ago."""
    calm = "calm"
    """The first reading below after it had been reached."""
    unknown = "unknown"
    """It could not be measured."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A threshold in the measure's unit (reached at equality), readings in a row, samples of each, pause in s."""

    threshold: float
    confirm: int = 1
    min_samples: int = 1
    cooldown_s: float = 0.0

    def __post_init__(self) -> None:
        if self.confirm < 1 or self.min_samples < 1 or self.cooldown_s < 0 or not self.threshold > 0:
            raise ValueError(
                "expected a threshold above 0, confirm and min_samples of 1 or more, cooldown_s >= 0"
            )


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered of one scope. Times in seconds of one clock; None before the first."""

    sightings: int = 0
    ran_at: float | None = None


def judge(watch: Watch, rule: Rule, now_s: float, *, value: float, samples: int) -> tuple[Watch, Verdict]:
    """Judge one reading.

    Parameters
    ----------
    value : in the rule's unit, higher is worse; NaN counts as reached, because what is not known is not safe.
    samples : what it rests on; fewer than the rule asks is no reading, and breaks no row of sightings.
    """
    if samples < rule.min_samples:
        return watch, Verdict.watching if watch.sightings else Verdict.quiet
    if value < rule.threshold:
        return replace(watch, sightings=0), Verdict.calm if watch.sightings else Verdict.quiet
    watch = replace(watch, sightings=min(watch.sightings + 1, 1_000_000))
    if watch.sightings < rule.confirm:
        return watch, Verdict.watching
    if watch.ran_at is not None and now_s - watch.ran_at < rule.cooldown_s:
        return watch, Verdict.cooling
    return replace(watch, ran_at=now_s), Verdict.trigger


def failed_in_a_row(before: int, since_last_s: float) -> int:
    """How many readings in a row have failed, this one counted; after a long pause the count begins anew.

    Before the pause the platform was down, or the scope not looked at: that says nothing of now.
    """
    return 1 if since_last_s > LONGEST_PAUSE_S else before + 1
