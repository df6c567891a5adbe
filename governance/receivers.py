"""What happens by itself after migrations."""

from __future__ import annotations

from typing import Any

from trading.services.schedules import schedules_install

# name, task, queue, seconds, seconds after which a late message is worthless
SCHEDULES = (
    ("capital tick", "governance.tasks.capital_tick", "governance", 10, 10),
    ("routing tick", "governance.tasks.routing_tick", "governance", 10, 10),
    ("notifications tick", "governance.tasks.notifications_tick", "governance", 2, 4),
    ("guardian tick", "governance.tasks.guardian_tick", "control", 5, 5),
    ("compliance tick", "governance.tasks.compliance_tick", "governance", 300, 120),
    ("rules tick", "governance.tasks.rules_tick", "governance", 5, 5),
    ("governance housekeeping", "governance.tasks.housekeeping", "governance", 3600, 600),
)


def install_schedules(sender: Any, **_: Any) -> None:
    """Create the periodic tasks once their tables are there."""
    schedules_install(SCHEDULES)
