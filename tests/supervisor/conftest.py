"""Running the supervisor over stand-ins, and looking for what it leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("standin.py")
SLEEP = "import time\nprint('up', flush=True)\ntime.sleep(600)"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(condition: Callable[[], Any], timeout_s: float = 30.0, what: str = "the condition") -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come true within {timeout_s:.0f} s")


def processes_of(home: Path) -> dict[int, str]:
    """Every live process that was started for a home: id -> command line."""
    found = {}
    mark = b"NAUTILUS_HOME=" + os.fsencode(home) + b"\0"
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            ours = (
                mark in (entry / "environ").read_bytes() + b"\0" or home in (entry / "cwd").readlink().parents
            )
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if ours and command:
            found[int(entry.name)] = command
    return found


class Platform:
    """One supervisor in a process of its own."""

    def __init__(self, home: Path, output: Path) -> None:
        self.home = home
        self.output = output
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name
            not in (
                "DATABASE_URL",
                "DATABASE_OWNER_URL",
                "REDIS_URL",
                "NAUTILUS_HOME",
                "DJANGO_SETTINGS_MODULE",
            )
        } | {
            "NAUTILUS_HOME": str(home),
            "PORT": str(free_port()),
            "TESTNET_PORT": str(free_port()),
            "EXPORTER_PORT": str(free_port()),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, programs: Sequence[dict[str, Any]], wrapper: Sequence[str] = ()) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*wrapper, sys.executable, str(SCRIPT), json.dumps(list(programs))],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def wait_for_line(self, text: str, timeout_s: float = 40.0) -> str:
        def found() -> str | None:
            return next((line for line in self.lines if text in line), None)

        try:
            line: str = wait_for(found, timeout_s, f"a line with {text!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}; the output was:\n{self.text}") from None
        return line

    def wait_started(self) -> None:
        self.wait_for_line("processes started")

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 30.0) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def processes(self) -> dict[int, str]:
        return processes_of(self.home)

    def pid_of(self, kind: str) -> int | None:
        """The id of the child of that kind, if it runs."""
        return self.pid_of_command(f"nautilus-{kind} ")

    def pid_of_command(self, part: str) -> int | None:
        """The id of a process whose command line contains `part`, the sandbox around it excepted."""
        for pid, command in self.processes().items():
            if part in command and "without_user_namespaces" not in command:
                return pid
        return None

    def clean_up(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)


@pytest.fixture
def short_home() -> Iterator[Path]:
    """A home whose path is short enough for sockets of its own."""
    folder = Path(tempfile.mkdtemp(prefix="nsup-", dir="/tmp"))
    yield folder / "home"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def platform(short_home: Path, tmp_path: Path) -> Iterator[Platform]:
    one = Platform(short_home, tmp_path / "output")
    yield one
    one.clean_up()
    left = wait_for_none(one)
    assert not left, f"left running: {left}"


def wait_for_none(platform: Platform, timeout_s: float = 10.0) -> dict[int, str]:
    """Wait until nothing of a platform runs; what is left after that."""
    deadline = time.monotonic() + timeout_s
    while (left := platform.processes()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
