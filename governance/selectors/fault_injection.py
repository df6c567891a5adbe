"""The last fault-injection run (`make chaos`) of this home, as it left it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings

FILE = Path("chaos") / "last.json"


def last_fault_injection() -> list[dict[str, str]]:
    """Name and value of each figure, in the order they are shown; empty where no run was made or it is unreadable."""
    try:
        run = json.loads((Path(settings.NAUTILUS_HOME) / FILE).read_text(encoding="utf-8"))
        return [{"name": name, "value": value} for name, value in _facts(run)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _facts(run: dict[str, Any]) -> list[tuple[str, str]]:
    checks = ", ".join(
        f"{check} {len(found)}" for check, found in sorted(run["differences_by_check"].items())
    )
    return [
        ("Differences", f"{run['differences']}" + (f" ({checks})" if checks else "")),
        ("Finished", str(run["at"])),
        ("Build", str(run["build"])),
        ("Seed", str(run["seed"])),
        ("Kills", f"{run['kills_done']} of {run['kills']} asked for"),
        ("Processes stopped", str(sum(run["stops"].values()))),
        ("Fault windows", str(run["fault_windows"])),
        ("Orders", f"{run['orders']}, {run['orders_at_venue']} of them at the exchange"),
        ("Fills", str(run["fills"])),
        ("Outcomes that were unknown", str(run["unknown_outcomes"])),
        ("Quiet after the last fault", f"{run['settled_s']} s"),
        ("Duration", f"{run['duration_s']} s"),
    ]
