"""Every process says that it is alive, and the screens show how long ago."""

from __future__ import annotations

import os
import socket
from typing import Any

from nautilus_site.common.clock import now
from trading.models import ProcessHeartbeat

_STARTED = now()


def heartbeat(*, kind: str, slot: str = "", detail: dict[str, Any] | None = None) -> None:
    """Write this process's row. `slot` tells several processes of one kind apart."""
    row = ProcessHeartbeat(
        name=f"{kind}{':' + slot if slot else ''}",
        kind=kind,
        pid=os.getpid(),
        host=socket.gethostname(),
        started_at=_STARTED,
        beat_at=now(),
        detail=detail or {},
    )
    # One statement: two processes that say it in the same moment do not trip over each other.
    ProcessHeartbeat.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["pid", "host", "started_at", "beat_at", "detail"],
    )
