"""Run a command as a root that may not make user namespaces, as on a hardened kernel. Needs root itself.

The command runs in one user namespace, with every id mapped to itself, in which no further one can be made.
Exits 77 when this system does not allow the arrangement.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
CANNOT = 77


def main() -> int:
    entered, mapped = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        if ctypes.CDLL(None).unshare(CLONE_NEWUSER) != 0:
            os._exit(CANNOT)
        os.write(entered[1], b"x")
        os.read(mapped[0], 1)
        try:
            os.setgid(0)
            os.setuid(0)
            Path("/proc/sys/user/max_user_namespaces").write_text("0")
        except OSError:
            os._exit(CANNOT)
        os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 (the command of the test)
    os.read(entered[0], 1)
    try:
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{name}").write_text("0 0 65536")
    except OSError:
        os.kill(pid, 9)
        return CANNOT
    os.write(mapped[1], b"x")
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
