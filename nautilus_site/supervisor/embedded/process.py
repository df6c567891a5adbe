"""One server process: started, waited for, stopped. Shared by Postgres and Valkey."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from nautilus_site.supervisor.embedded.errors import EmbeddedServiceError

POLL_S = 0.02


def server_environment() -> dict[str, str]:
    """The environment for a server: ours without libpq's PG* variables, in a neutral locale and in UTC."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Wait until `ready()`; False when the process ended or the time ran out first."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        if ready():
            return True
        time.sleep(POLL_S)
    return False


def stop_process(
    process: subprocess.Popen[bytes], steps: tuple[tuple[signal.Signals, float], ...], name: str
) -> int:
    """Send each signal in turn, giving the process that many seconds after each; returns its exit code.

    Raises
    ------
    EmbeddedServiceError : it outlived SIGKILL (it hangs in the kernel, on a dead disk for instance).
    """
    for number, patience_s in (*steps, (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            break
        process.send_signal(number)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
    code = process.poll()
    if code is None:
        raise EmbeddedServiceError(f"{name} (pid {process.pid}) does not end, not even by SIGKILL")
    return code


def last_lines(log: Path, count: int = 3) -> str:
    """The end of a log, for an error message; empty when there is none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return " | ".join(line.strip() for line in lines[-count:])
