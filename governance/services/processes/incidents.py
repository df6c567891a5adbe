"""What workers do about silent processes: tell of the relay, which cannot tell of itself, and note who is back."""

from __future__ import annotations

from django.db import transaction

from governance.domain.notices import notice_of
from governance.domain.processes import REQUIRED, Sign, is_steady, silence_words
from governance.models import Incident
from governance.services.notifications import notice_raise
from governance.services.playbooks.incidents import incident_calm, incident_open
from governance.services.processes.silence import (
    KIND,
    is_told,
    scope_of,
    signs,
    silence_told,
    silences_confirmed,
)
from nautilus_site.common.clock import now


def relay_watch() -> int:
    """While the relay is silent, tell people past it of everything that is. Returns of how many they were told.

    An event would wait for the relay to number it; a delivery waits for nobody.
    """
    silent = silences_confirmed()
    if all(sign.kind != "relay" for sign in silent):
        return 0
    untold = [sign for sign in silent if not is_told(sign)]
    for sign in untold:
        _tell(sign)
    return len(untold)


@transaction.atomic
def _tell(sign: Sign) -> None:
    title, meaning = silence_words(sign, now=now())
    severity = REQUIRED[sign.kind].severity
    row, _ = incident_open(
        kind=KIND,
        scope=scope_of(sign.kind),
        severity=severity,
        title=title,
        actor="notifier",
        evidence={"last_sign_at": sign.beat_at.isoformat()},
        announce=False,
    )
    notice = notice_of(
        "incidents",
        {
            "id": row.pk,
            "kind": KIND,
            "scope": row.scope,
            "severity": severity,
            "title": title,
            "reason": meaning,
            "state": "open",
        },
    )
    assert notice is not None
    notice_raise(notice)
    silence_told(sign)


def processes_calm() -> int:
    """Calm the incidents of processes that are back for good. Returns how many."""
    steady = {scope_of(sign.kind) for sign in signs() if is_steady(sign, now=now())}
    rows = Incident.objects.filter(kind=KIND, state=Incident.State.OPEN, scope__in=steady)
    for row in rows:
        incident_calm(
            row.pk, actor="guardian", detail=f"{row.scope.partition(':')[2]} gives signs of life again"
        )
    return len(rows)
