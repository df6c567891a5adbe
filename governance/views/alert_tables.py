"""Tables of the pages about telling people and about what the machine does by itself."""

from __future__ import annotations

from governance.views.tables import Column, Table

CHANNELS = Table(
    "channels",
    "Channels",
    (
        Column("lamp", "State", "lamp"),
        Column("name", "Channel"),
        Column("kind", "Kind"),
        Column("host", "Host"),
        Column("waiting", "Waiting", "count"),
        Column("lag_s", "Late by", "age"),
        Column("last_sent_at", "Last sent", "time"),
        Column("muted_until", "Muted until", "time"),
        Column("last_error", "Last error", wrap=True),
        Column("action", "", "action"),
    ),
    "/api/v1/notifications/channels",
    "Nobody is told of anything.",
    "Propose a channel below; a second person approves it, then “Test” sends a message.",
    tall=False,
)
ROUTES = Table(
    "routes",
    "Routes",
    (
        Column("channel", "Channel"),
        Column("kind", "Kind", "mono"),
        Column("severity", "From"),
        Column("digest_s", "Collected for s", "count"),
        Column("dedupe_s", "Same news once in s", "count"),
        Column("is_enabled", "On", "flag"),
        Column("changed_by", "By"),
        Column("changed_at", "Since", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/notifications/routes",
    "No route.",
    "A new channel starts with a route for every warning; the most narrow route that covers a kind decides.",
    tall=False,
)
DELIVERIES = Table(
    "deliveries",
    "Delivery log",
    (
        Column("event_at", "Happened", "time"),
        Column("channel", "Channel"),
        Column("severity", "Severity"),
        Column("kind", "Kind", "mono"),
        Column("title", "Notice", wrap=True),
        Column("state", "State", "status"),
        Column("lag_s", "Lag", "age"),
        Column("attempts", "Attempts", "count"),
        Column("repeats", "Repeats", "count"),
        Column("error", "Error", wrap=True),
    ),
    "/api/v1/notifications/deliveries",
    "Nothing was told yet.",
    "Each notice stands here for every channel it goes to, with how long it took.",
    tall=False,
)
PLAYBOOKS = Table(
    "playbooks",
    "Playbooks",
    (
        Column("lamp", "State", "lamp"),
        Column("name", "Playbook"),
        Column("family", "Family"),
        Column("title", "Acts when", wrap=True),
        Column("at", "From"),
        Column("nearest", "Nearest now", wrap=True),
        Column("share", "Of the threshold", "bar"),
        Column("does", "Does", wrap=True),
        Column("cooling_s", "Cools for", "age"),
        Column("action", "", "action"),
    ),
    "/api/v1/playbooks",
    "No playbook is armed yet.",
    "They are armed as soon as limits are in force.",
    tall=False,
)
INCIDENTS = Table(
    "incidents",
    "Incidents",
    (
        Column("opened_at", "Opened", "time"),
        Column("state", "State", "status"),
        Column("severity", "Severity"),
        Column("kind", "Kind"),
        Column("scope", "Scope"),
        Column("title", "What", wrap=True),
        Column("is_rehearsal", "Rehearsal", "flag"),
        Column("needs_review", "Needs review", "flag"),
        Column("action", "", "action"),
    ),
    "/api/v1/incidents",
    "Nothing has happened.",
    "An incident opens when a playbook acts, or when trading calls people.",
    tall=False,
)
REHEARSALS = Table(
    "rehearsals",
    "Rehearsals",
    (
        Column("injected_at", "Fault in", "time"),
        Column("playbook", "Playbook"),
        Column("state", "State", "status"),
        Column("score", "Score", "count"),
        Column("marks", "Marks", wrap=True),
        Column("requested_by", "By"),
        Column("error", "Error", wrap=True),
    ),
    "/api/v1/playbooks/rehearsals",
    "Nothing was rehearsed yet.",
    "“Rehearse” puts a fault into the paper exchange and marks the response.",
)
REPORTS = Table(
    "reports",
    "Compliance reports",
    (
        Column("day", "Day"),
        Column("violations", "Violations", "count"),
        Column("sha256", "SHA-256", "mono"),
        Column("path", "File", "mono"),
    ),
    "/api/v1/compliance",
    "No day is over yet.",
    "Ten minutes after midnight UTC the day's report is generated.",
)
