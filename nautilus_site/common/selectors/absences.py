"""Who is away now. An absence that is over is none, whether or not its row is still there."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db.models import QuerySet

from nautilus_site.common.clock import now
from nautilus_site.common.models import Absence, User


def absence_of(person: User) -> Absence | None:
    """The absence of a person while it lasts."""
    found: Absence | None = getattr(person, "absence", None)
    return found if found is not None and found.until > now() else None


def absence_list() -> QuerySet[Absence]:
    """Everybody who is active and away now, by name."""
    rows = Absence.objects.filter(until__gt=now(), user__is_active=True)
    return rows.select_related("user", "stand_in").order_by("user__username")


def minute_text(moment: datetime) -> str:
    """A time as sentences about absences say it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
