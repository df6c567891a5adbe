"""A progress bar for a person: only on a terminal, only once the work has taken two seconds."""

from __future__ import annotations

import sys
import time
from typing import Final, TextIO

_QUIET_S: Final = 2.0
_REDRAW_S: Final = 0.1
_WIDTH: Final = 30


class ProgressBar:
    """Call it with (done, total); `finish` clears the line."""

    def __init__(self, label: str, stream: TextIO | None = None) -> None:
        self._label = label
        self._stream = stream or sys.stderr
        self._started = self._drawn = time.monotonic()
        self._shown = False

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if total <= 0 or now - self._started < _QUIET_S or not self._stream.isatty():
            return
        if now - self._drawn < _REDRAW_S and done < total:
            return
        share = min(1.0, done / total)
        filled = int(share * _WIDTH)
        left_s = (now - self._started) * (1 - share) / share if share else 0.0
        bar = "#" * filled + "." * (_WIDTH - filled)
        self._stream.write(f"\r{self._label} [{bar}] {share:4.0%} {left_s:5.0f} s left")
        self._stream.flush()
        self._drawn, self._shown = now, True

    def finish(self) -> None:
        if self._shown:
            self._stream.write("\r\033[K")
            self._stream.flush()
