"""What people write down about an incident: what happened, why, and what will change. Of every incident, any time."""

from __future__ import annotations

from django.db import transaction

from governance.models import AfterAction
from governance.services.playbooks.incidents import incident_locked, incident_note
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record

LONGEST = 4000


@transaction.atomic
def after_action_write(
    *, incident_id: int, author: User, what_happened: str, root_cause: str, what_will_change: str
) -> AfterAction:
    """Keep it with the incident, closed or not; what was written before stays beside it.

    It is no review: a hard stop is reviewed besides, by who may.

    Raises
    ------
    NotFound : UNKNOWN_INCIDENT.  ApplicationError : INCOMPLETE, something was left empty or is too long.
    """
    told = {
        "what_happened": what_happened.strip(),
        "root_cause": root_cause.strip(),
        "what_will_change": what_will_change.strip(),
    }
    for name, text in told.items():
        if not text or len(text) > LONGEST:
            raise ApplicationError("INCOMPLETE", f"{name}: expected a text of at most {LONGEST} characters")
    incident = incident_locked(incident_id)
    row = AfterAction.objects.create(incident=incident, at=now(), author=author.username, **told)
    incident_note(incident, actor=author.username, what="after-action written", detail=told)
    audit_record(action="incident.after_action", target=f"incident:{incident.pk}", actor=author, after=told)
    return row
