"""Blackout windows as they are shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet

from nautilus_site.common.clock import now
from trading.models import Blackout
from trading.selectors.notation import utc_text

SHOWN_AFTER_END = timedelta(hours=24)


def blackout_queryset() -> QuerySet[Blackout]:
    """Blackouts, the latest to begin first."""
    return Blackout.objects.order_by("-starts_at", "-id")


def in_force_or_to_come() -> Q:
    """Those that are not over."""
    return Q(ended_at=None, ends_at__gt=now())


def blackout_state(window: Blackout) -> str:
    """`ended` by two people, `over` by itself, `in_force`, or still `to_come`."""
    moment = now()
    if window.ended_at is not None:
        return "ended"
    if window.ends_at <= moment:
        return "over"
    return "in_force" if window.starts_at <= moment else "to_come"


def blackout_members(window: Blackout) -> dict[str, Any]:
    """The public members of a blackout."""
    return {
        "id": window.pk,
        "scope": window.scope,
        "state": blackout_state(window),
        "starts_at": utc_text(window.starts_at),
        "ends_at": utc_text(window.ends_at),
        "reason": window.reason,
        "created_by": window.created_by,
        "created_at": utc_text(window.created_at),
        "ended_at": utc_text(window.ended_at),
        "ended_by": window.ended_by,
    }


def blackout_list() -> list[dict[str, Any]]:
    """What is in force, to come, or was until a day ago; at most 100."""
    recent = blackout_queryset().filter(ends_at__gt=now() - SHOWN_AFTER_END)
    return [blackout_members(window) for window in recent[:100]]
