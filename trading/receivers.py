"""What happens by itself after migrations."""

from __future__ import annotations

from typing import Any

from trading.services.controls import limits_complete
from trading.services.schedules import schedules_install


def install_schedules(sender: Any, **_: Any) -> None:
    """Create the periodic tasks once their tables are there."""
    schedules_install()


def complete_limits(sender: Any, **_: Any) -> None:
    """Give limits that came with this version their rows, where there are any."""
    limits_complete(actor="migrations")
