# ruff: noqa: T201  (a script that talks to a person)
"""Check that a running platform publishes the metrics its dashboards and alerts are built on."""

from __future__ import annotations

import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nautilus_site.env import Environment, load_dotenv

FROM_EXPORTER = (
    "equity_usd",
    "cash_usd",
    "exposure_usd",
    "market_value_usd",
    "pnl_unrealized_total",
    "trading_enabled",
    "mark_price_usd",
    "mark_price_freshness_seconds",
    "position_size",
    "metrics_heartbeat",
    "exporter_heartbeat_epoch",
)
FROM_WEB = ("http_request_latency_seconds",)


def published(url: str) -> set[str]:
    """The names of the metric families a /metrics page declares."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 (http on our own address)
        text = answer.read().decode("utf-8")
    return set(re.findall(r"^# TYPE (\S+) ", text, flags=re.MULTILINE))


def main() -> int:
    load_dotenv()
    environment = Environment.read()
    host = "127.0.0.1" if environment.bind in ("0.0.0.0", "::") else environment.bind  # noqa: S104
    failures = 0
    for name, port, needed in (
        ("exporter", environment.exporter_port, FROM_EXPORTER),
        ("web", environment.port, FROM_WEB),
    ):
        url = f"http://{host}:{port}/metrics"
        try:
            found = published(url)
        except (urllib.error.URLError, OSError) as error:
            print(f"{name}: {url} does not answer ({error}); is the platform running?", file=sys.stderr)
            failures += 1
            continue
        missing = [metric for metric in needed if metric not in found]
        if missing:
            print(f"{name}: {url} lacks {', '.join(missing)}", file=sys.stderr)
            failures += 1
        else:
            print(f"{name}: {len(found)} metrics at {url}, all {len(needed)} needed ones among them")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
