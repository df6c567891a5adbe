"""What a chaos run did, counted for `last.json`."""

from __future__ import annotations

import subprocess
from collections import Counter
from typing import Any

from nautilus_site.common.crash_points import crash_points_hit
from tests.chaos.faults import Misfortune
from tests.chaos.stream import OrderStream
from tests.chaos.witness import Books, Venue
from tests.e2e.platform import ROOT


def build() -> str:
    """The commit that was struck."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def struck(misfortune: Misfortune) -> dict[str, Any]:
    """Kills, stops and fault windows."""
    counts, hit = misfortune.counts, crash_points_hit(misfortune.points_directory)
    return {
        "kills_done": sum(counts.kills.values()) + sum(hit.values()),
        "kills_by_kind": dict(sorted(counts.kills.items())),
        "kills_by_point": dict(sorted(hit.items())),
        "stops": dict(sorted(counts.stops.items())),
        "flushes": counts.flushes,
        "fault_windows": sum(counts.windows.values()),
        "fault_windows_by_kind": dict(sorted(counts.windows.items())),
    }


def asked(stream: OrderStream) -> dict[str, Any]:
    """Orders asked for, by answer."""
    return {
        "asked": sum(stream.told.answers.values()),
        "answers": dict(stream.told.answers.most_common()),
        "repeated_requests": stream.told.retries,
    }


def booked(books: Books, venue: Venue) -> dict[str, Any]:
    """Orders and fills as both sides keep them."""
    ours = {account["name"] for account in books.accounts}
    return {
        "orders": len(books.orders),
        "orders_at_venue": sum(1 for order in venue.orders if order["account_id"] in ours),
        "orders_by_market": dict(sorted(Counter(order["market"] for order in books.orders).items())),
        "orders_by_status": dict(sorted(Counter(order["status"] for order in books.orders).items())),
        "fills": len(books.fills),
    }
