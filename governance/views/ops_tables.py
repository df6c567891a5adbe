"""Tables of processes and queues."""

from __future__ import annotations

from governance.views.tables import Column, Table

PROCESSES = Table(
    "processes",
    "Workers, streams, reconciliation",
    (
        Column("lamp", "", "lamp"),
        Column("kind", "Kind"),
        Column("name", "Name"),
        Column("age_s", "Silent for", "age"),
        Column("detail", "Detail", wrap=True),
    ),
    "/api/v1/status",
    "No process has reported yet.",
    "Each writes a heartbeat every few seconds once the platform is up.",
    compact=True,
)
QUEUES = Table(
    "queues",
    "Queues",
    (Column("queue", "Queue"), Column("depth", "Waiting", "count")),
    "/api/v1/status",
    "The broker did not answer.",
    "Messages are hints: work goes on from the database, a little later.",
)
