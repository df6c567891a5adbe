"""Starting the process that sends, and reading what it said. Nobody waits for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DEADLINE_S = 20
_children: list[subprocess.Popen[bytes]] = []
_KEPT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message."""

    number: int
    sent: bool
    at: datetime
    error: str


def child_start(task: Mapping[str, Any], *, answers: Path, root: Path) -> None:
    """Start a child on a task; it writes one line per message into the file `answers`.

    The task goes through a pipe: its secrets stand in no argument and no environment. Raises OSError.
    """
    _children[:] = [child for child in _children if child.poll() is None]
    answers.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    if task.get("proxy"):
        environment |= {"HTTPS_PROXY": str(task["proxy"]), "HTTP_PROXY": str(task["proxy"])}
    with answers.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-X", "nautilus-notifier", "-m", "governance.adapters.notify_child"],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.DEVNULL,
            cwd=root,
            env=environment,
        )
    _children.append(child)
    pipe = child.stdin
    assert pipe is not None
    try:
        pipe.write(json.dumps(task).encode())
        pipe.close()
    except BrokenPipeError:
        return  # it is gone already; its silence is the answer


def child_refused(answers: Path, *, messages: int, error: str) -> None:
    """Say of every message, in the place of a child, that it may not be sent. Raises OSError."""
    answers.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    told = {"ok": False, "at": datetime.now(UTC).isoformat(), "error": error}
    answers.write_text("".join(json.dumps({"n": n, **told}) + "\n" for n in range(messages)))


def child_outcomes(answers: Path) -> dict[int, Outcome]:
    """What the child has said so far, by the number of the message; a torn last line does not count yet."""
    try:
        lines = answers.read_bytes().split(b"\n")[:-1]
    except OSError:
        return {}
    outcomes: dict[int, Outcome] = {}
    for line in lines:
        try:
            told = json.loads(line)
            outcomes[int(told["n"])] = Outcome(
                int(told["n"]), bool(told["ok"]), datetime.fromisoformat(told["at"]), str(told["error"])
            )
        except (ValueError, KeyError, TypeError):
            continue  # torn by a crash: that message counts as not answered
    return outcomes
