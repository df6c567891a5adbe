"""Where Unix sockets go. The kernel allows 107 bytes of path, URL parsers even fewer kinds of character."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import re
import stat
import tempfile
from pathlib import Path

from nautilus_site.supervisor.embedded.errors import EmbeddedServiceError

MAX_PATH_BYTES = 107
# The longest name a service puts into its directory: Postgres writes its lock file beside the socket.
_LONGEST_NAME = "/.s.PGSQL.5432.lock"
_PLAIN = re.compile(r"[A-Za-z0-9._/-]+")


def home_digest(home: Path) -> str:
    """A short name for a home, the same on every start."""
    return hashlib.sha256(os.fsencode(home.absolute())).hexdigest()[:12]


def socket_directory(home: Path, service: str, *, inside_home: bool = True) -> Path:
    """Make the private directory (0700) for a service's socket and return it.

    It is `run` inside the home when that path is short and plain, otherwise a directory under the temporary
    directory whose name derives from the home.

    Raises
    ------
    EmbeddedServiceError : the directory belongs to somebody else, or every temporary directory is too deep.
    """
    preferred = home.absolute() / "run"
    if inside_home and _fits(preferred):
        return _private(preferred)
    name = f"nautilus-{home_digest(home)}-{service}"
    for parent in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108 (private, checked)
        if _fits(parent / name) and os.access(parent, os.W_OK | os.X_OK):
            return _private(parent / name)
    raise EmbeddedServiceError(
        f"no directory for the {service} socket: {preferred} is too deep for a Unix socket and no temporary "
        "directory is writable; choose a shorter NAUTILUS_HOME"
    )


def release_directory(directory: Path, home: Path) -> None:
    """Remove a socket directory outside the home once nothing is left in it."""
    if home.absolute() not in directory.parents:
        with contextlib.suppress(OSError):  # not empty, or already gone: both are fine
            directory.rmdir()


def _fits(directory: Path) -> bool:
    text = str(directory)
    return len(os.fsencode(text + _LONGEST_NAME)) <= MAX_PATH_BYTES and _PLAIN.fullmatch(text) is not None


def _nobody() -> int | None:
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return None


def _private(directory: Path) -> Path:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise EmbeddedServiceError(f"{directory} should hold our sockets but is no directory; remove it")
    if found.st_uid != os.geteuid():
        # Root finds it owned by `nobody` after a start on which Postgres ran as that user.
        if os.geteuid() != 0 or found.st_uid != _nobody():
            raise EmbeddedServiceError(
                f"{directory} is meant to hold our sockets but belongs to another user; remove it"
            )
        os.chown(directory, os.geteuid(), os.getegid())
    directory.chmod(0o700)
    return directory
