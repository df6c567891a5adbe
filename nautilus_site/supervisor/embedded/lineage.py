"""Tie a child process to the life of its parent, so that a killed parent leaves nothing behind.

Linux only: elsewhere a child simply outlives a parent that was killed with -9. The death signal fires when
the *thread* that forked ends, so fork from the main thread.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWUSER = 0x10000000

# Loaded before any fork: the child between fork and exec must not import or allocate more than it has to.
_LIBC = ctypes.CDLL(None, use_errno=True)
_PRCTL = getattr(_LIBC, "prctl", None)
_UNSHARE = getattr(_LIBC, "unshare", None)


def set_death_signal(number: signal.Signals) -> None:
    """Have the kernel send this process `number` when its parent's thread ends."""
    if _PRCTL is not None:
        _PRCTL(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def become_subreaper() -> None:
    """Adopt orphaned descendants, so that they can be reaped even when PID 1 does not."""
    if _PRCTL is not None:
        _PRCTL(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def enter_user_namespace(uid: int = 65534) -> None:
    """Move this process into a user namespace in which it is `uid` and, outside, still itself.

    Raises
    ------
    OSError : the system forbids user namespaces.
    """
    own_uid, own_gid = os.geteuid(), os.getegid()
    if _UNSHARE is None or _UNSHARE(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER) was refused")
    process = Path("/proc/self")
    (process / "setgroups").write_text("deny")
    (process / "uid_map").write_text(f"{uid} {own_uid} 1")
    (process / "gid_map").write_text(f"{uid} {own_gid} 1")


def child_setup(death_signal: signal.Signals, *, user_namespace: bool = False) -> Callable[[], None]:
    """Make the function a new child runs between fork and exec.

    The death signal is set last, because a change of credentials clears it.
    """
    parent = os.getpid()

    def prepare() -> None:
        if user_namespace:
            enter_user_namespace()
        set_death_signal(death_signal)
        if os.getppid() != parent:  # the parent died before the signal was armed
            os._exit(1)

    return prepare


def holds_in_child(check: Callable[[], bool]) -> bool:
    """Try `check` in a forked child and say whether it returned True; this process is left as it was."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if check() else 1
        except OSError:
            code = 1
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == 0
