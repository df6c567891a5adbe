"""What happens by itself after migrations."""

from __future__ import annotations

from typing import Any

from trading.services.schedules import schedules_install

# name, task, queue, seconds, seconds after which a late message is worthless
SCHEDULES = (
    ("training tick", "mlregistry.tasks.training_tick", "training", 2, 4),
    ("autopromote", "mlregistry.tasks.autopromote_tick", "governance", 60, 60),
    ("canary tick", "mlregistry.tasks.canary_tick", "governance", 10, 10),
    ("drift tick", "mlregistry.tasks.drift_tick", "training", 300, 120),
    ("prune models", "mlregistry.tasks.prune_tick", "training", 86_400, 3_600),
    ("refit tick", "mlregistry.tasks.refit_tick", "training", 300, 120),
    ("shadow tick", "mlregistry.tasks.shadow_tick", "governance", 5, 5),
    ("truth tick", "mlregistry.tasks.truth_tick", "training", 300, 120),
)


def install_schedules(sender: Any, **_: Any) -> None:
    """Create the periodic tasks once their tables are there."""
    schedules_install(SCHEDULES)
