"""Whether the sealed way back in is open, as people see it."""

from __future__ import annotations

from typing import Any

from nautilus_site.common.models import BreakGlass


def break_glass_sessions() -> list[dict[str, Any]]:
    """What was opened and is not closed yet: whose, since when, until when and why."""
    rows = BreakGlass.objects.filter(ended_at=None, opened_at__isnull=False).select_related("first", "second")
    return [
        {
            "id": row.pk,
            "admin": row.first.username,
            "risk_officer": row.second.username,
            "reason": row.reason,
            "opened_at": row.opened_at,
            "ends_at": row.ends_at,
        }
        for row in rows
    ]
