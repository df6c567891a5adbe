"""One lamp for each playbook: whether it sees what it watches, and what it sees. Silence is no good news."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from governance.domain.playbooks import PLAYBOOKS
from nautilus_site.common.clock import now

LATEST_S = 30.0
"""Playbooks are judged every five seconds; six of these missed are more than a busy moment."""


def playbook_lamp(row: dict[str, Any], scopes: list[str]) -> dict[str, str]:
    """Tone and words for a playbook and the scopes that are looked at now; what was seen of others is history."""
    if not row["is_armed"]:
        return {"tone": "warn", "text": "not armed"}
    if never := never_acts(row["name"], row["min_samples"], row["window_s"]):
        return {"tone": "bad", "text": never}
    told = {watch["scope"]: watch for watch in row["watches"]}
    watches = [told[scope] for scope in scopes if scope in told]
    blind = [watch for watch in watches if watch["unmeasured"]]
    if blind:
        return {"tone": "bad", "text": f"cannot measure {_first(blind)}"}
    moment = now()
    ages = {
        watch["scope"]: (moment - datetime.fromisoformat(watch["read_at"])).total_seconds()
        for watch in watches
    }
    # It may have been armed, or a scope have come, a moment ago.
    since = (moment - datetime.fromisoformat(row["changed_at"])).total_seconds()
    late = [watch for watch in watches if ages[watch["scope"]] > _latest_s(row["name"]) and since > LATEST_S]
    if late:
        age = timedelta(seconds=round(max(ages[watch["scope"]] for watch in late)))
        return {"tone": "bad", "text": f"not read for {age}: {_first(late)}"}
    hot = [watch for watch in watches if watch["sightings"]]
    if hot:
        return {"tone": "bad", "text": f"reached on {_first(hot)}"}
    few = [
        watch
        for watch in watches
        if watch["value"] is not None
        and watch["value"] >= row["threshold"]
        and 0 < watch["samples"] < row["min_samples"]
    ]
    if few:
        return {
            "tone": "warn",
            "text": f"reached by {few[0]['samples']} of {row['min_samples']} samples: {_first(few)}",
        }
    unread = [scope for scope in scopes if scope not in told]
    if unread:
        return {"tone": "warn", "text": f"not read yet: {unread[0]}"}
    if row["cooling_s"]:
        return {"tone": "warn", "text": "cooling down"}
    return {"tone": "good", "text": "armed"}


def never_acts(name: str, min_samples: int, window_s: float) -> str:
    """Why a playbook cannot act whatever it sees; empty where it can."""
    spec = PLAYBOOKS.get(name)
    most = spec.samples_within(window_s) if spec is not None else None
    if most is None or min_samples <= most:
        return ""
    return f"never acts: it waits for {min_samples} samples, a figure has {most} at most"


def _latest_s(name: str) -> float:
    spec = PLAYBOOKS.get(name)
    return LATEST_S + (2 * spec.period_s if spec is not None else 0.0)


def _first(watches: list[dict[str, Any]]) -> str:
    more = len(watches) - 1
    return f"{watches[0]['scope']}{f' and {more} more' if more else ''}"
