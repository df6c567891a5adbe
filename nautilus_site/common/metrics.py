"""What the shared edge measures."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

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

HTTP_LATENCY = Histogram(
    "http_request_latency_seconds",
    "From a request's arrival to its answer.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
