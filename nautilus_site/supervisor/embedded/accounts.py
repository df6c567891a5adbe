"""Which account runs Postgres: it refuses to run as root, and creating users is not for us to do.

A normal user runs it directly. Root runs it inside a user namespace, where it is `nobody` and outside still
root, so no file changes hands. Where user namespaces are forbidden, root starts it as the real `nobody`, and
the server's files are put where `nobody` can reach them.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from nautilus_site.supervisor.embedded.errors import EmbeddedServiceError
from nautilus_site.supervisor.embedded.lineage import enter_user_namespace, holds_in_child


class Way(Enum):
    """How a server that refuses root is started."""

    DIRECT = "direct"
    USER_NAMESPACE = "user namespace"
    NOBODY = "nobody"

    @property
    def changes_user(self) -> bool:
        """Whether the files on disk belong to another user than the one who starts the server."""
        return self is Way.NOBODY


@dataclass(frozen=True, slots=True)
class Account:
    """The way chosen, and the ids that own the server's files on disk."""

    way: Way
    uid: int
    gid: int

    @property
    def user_namespace(self) -> bool:
        return self.way is Way.USER_NAMESPACE

    def popen_arguments(self) -> dict[str, Any]:
        """Keyword arguments for subprocess that start a program under this account."""
        if self.way is Way.NOBODY:
            return {"user": self.uid, "group": self.gid, "extra_groups": []}
        return {}

    def reaches(self, path: Path, mode: int) -> bool:
        """Whether this account may use `path` in the given `os.access` mode."""
        if self.way is not Way.NOBODY:
            return os.access(path, mode)
        return holds_in_child(lambda: self._become() and os.access(path, mode))

    def own(self, tree: Path) -> None:
        """Give a directory and all in it to this account; nothing happens when it already is.

        Raises
        ------
        EmbeddedServiceError : it belongs to somebody else and this process may not change that.
        """
        if tree.stat().st_uid == self.uid:
            return
        try:
            for folder, _, files in os.walk(tree):
                for name in files:
                    os.chown(Path(folder) / name, self.uid, self.gid, follow_symlinks=False)
                if Path(folder) != tree:
                    os.chown(folder, self.uid, self.gid)
            os.chown(tree, self.uid, self.gid)  # last: an interrupted walk is done again on the next start
        except PermissionError as error:
            raise EmbeddedServiceError(
                f"{tree} belongs to another user (uid {tree.stat().st_uid}); start as that user, or choose "
                "another NAUTILUS_HOME"
            ) from error

    def _become(self) -> bool:
        os.setgroups([])
        os.setgid(self.gid)
        os.setuid(self.uid)
        return True


def choose_account() -> Account:
    """Choose how Postgres is run by this process.

    Raises
    ------
    EmbeddedServiceError : this is root, and the system allows neither of the two ways out.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        return Account(Way.DIRECT, uid, gid)
    if holds_in_child(_enters_user_namespace):
        return Account(Way.USER_NAMESPACE, uid, gid)
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        entry = None
    if entry is not None:
        nobody = Account(Way.NOBODY, entry.pw_uid, entry.pw_gid)
        if nobody.reaches(Path("/"), os.X_OK):
            return nobody
    raise EmbeddedServiceError(
        "PostgreSQL will not run as root, and this system allows neither user namespaces nor switching to "
        "the user nobody: start as a normal user, or set DATABASE_URL to a server that runs elsewhere"
    )


def _enters_user_namespace() -> bool:
    enter_user_namespace()
    return os.geteuid() != 0
