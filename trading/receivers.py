"""What happens by itself after migrations."""

from __future__ import annotations

from typing import Any

from trading.services.schedules import schedules_install


def install_schedules(sender: Any, **_: Any) -> None:
    """Create the periodic tasks once their tables are there."""
    schedules_install()
