"""Public packages beside ours: where their interpreters are, and how one is asked for its figures."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEERS = os.environ.get("BENCH_PEERS", str(ROOT / "var/peers/bin/python"))
"""Of the environment of benchmarks/requirements-peers.txt."""
PEERS_NAUTILUS = os.environ.get("BENCH_PEERS_NAUTILUS", str(ROOT / "var/peers-nautilus/bin/python"))
"""Of the environment of benchmarks/requirements-peers-nautilus.txt."""


def installed(python: str, name: str) -> bool:
    if not Path(python).exists():
        return False
    probe = [python, "-c", f"from importlib.util import find_spec; print(find_spec({name!r}) is not None)"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)  # noqa: S603 (our own probe)
    return done.stdout.strip() == "True"


def peer(python: str, script: str, *arguments: object) -> dict[str, Any]:
    """Return the JSON object that a script beside this one prints last, run by another interpreter.

    Raises
    ------
    RuntimeError : it failed; the text is the end of what it said.
    """
    command = [python, str(ROOT / "benchmarks" / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own scripts)
    if done.returncode != 0:
        raise RuntimeError(f"{script} {arguments[-1]}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found
