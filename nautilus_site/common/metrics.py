"""What the shared edge measures."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

CONTROL_ACTIONS = Counter(
    "control_actions_total", "Control actions by people and machines, by outcome.", ["action", "result"]
)
EVENTS_RELAYED = Counter("events_relayed_total", "Events numbered and pushed by the relay.")
LIVE_PUSHES = Counter("live_pushes_total", "Messages to the live streams, by outcome.", ["result"])
RELAY_LAG = Gauge(
    "relay_lag_seconds",
    "Age of the oldest event when the relay numbered its batch.",
    multiprocess_mode="mostrecent",
)
LIVE_CONNECTIONS = Gauge(
    "live_connections", "Open live streams of this process.", multiprocess_mode="livesum"
)
