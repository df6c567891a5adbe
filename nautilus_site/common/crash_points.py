"""Named places in the code where a test may kill, stop or delay this process.

Off, a place costs one look-up in an empty dict. `CRASH_POINTS=on` (accepted with `BINANCE_ENV=local` only) makes every
place look for a file of its name in `$NAUTILUS_HOME/run/crash_points`; whoever takes the file away acts, once. The file
is what says how, so a running platform is armed and disarmed from outside: `docs/CHAOS.md` has the catalogue.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

POINTS: Final = MappingProxyType(
    {
        "C1": "an order is judged and reserved, the transaction is not committed",
        "C2": "an order is reserved and committed, not authorised",
        "B": "an order is authorised, the transaction is not committed",
        "C3": "an order is authorised and committed, nothing is on the wire",
        "C5": "the venue has answered, nothing of it is booked",
        "C": "the answer is booked, the transaction is not committed",
        "C6": "the answer is booked and committed",
        "C14": "a sweep has found what is missing, the repair is not committed",
        "cancel": "a cancel is noted, nothing is on the wire",
        "canceled": "the venue has answered a cancel, nothing of it is booked",
        "absent": "an absence is proven, its release is not committed",
        "bracket": "a bracket has reserved its next orders, its cancels are not asked for",
        "stream": "an event of the user stream is journalled, not settled",
        "lease": "a lane's lease is taken, nothing is sent under it",
    }
)
"""Every place there is, and what is true when it is reached."""

# What is armed: empty unless a test asked for it, whatever the process.
_armed: dict[str, Path] = {}


class CrashPointRaised(RuntimeError):
    """What an armed `raise` throws: an error nobody has a handler for."""


def crash_point(name: str) -> None:
    """Do what a test has left for this place; nothing, and at once, when there is none."""
    path = _armed.get(name)
    if path is not None:
        _reached(name, path)


def crash_points_enable(directory: Path) -> None:
    """Make every place of this process look for its file in a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    _armed.update({name: directory / name for name in POINTS})


def crash_points_disable() -> None:
    """Make every place cost nothing again."""
    _armed.clear()


def crash_point_arm(directory: Path, name: str, action: str, *, seconds: float = 0.0) -> None:
    """Leave one action for one place. The first process that gets there takes it.

    Parameters
    ----------
    action : `kill` (SIGKILL to itself), `stop` (SIGSTOP for `seconds`), `sleep` (for `seconds`) or `raise`.

    Raises
    ------
    ValueError : there is no such place or action.
    """
    if name not in POINTS or action not in _ACTIONS:
        raise ValueError(f"expected a crash point and an action, were {name!r} and {action!r}")
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f".{name}.new"
    temporary.write_text(json.dumps({"action": action, "seconds": seconds}))
    temporary.replace(directory / name)


def crash_points_hit(directory: Path) -> dict[str, int]:
    """How often each place has acted."""
    counts: dict[str, int] = {}
    for path in directory.glob("*.hit.*"):
        name = path.name.partition(".")[0]
        counts[name] = counts.get(name, 0) + 1
    return counts


def _reached(name: str, path: Path) -> None:
    taken = path.with_name(f"{name}.hit.{os.getpid()}.{time.monotonic_ns()}")
    try:
        path.rename(taken)  # one rename succeeds, however many processes are here
    except OSError:
        return
    order: Mapping[str, Any] = json.loads(taken.read_text())
    _ACTIONS[order["action"]](float(order["seconds"]))


def _kill(_: float) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop(seconds: float) -> None:
    # Somebody else has to wake a stopped process: a child that does nothing but wait.
    subprocess.Popen(  # noqa: S603 (fixed text, numbers only)
        ["/bin/sh", "-c", f"sleep {seconds:.3f}; kill -CONT {os.getpid():d}"],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.kill(os.getpid(), signal.SIGSTOP)


def _raise(_: float) -> None:
    raise CrashPointRaised("a test asked for it")


_ACTIONS: Final[dict[str, Callable[[float], None]]] = {
    "kill": _kill,
    "stop": _stop,
    "sleep": time.sleep,
    "raise": _raise,
}
