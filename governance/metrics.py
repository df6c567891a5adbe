"""What governance measures."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

NOTIFICATIONS = Counter(
    "notifications_total", "Notices on their way to a channel, by what became of them.", ["channel", "result"]
)
NOTIFICATION_LAG = Histogram(
    "notification_lag_seconds",
    "From an event to the receiver having taken the message that tells of it.",
    ["channel"],
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200),
)
