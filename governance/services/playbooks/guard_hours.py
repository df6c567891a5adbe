"""That playbooks were judged, hour by hour: kept so that a day's report knows of the hours in which nobody watched."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F
from django.db.models.functions import Greatest

from governance.models import GuardianHour


def guard_hour_note(moment: datetime) -> None:
    """Note that all of them were judged now. One row an hour, whoever judges."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    newest = GuardianHour.objects.order_by("-hour").first()
    pause_s = max(0.0, (moment - newest.last_at).total_seconds()) if newest is not None else 0.0
    GuardianHour.objects.bulk_create([GuardianHour(hour=hour, last_at=moment)], ignore_conflicts=True)
    GuardianHour.objects.filter(hour=hour).update(
        judged=F("judged") + 1, last_at=moment, longest_pause_s=Greatest("longest_pause_s", pause_s)
    )
