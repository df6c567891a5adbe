"""Where each client library lives: an environment of its own, or this one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
REQUIREMENTS = Path(__file__).with_name("requirements")
ENVIRONMENTS = ROOT / ".venv-clients"
HERE = "python-binance"  # the platform runs on this one, so the tests' own interpreter has it


def interpreter(client: str) -> Path:
    """The Python that has `client`; skips the calling test, with the reason, where there is none."""
    if client == HERE:
        return Path(sys.executable)
    unavailable = ENVIRONMENTS / f"{client}.unavailable"
    if unavailable.is_file():
        pytest.skip(f"{client} cannot be installed here: {unavailable.read_text().strip()}")
    python = ENVIRONMENTS / client / "bin" / "python"
    if not (ENVIRONMENTS / client / "nautilus-requirements").is_file():
        pytest.skip(f"{client} is not installed: run python scripts/client_envs.py")
    return python
