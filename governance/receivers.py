"""What happens by itself: after migrations, and around each task a worker runs."""

from __future__ import annotations

import time
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError

from governance.services.schedules import schedule_finished
from trading.services.schedules import schedules_install

log = structlog.get_logger(__name__)
# name, task, queue, seconds, seconds after which a late message is worthless
SCHEDULES = (
    ("capital tick", "governance.tasks.capital_tick", "governance", 10, 10),
    ("routing tick", "governance.tasks.routing_tick", "governance", 10, 10),
    ("notifications tick", "governance.tasks.notifications_tick", "governance", 2, 4),
    ("guardian tick", "governance.tasks.guardian_tick", "control", 5, 5),
    ("compliance tick", "governance.tasks.compliance_tick", "governance", 300, 120),
    ("rules tick", "governance.tasks.rules_tick", "governance", 5, 5),
    ("governance housekeeping", "governance.tasks.housekeeping", "governance", 3600, 600),
)


_started: dict[str, float] = {}


def note_start(task_id: str = "", **_: Any) -> None:
    """Remember when a task began."""
    _started[task_id] = time.monotonic()


def note_end(task_id: str = "", task: Any = None, state: str = "", retval: Any = None, **_: Any) -> None:
    """Write down how the run of a periodic job ended; other tasks have no name of one."""
    took = time.monotonic() - _started.pop(task_id, time.monotonic())
    name = getattr(getattr(task, "request", None), "periodic_task_name", None)
    if name is None:
        return
    error = "" if state == "SUCCESS" else f"{state}: {retval!r}"
    try:
        schedule_finished(name=name, took_s=took, error=error)
    except (DatabaseError, InterfaceError) as problem:
        log.warning("schedule_not_noted", job=name, error=type(problem).__name__)


def install_schedules(sender: Any, **_: Any) -> None:
    """Create the periodic tasks once their tables are there."""
    schedules_install(SCHEDULES)
