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
    ProcessHeartbeat.objects.update_or_create(
        name=f"{kind}{':' + slot if slot else ''}",
        defaults={
            "kind": kind,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started_at": _STARTED,
            "beat_at": now(),
            "detail": detail or {},
        },
    )
