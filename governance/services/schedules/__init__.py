"""Periodic jobs: claimed once, written down, changed by the two-person rule.

What tells when they are late is in `lateness`, apart, because it stands on the incidents and beat must stay small.
"""

from governance.services.schedules.changing import (
    apply_change,
    change_clean,
    change_effect,
    change_rows,
    change_snapshot,
    schedule_change,
)
from governance.services.schedules.running import schedule_claim, schedule_finished

__all__ = [
    "apply_change",
    "change_clean",
    "change_effect",
    "change_rows",
    "change_snapshot",
    "schedule_change",
    "schedule_claim",
    "schedule_finished",
]
