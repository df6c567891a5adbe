"""Periodic jobs: claimed once, written down, changed by the two-person rule, told when late."""

from governance.services.schedules.changing import (
    apply_change,
    change_clean,
    change_effect,
    change_snapshot,
    schedule_change,
)
from governance.services.schedules.lateness import schedules_late, schedules_unready, schedules_watch
from governance.services.schedules.running import schedule_claim, schedule_finished

__all__ = [
    "apply_change",
    "change_clean",
    "change_effect",
    "change_snapshot",
    "schedule_change",
    "schedule_claim",
    "schedule_finished",
    "schedules_late",
    "schedules_unready",
    "schedules_watch",
]
