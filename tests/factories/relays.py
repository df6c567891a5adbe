"""The relay of a test: the real one, in a thread of its own."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from django.db import connection

from nautilus_site.common.daemons.relay import Relay


class RunningRelay:
    """Numbers, pushes and seals what is written to this process's database, until it is stopped."""

    def __init__(self, home: Path) -> None:
        self.relay = Relay(home, holder=f"test-{time.monotonic_ns()}")
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.relay.run()
        finally:
            connection.close()

    def stop(self) -> None:
        self.relay.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()
