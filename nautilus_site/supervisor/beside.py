"""Commands beside a running platform: the supervisor notes how its services are reached, commands read the note.

Without it `manage.py kill` in a second terminal would look for a database that is only a socket in the home.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from nautilus_site.env import ROOT

NOTE = Path("run") / "services.json"
NOTED = ("DATABASE_URL", "REDIS_URL", "BINANCE_ENV", "PORT", "TESTNET_PORT", "TESTNET_URL", "EXPORTER_PORT")


def note_running_services(home: Path, environment: Mapping[str, str]) -> None:
    """Write down how this home's services are reached; only the owner may read it, for it holds a password."""
    path = home / NOTE
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({name: environment[name] for name in NOTED if environment.get(name)}, file)
    temporary.replace(path)


def forget_running_services(home: Path) -> None:
    """Remove the note; called when everything has stopped."""
    (home / NOTE).unlink(missing_ok=True)


def use_running_services(environ: MutableMapping[str, str]) -> None:
    """Fill in what the environment leaves out from the note of the home's running platform, if there is one."""
    home = Path(environ.get("NAUTILUS_HOME") or ROOT / "var").expanduser()
    try:
        noted = json.loads((home / NOTE).read_text())
    except (OSError, ValueError):
        return
    for name in NOTED:
        if name in noted:
            environ.setdefault(name, str(noted[name]))
