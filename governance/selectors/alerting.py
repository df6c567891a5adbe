"""The state of the notifications page."""

from __future__ import annotations

from typing import Any

from governance.domain.receivers import MEMBERS
from governance.selectors.notifications import (
    channel_members,
    channel_queryset,
    delivery_members,
    delivery_queryset,
    events_behind,
    route_members,
    route_queryset,
    severity_reach,
)
from governance.selectors.shell import shell_state

_DELIVERIES = 100


def notifications_state() -> dict[str, Any]:
    """Channels, routes, the newest deliveries, and how far behind the reading of events is."""
    state = shell_state()
    channels = [channel_members(row) for row in channel_queryset()]
    return {
        **state,
        "channels": [{**row, "lamp": _lamp(row)} for row in channels],
        "routes": [route_members(row) for row in route_queryset()],
        "deliveries": [delivery_members(row) for row in delivery_queryset()[:_DELIVERIES]],
        "summary": {
            "behind": events_behind(),
            "waiting": sum(row["waiting"] for row in channels),
            "lag_s": max((row["lag_s"] for row in channels), default=0.0),
            "reach": severity_reach(),
        },
    }


def channel_kinds() -> list[dict[str, Any]]:
    """What the form of a new channel asks for, by kind."""
    return [
        {"kind": kind.value, "required": sorted(required), "optional": sorted(optional)}
        for kind, (required, optional) in MEMBERS.items()
    ]


def _lamp(row: dict[str, Any]) -> dict[str, str]:
    if not row["is_enabled"]:
        return {"tone": "warn", "text": "disabled"}
    if row["failures"]:
        return {"tone": "bad", "text": f"failed {row['failures']} times"}
    if row["muted_until"]:
        return {"tone": "warn", "text": "muted"}
    return {"tone": "good", "text": "works" if row["last_sent_at"] else "not used yet"}
