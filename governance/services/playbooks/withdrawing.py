"""Taking the fault of a rehearsal out: at once, or again and again with people told until it is out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog

from governance.adapters.testnet_control import ControlError
from governance.models import Incident, Rehearsal
from governance.services.playbooks.faults import fault_withdraw
from governance.services.playbooks.incidents import incident_calm, incident_open

log = structlog.get_logger(__name__)
KIND = "fault_stuck"
AGAIN = timedelta(seconds=15)


def fault_out(row: Rehearsal, moment: datetime) -> bool:
    """Take it out; where that fails the rehearsal is stuck and people are called. Whether it is out."""
    if _withdrawn(row, moment):
        return True
    row.fault["watched_until"] = moment.isoformat()
    fault_stuck(row, row.fault, moment, said=row.error)
    return False


def fault_stuck(row: Rehearsal, fault: dict[str, Any], moment: datetime, *, said: str) -> None:
    """Note that a fault is still in, and call people. No other is put in until it is out."""
    row.state, row.fault, row.error = Rehearsal.State.STUCK, fault, said[:300]
    row.fault["tried_at"] = moment.isoformat()
    row.save(update_fields=["state", "fault", "error"])
    incident_open(
        kind=KIND,
        scope=row.playbook.name,
        severity="critical",
        title=f"the fault of the rehearsal of {row.playbook.name} is still in the paper exchange",
        actor="rehearsal",
        evidence={"rehearsal": row.pk, "error": row.error, "fault": row.fault},
    )


def fault_retry(row: Rehearsal, moment: datetime) -> bool:
    """Try again to take out the fault of a stuck rehearsal, every so often. Whether it is out now."""
    if moment - datetime.fromisoformat(row.fault["tried_at"]) < AGAIN:
        return False
    if not _withdrawn(row, moment):
        row.save(update_fields=["fault", "error"])
        return False
    found = Incident.objects.filter(kind=KIND, scope=row.playbook.name, state=Incident.State.OPEN)
    for pk in found.values_list("pk", flat=True):
        incident_calm(pk, actor="rehearsal", detail="the fault is out")
    return True


def _withdrawn(row: Rehearsal, moment: datetime) -> bool:
    row.fault["tried_at"] = moment.isoformat()
    try:
        fault_withdraw(row.fault)
    except ControlError as error:
        row.error = str(error)[:300]
        log.error("rehearsal_fault_stuck", rehearsal=row.pk, error=row.error)
        return False
    return True
