"""What of the past a playbook would not have acted on under another rule, as far as what is kept of it says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from governance.domain.playbooks.machine import Rule

BLAST_WINDOW_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Past:
    """One time a playbook acted.

    value : None where it had no finite figure, which counts as reached.
    samples : None where that is not kept.
    stood_s : for how long its cause stood from then on.
    """

    scope: str
    at_s: float
    value: float | None
    samples: int | None
    stood_s: float


@dataclass(frozen=True, slots=True)
class Setting:
    """A rule, and over how many scopes an hour it acts."""

    rule: Rule
    max_scopes: int


def not_acted(runs: Iterable[Past], was: Setting, proposed: Setting, *, period_s: float) -> int:
    """How many of the runs there would not have been under the proposed setting.

    What is not stricter than it was is not held against them: a hard stop may have had its reasons not to wait. More
    readings in a row are there where the cause stood so much longer; a run that comes late is no run at that time.
    """
    lost, acted = 0, dict[str, float]()
    more = max(0, proposed.rule.confirm - was.rule.confirm)
    longer = (more + 1) * period_s if more else 0.0
    cooldown_s = proposed.rule.cooldown_s if proposed.rule.cooldown_s > was.rule.cooldown_s else 0.0
    for run in sorted(runs, key=lambda run: run.at_s):
        measured = run.value is not None
        others = sum(run.at_s - at_s < BLAST_WINDOW_S for scope, at_s in acted.items() if scope != run.scope)
        if (
            (run.value is not None and run.value < proposed.rule.threshold)
            or (measured and run.samples is not None and run.samples < proposed.rule.min_samples)
            or (measured and run.stood_s < longer)
            or (run.scope in acted and run.at_s - acted[run.scope] < cooldown_s)
            or (proposed.max_scopes < was.max_scopes and others >= proposed.max_scopes)
        ):
            lost += 1
        else:
            acted[run.scope] = run.at_s
    return lost
