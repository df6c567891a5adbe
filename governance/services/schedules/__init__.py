"""Periodic jobs: claimed once, written down, run out of turn by one person, changed by the two-person rule.

What tells when they are late is in `lateness`, apart, because it stands on the incidents and beat must stay small.
"""

from governance.services.schedules.asking import schedule_run, schedule_runs_prune
from governance.services.schedules.changing import (
    apply_change,
    change_clean,
    change_effect,
    change_rows,
    change_snapshot,
    schedule_change,
)
from governance.services.schedules.running import (
    asked_run_of,
    schedule_claim,
    schedule_finished,
    schedule_started,
)

__all__ = [
    "apply_change",
    "asked_run_of",
    "change_clean",
    "change_effect",
    "change_rows",
    "change_snapshot",
    "schedule_change",
    "schedule_claim",
    "schedule_finished",
    "schedule_run",
    "schedule_runs_prune",
    "schedule_started",
]
