"""Real Celery workers on the test's database, broker and folder, as the supervisor starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from celery import current_app
from django.conf import settings
from django.db import connection

START_S = 90.0


def process_environment() -> dict[str, str]:
    """What a process needs to find this test's database and folder."""
    values = connection.get_connection_params()
    url = f"postgresql://{values['user']}@/{values['dbname']}?host={values['host']}"
    found = {
        **os.environ,
        "DATABASE_URL": url + (f"&port={values['port']}" if values.get("port") else ""),
        "NAUTILUS_HOME": str(settings.NAUTILUS_HOME),
    }
    if values.get("password"):
        found["PGPASSWORD"] = str(values["password"])
    return found


@contextmanager
def running_workers(
    queue: str, names: Sequence[str], logs: Path, **environment: str
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Start a worker of each name on a queue, wait until each answers, and end them with the block."""
    logs.mkdir(parents=True, exist_ok=True)
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in names:
            command = [
                *(sys.executable, "-m", "celery", "-A", "nautilus_site.celery:app", "--quiet"),
                *("--skip-checks", "worker", "-Q", queue, "-n", f"{name}@%h", "-c", "1", "-l", "WARNING"),
                *("--without-gossip", "--without-mingle"),
            ]
            with (logs / f"{name}.log").open("wb") as log:
                started[name] = subprocess.Popen(
                    command,
                    cwd=settings.BASE_DIR,
                    env={**process_environment(), **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        deadline = time.monotonic() + START_S
        while len(current_app.control.ping(timeout=1.0) or []) < len(names):
            gone = [name for name, process in started.items() if process.poll() is not None]
            if gone or time.monotonic() > deadline:
                told = "\n".join(path.read_text()[-1500:] for path in logs.glob("*.log"))
                raise AssertionError(f"workers did not start: {gone or list(names)}\n{told}")
        yield started
    finally:
        for process in started.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in started.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(20)
