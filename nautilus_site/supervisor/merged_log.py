"""One log of all processes on the terminal, one file for each of them."""

from __future__ import annotations

import asyncio
import os
import re
import zlib
from pathlib import Path

from nautilus_site.supervisor.console import Console
from nautilus_site.supervisor.rotation import RotatingLog

OWN_KIND = "supervisor"
PREFIX_WIDTH = 14
LONGEST_LINE = 16 * 1024
_COLOURS = (32, 33, 34, 35, 36, 92, 93, 94, 95, 96)
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
# What a log line may do to a terminal: nothing but colours.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f\x80-\x9f]|\x1b(?!\[[0-9;]*m)")


class MergedLog:
    """Takes lines from all processes; must live in the event loop's thread."""

    def __init__(self, directory: Path, console: Console, *, coloured: bool) -> None:
        self._directory = directory
        self._console = console
        self._coloured = coloured
        self._files: dict[str, RotatingLog] = {}
        self._readers: set[int] = set()
        self._disk_failed = False

    def say(self, text: str) -> None:
        """Write a line of the supervisor's own."""
        self.write(OWN_KIND, text)

    def write(self, kind: str, line: str) -> None:
        line = _CONTROLS.sub(lambda match: repr(match.group())[1:-1], line)
        plain = _ESCAPES.sub("", line)
        self._console.write(self._decorated(kind, line if self._coloured else plain))
        try:
            self._file(kind).write(plain)
            self._disk_failed = False
        except OSError as error:
            if not self._disk_failed:  # once, not once per line
                self._disk_failed = True
                notice = f"log files cannot be written: {error.strerror}"
                self._console.write(self._decorated(OWN_KIND, notice))

    def pipe(self, kind: str) -> int:
        """Make a pipe whose lines appear as `kind`; returns the end to give to a child and then close."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        rest = bytearray()
        loop = asyncio.get_running_loop()

        def read() -> None:
            try:
                block = os.read(reading, 65536)
            except BlockingIOError:
                return
            rest.extend(block)
            *lines, last = bytes(rest).split(b"\n")
            rest[:] = last
            for line in lines:
                self.write(kind, line.decode("utf-8", errors="replace").rstrip("\r"))
            if len(rest) > LONGEST_LINE or (not block and rest):
                self.write(kind, bytes(rest).decode("utf-8", errors="replace"))
                rest.clear()
            if not block:
                loop.remove_reader(reading)
                self._readers.discard(reading)
                os.close(reading)

        loop.add_reader(reading, read)
        self._readers.add(reading)
        return writing

    async def drain(self, timeout_s: float = 1.0) -> None:
        """Wait until every pipe has been read to its end."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while self._readers and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._console.close()

    def _file(self, kind: str) -> RotatingLog:
        if kind not in self._files:
            self._files[kind] = RotatingLog(self._directory / f"{kind}.log")
        return self._files[kind]

    def _decorated(self, kind: str, line: str) -> str:
        prefix = f"{kind:<{PREFIX_WIDTH}} |"
        if not self._coloured:
            return f"{prefix} {line}"
        colour = 1 if kind == OWN_KIND else _COLOURS[zlib.crc32(kind.encode()) % len(_COLOURS)]
        return f"\x1b[{colour}m{prefix}\x1b[0m {line}\x1b[0m"
