"""One supervised child whose end comes at the worst moment."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from nautilus_site.supervisor.child import Child, StopStep
from nautilus_site.supervisor.reaper import Reaper


class Quiet:
    """A log that keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def pipe(self, kind: str) -> int:
        return os.open(os.devnull, os.O_WRONLY)


def test_child_that_ends_unnoticed_just_before_it_is_stopped_is_not_waited_for() -> None:
    """Its exit was collected by the signal that was to stop it, and the stop of the platform never ended."""

    async def scene() -> list[str]:
        log, reaper = Quiet(), Reaper()
        reaper.install()
        child = Child(
            "short",
            lambda output: subprocess.Popen(
                [sys.executable, "-c", ""], stdout=output, start_new_session=True
            ),
            (StopStep(signal.SIGTERM, 0.2),),
            log=log,  # type: ignore[arg-type]
            reaper=reaper,
        )
        child.start()
        assert child.process is not None
        await asyncio.sleep(0)
        # The loop is busy while the child ends, so that nobody has heard of it when it is stopped.
        state = Path(f"/proc/{child.process.pid}/stat")
        while state.read_text().rpartition(")")[2].split()[0] != "Z":
            pass
        await asyncio.wait_for(child.stop(asyncio.Event(), asyncio.get_running_loop().time() + 5), 10)
        return log.said

    assert "short does not stop by itself: killed" not in asyncio.run(scene())
