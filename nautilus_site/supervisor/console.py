"""Writing to the terminal without ever waiting for it."""

from __future__ import annotations

import os
import threading
from collections import deque

LONGEST_QUEUE = 5000


class Console:
    """A bounded queue of lines, written by a thread.

    A terminal that is paused, or a pipe nobody reads, must not stop the supervisor: that would fill the
    children's pipes and stop trading. Lines that do not fit are dropped and counted; the log files have them.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._closing = False
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._write_lines, name="console", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        with self._change:
            if len(self._lines) >= LONGEST_QUEUE:
                self._dropped += 1
                return
            self._lines.append(line)
            self._change.notify()

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, as far as the terminal takes it in time."""
        with self._change:
            self._closing = True
            self._change.notify()
        self._thread.join(timeout_s)

    def _write_lines(self) -> None:
        while True:
            with self._change:
                while not self._lines and not self._closing:
                    self._change.wait()
                if not self._lines:
                    return
                block = "".join(f"{line}\n" for line in self._lines)
                self._lines.clear()
                if self._dropped:
                    block += f"... {self._dropped} lines not shown here; the log files have them\n"
                    self._dropped = 0
            if not self._write_all(block.encode("utf-8", errors="replace")):
                return

    def _write_all(self, data: bytes) -> bool:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            return False  # nobody reads any more (a closed pipe, a terminal that is gone); the files go on
        return True
