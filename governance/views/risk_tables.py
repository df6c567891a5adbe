"""The risk page's table of blackouts."""

from __future__ import annotations

from governance.views.tables import Column, Table

BLACKOUTS = Table(
    "blackouts",
    "Blackouts",
    (
        Column("state", "State", "status"),
        Column("scope", "Scope"),
        Column("starts_at", "From", "time"),
        Column("ends_at", "Until", "time"),
        Column("reason", "Reason", wrap=True),
        Column("created_by", "By"),
        Column("ended_at", "Ended", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/blackouts",
    "No blackout is set.",
    "In a blackout a scope takes no new risk: maintenance, a listing, news. Set one here or with POST /blackouts.",
    tall=False,
)
