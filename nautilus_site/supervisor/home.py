"""The home directory: made, checked and locked, so that one platform runs in it at a time."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from pathlib import Path

from nautilus_site.supervisor.failures import StartupFailure


class HomeLock:
    """Holds a home for this process. The kernel lets go of it when the process ends, however it ends."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Make the home and lock it.

        Raises
        ------
        StartupFailure : it cannot be written, or another supervisor runs in it.
        """
        path = self.home / "lock"
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            (self.home / "run").mkdir(mode=0o700, exist_ok=True)
            (self.home / "logs").mkdir(exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartupFailure(
                f"NAUTILUS_HOME {self.home} cannot be written ({error.strerror}): set NAUTILUS_HOME to a "
                "directory that can"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode("ascii", errors="replace").strip() or "unknown"
            os.close(descriptor)
            message = f"the platform is already running in {self.home} (process {holder})"
            raise StartupFailure(message) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next supervisor in."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def empty_directory(directory: Path) -> None:
    """Make a directory that is there and has nothing in it."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)


def write_token(path: Path) -> None:
    """Write a random token that only this user can read; one that exists is kept."""
    if path.is_file() and path.read_text().strip():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(secrets.token_urlsafe(32) + "\n")
