"""Where signals come from: lines of a pipe, a file that grows, an address that is asked again and again."""

from __future__ import annotations

import json
import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import requests
import structlog

log = structlog.get_logger(__name__)
LOOK_EVERY_S: Final = 0.2
TIMEOUT_S: Final = (2.0, 10.0)
LONGEST_LINE: Final = 64 * 1024


class Broken(Exception):
    """A line that is no JSON; the message says which."""


def read_lines(descriptor: int, stopping: threading.Event) -> Iterator[Any]:
    """One JSON value per line of a pipe until its end, or until told to stop; an unreadable line comes as Broken.

    A pipe that says nothing is never waited for longer than the time between two looks at `stopping`.
    """
    rest = b""
    while not stopping.is_set():
        ready, _, _ = select.select([descriptor], [], [], LOOK_EVERY_S)
        if not ready:
            continue
        chunk = os.read(descriptor, LONGEST_LINE)
        *whole, rest = (rest + chunk).split(b"\n")
        if not chunk:
            whole, rest = [rest], b""
        for line in whole:
            if line.strip():
                yield _decoded(line.decode("utf-8", errors="replace"))
        if not chunk:
            return


def follow_file(path: Path, stopping: threading.Event, *, from_start: bool = False) -> Iterator[Any]:
    """Whole lines as they are appended; a file that was replaced or cut is read again from its beginning."""
    position: int | None = None
    identity: tuple[int, int] | None = None
    rest = ""
    while not stopping.is_set():
        try:
            stat = path.stat()
        except FileNotFoundError:
            position, identity, rest = 0, None, ""  # whatever appears there is new
            stopping.wait(LOOK_EVERY_S)
            continue
        now = (stat.st_dev, stat.st_ino)
        if position is None:
            position = 0 if from_start else stat.st_size
        elif now != identity or stat.st_size < position:
            position, rest = (0, "") if identity is not None else (position, rest)
        identity = now
        with path.open("rb") as file:
            file.seek(position)
            chunk = file.read()
        position += len(chunk)
        *whole, rest = (rest + chunk.decode("utf-8", errors="replace")).split("\n")
        for line in whole:
            if line.strip():
                yield _decoded(line)
        if not chunk:
            stopping.wait(LOOK_EVERY_S)


def poll_url(url: str, stopping: threading.Event, *, token: str, every_s: float) -> Iterator[Any]:
    """Signals of `{"results": [...]}`, oldest first, each new id once; an answer that fails is asked for again."""
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {token}"
    seen: set[str] = set()
    while not stopping.is_set():
        try:
            answer = session.get(url, timeout=TIMEOUT_S, allow_redirects=False)
            answer.raise_for_status()
            results = answer.json()["results"]
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            log.warning("signals_not_read", url=url, error=type(error).__name__)
            results = []
        now = {str(told.get("id")) for told in results if isinstance(told, dict)}
        for told in reversed(results):
            if not isinstance(told, dict) or str(told.get("id")) not in seen:
                yield told
        seen = now
        stopping.wait(every_s)


def _decoded(line: str) -> Any:
    if len(line) > LONGEST_LINE:
        return Broken(f"a line of {len(line)} characters")
    try:
        return json.loads(line)
    except ValueError as error:
        return Broken(f"not JSON: {error}")
