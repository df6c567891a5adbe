"""What happens by itself: after migrations, and around each task a worker runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from django.db import DatabaseError, InterfaceError

from governance.services.schedules import asked_run_of, schedule_finished, schedule_started
from trading.services.schedules import ByHand, no, schedules_install, yes

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
BY_HAND: Final[Mapping[str, ByHand]] = {
    "governance.tasks.capital_tick": no("it gives out capital, and renews how long it is given for"),
    "governance.tasks.routing_tick": no("it moves weights, also up"),
    "governance.tasks.notifications_tick": no("each try of a message that fails is counted"),
    "governance.tasks.guardian_tick": no(
        "it counts what it reads until playbooks act, and goes on with undos"
    ),
    "governance.tasks.compliance_tick": yes("it makes the report of a day that is over, once"),
    "governance.tasks.rules_tick": no("rules that fire change what is in force"),
    "governance.tasks.housekeeping": yes(
        "it deletes only what is past its time, and verifies the trail once a day"
    ),
}


_started: dict[str, float] = {}


def note_start(task_id: str = "", task: Any = None, **_: Any) -> None:
    """Remember when a task began; of a job that may be run by hand everybody can see that it has."""
    _started[task_id] = time.monotonic()
    name = _job(task)
    if name is None:
        return
    try:
        schedule_started(name=name, task=str(task.name), asked_run=asked_run_of(task.request))
    except (DatabaseError, InterfaceError) as problem:
        log.warning("schedule_not_noted", job=name, error=type(problem).__name__)


def note_end(task_id: str = "", task: Any = None, state: str = "", retval: Any = None, **_: Any) -> None:
    """Write down how the run of a periodic job ended; other tasks have no name of one."""
    took = time.monotonic() - _started.pop(task_id, time.monotonic())
    name = _job(task)
    if name is None:
        return
    error = "" if state == "SUCCESS" else f"{state}: {retval!r}"
    try:
        schedule_finished(name=name, took_s=took, error=error, asked_run=asked_run_of(task.request))
    except (DatabaseError, InterfaceError) as problem:
        log.warning("schedule_not_noted", job=name, error=type(problem).__name__)


def _job(task: Any) -> str | None:
    name: str | None = getattr(getattr(task, "request", None), "periodic_task_name", None)
    return name


def install_schedules(sender: Any, **_: Any) -> None:
    """Create the periodic tasks once their tables are there."""
    schedules_install(SCHEDULES)
