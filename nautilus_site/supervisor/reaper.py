"""Learning of ended children, our own and adopted ones. This is what lets the supervisor be PID 1."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path


class Reaper:
    """Collects exit codes on SIGCHLD; belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[subprocess.Popen[bytes], asyncio.Future[int]]] = {}

    def install(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self.reap)

    def watch(self, process: subprocess.Popen[bytes]) -> asyncio.Future[int]:
        """A future that gives the exit code of `process` (negative: the signal that ended it)."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[process.pid] = (process, future)
        self.reap()  # it may have ended before it was known here
        return future

    def reap(self) -> None:
        """Collect everything that has ended."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            known = self._waiting.pop(ended.si_pid, None)
            # What a dead process leaves of its group goes with it; its id is not reused before it is reaped.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(ended.si_pid) == ended.si_pid:
                    os.killpg(ended.si_pid, signal.SIGKILL)
            if known is None:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(ended.si_pid, 0)
                continue
            process, future = known
            code = process.wait()
            if not future.done():
                future.set_result(code)


def children_of(parent: int) -> list[int]:
    """The ids of the direct children of a process, zombies excepted, as /proc tells them."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The command name, in parentheses, may contain anything; the state and the parent's id follow it.
            state, parent_id = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if int(parent_id) == parent and state != "Z":
            found.append(int(entry.name))
    return found
