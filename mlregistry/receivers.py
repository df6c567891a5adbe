"""What happens by itself after migrations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trading.services.schedules import ByHand, no, schedules_install, yes

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
BY_HAND: Final[Mapping[str, ByHand]] = {
    "mlregistry.tasks.training_tick": no("it starts fits, which take the machine's processors"),
    "mlregistry.tasks.autopromote_tick": no("it lets models trade, within their envelopes"),
    "mlregistry.tasks.canary_tick": no("it takes another look at a sequential test, and promotes"),
    "mlregistry.tasks.drift_tick": no("it may change which model decides"),
    "mlregistry.tasks.prune_tick": yes("it forgets only the bytes of old versions that never traded"),
    "mlregistry.tasks.refit_tick": no("it asks for fits whose models may be promoted by themselves"),
    "mlregistry.tasks.shadow_tick": no("it decides about bars, by which models are judged"),
    "mlregistry.tasks.truth_tick": yes("it measures and reports; nothing is decided by it"),
}


def install_schedules(sender: Any, **_: Any) -> None:
    """Create the periodic tasks once their tables are there."""
    schedules_install(SCHEDULES)
