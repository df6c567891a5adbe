"""The alarm for a trail that nobody verifies: a verification that never ends tells nothing by itself."""

from __future__ import annotations

from typing import Final

from governance.models import Incident
from governance.services.playbooks.incidents import incident_calm, incident_open
from nautilus_site.common.services.audit_verifications import audit_standing

KIND: Final = "audit_unverified"
SCOPE: Final = "audit:chain"
BROKEN: Final = "audit_broken"
"""What a verification calls people to."""


def audit_watch() -> bool:
    """Open an incident while the whole trail was not verified for too long, and calm it afterwards. Tells which.

    What was found broken is calm once all of it verifies: two people have accepted what is lost, or a file is back.
    """
    standing = audit_standing()
    found = standing.found
    if standing.tail and found is not None and found.state == found.State.INTACT:
        # One that was opened since is of a later look than this.
        broken = Incident.objects.filter(kind=BROKEN, state=Incident.State.OPEN)
        for row in broken.filter(opened_at__lt=found.finished_at):
            incident_calm(row.pk, actor="audit", detail="all of it was verified, and is intact")
    if not standing.is_overdue:
        for row in Incident.objects.filter(kind=KIND, scope=SCOPE, state=Incident.State.OPEN):
            incident_calm(row.pk, actor="audit", detail="all of it was verified")
        return False
    if not Incident.objects.filter(kind=KIND, scope=SCOPE, state=Incident.State.OPEN).exists():
        last = f"{found.finished_at:%Y-%m-%d %H:%M} UTC" if found and found.finished_at else "never"
        incident_open(
            kind=KIND,
            scope=SCOPE,
            severity="warning",
            title=f"the whole audit trail has not been verified for more than a day (last: {last})",
            actor="audit",
            evidence={"last": last},
        )
    return True
