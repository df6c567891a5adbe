"""Commands beside a running platform: the supervisor notes how its services are reached, commands read the note.

Without it `manage.py kill` in a second terminal would look for a database that is only a socket in the home. How its
owner is reached stands in a note of its own, and only commands that need him read it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from nautilus_site.env import ROOT

NOTE = Path("run") / "services.json"
OWNER = "DATABASE_OWNER_URL"
OWNER_NOTE = Path("run") / "owner.json"
OWNING = ("migrate", "prepare")
NOTED = ("DATABASE_URL", "REDIS_URL", "BINANCE_ENV", "PORT", "TESTNET_PORT", "TESTNET_URL", "EXPORTER_PORT")


def note_running_services(home: Path, environment: Mapping[str, str], owner_url: str = "") -> None:
    """Write down how this home's services are reached; only the owner may read it, for it holds a password."""
    _write(home / NOTE, {name: environment[name] for name in NOTED if environment.get(name)})
    if owner_url:
        _write(home / OWNER_NOTE, {OWNER: owner_url})


def forget_running_services(home: Path) -> None:
    """Remove the notes; called when everything has stopped."""
    for note in (NOTE, OWNER_NOTE):
        (home / note).unlink(missing_ok=True)


def use_running_services(environ: MutableMapping[str, str]) -> None:
    """Fill in what the environment leaves out from the note of the home's running platform, if there is one."""
    noted = _read(environ, NOTE)
    for name in NOTED:
        if name in noted:
            environ.setdefault(name, str(noted[name]))


def choose_database_role(environ: MutableMapping[str, str], command: str) -> None:
    """Let a command that changes tables know their owner, and no other command."""
    if command not in OWNING:
        environ[OWNER] = ""
    elif not environ.get(OWNER) and environ.get("DATABASE_URL") == _read(environ, NOTE).get("DATABASE_URL"):
        environ[OWNER] = str(_read(environ, OWNER_NOTE).get(OWNER, ""))


def _write(path: Path, values: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(values, file)
    temporary.replace(path)


def _read(environ: Mapping[str, str], note: Path) -> dict[str, Any]:
    home = Path(environ.get("NAUTILUS_HOME") or ROOT / "var").expanduser()
    try:
        noted = json.loads((home / note).read_text())
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}
