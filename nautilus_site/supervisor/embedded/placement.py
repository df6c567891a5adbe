"""Where the server's programs and data lie, given the account that must reach them."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nautilus_site.supervisor.embedded.accounts import Account
from nautilus_site.supervisor.embedded.binaries import PostgresBinaries
from nautilus_site.supervisor.embedded.errors import EmbeddedServiceError
from nautilus_site.supervisor.embedded.sockets import home_digest


@dataclass(frozen=True, slots=True)
class Placement:
    """The account that runs the server, programs it can execute and the data directory it can enter."""

    account: Account
    binaries: PostgresBinaries
    data: Path


def place_server(home: Path, account: Account, binaries: PostgresBinaries) -> Placement:
    """Decide where the server's files are.

    The data directory is `home/postgres/data`. Only when the server runs as `nobody`, who cannot get into the
    home, is that name a link to a directory outside it (`/var/lib/nautilus-hmm/ID`, or below `/var/tmp` on a
    system that has no writable `/var/lib`); the programs are copied there too when `nobody` cannot read them
    where they are.

    Raises
    ------
    EmbeddedServiceError : there is no place `nobody` can reach.
    """
    folder = home.absolute() / "postgres"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = folder / "data"
    if not account.way.changes_user:
        return Placement(account, binaries, data.resolve())
    if not data.exists() or not account.reaches(data.resolve().parent, os.X_OK):
        data = _move_outside(home, account, data)
    if not account.reaches(binaries.postgres, os.X_OK):
        binaries = _copy_binaries(_outside(home, account), account, binaries)
    return Placement(account, binaries, data.resolve())


def _outside(home: Path, account: Account) -> Path:
    """A directory outside the home that the account can enter and only root can write."""
    for parent in (Path("/var/lib"), Path("/var/tmp"), Path(tempfile.gettempdir())):  # noqa: S108 (checked below)
        place = parent / "nautilus-hmm" / home_digest(home)
        try:
            place.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError:
            continue
        if place.stat().st_uid == os.geteuid() and account.reaches(place, os.X_OK):
            return place
    raise EmbeddedServiceError(
        "PostgreSQL has to run as the user nobody here, and there is no directory that user can reach: start "
        "as a normal user, or set DATABASE_URL to a server that runs elsewhere"
    )


def _move_outside(home: Path, account: Account, data: Path) -> Path:
    """Put the data directory (if there is one) where the account can enter, leaving a link in the home."""
    target = _outside(home, account) / "data"
    if data.is_dir() and not data.is_symlink():
        if target.exists():
            raise EmbeddedServiceError(f"both {data} and {target} hold a database; remove the outdated one")
        shutil.move(data, target)
    if data.is_symlink():
        data.unlink()
    data.symlink_to(target)
    return data


def _copy_binaries(place: Path, account: Account, binaries: PostgresBinaries) -> PostgresBinaries:
    common = Path(os.path.commonpath([carrier.parent for carrier in binaries.carriers]))
    stamp = int(binaries.postgres.stat().st_mtime)
    copied = place / f"programs-{stamp}"
    if not copied.is_dir():
        partial = place / "programs.partial"
        shutil.rmtree(partial, ignore_errors=True)
        for carrier in binaries.carriers:
            shutil.copytree(carrier, partial / carrier.relative_to(common), symlinks=True)
        _open_to_all(partial)
        partial.rename(copied)
    result = PostgresBinaries(copied / binaries.directory.relative_to(common), (copied,))
    if not account.reaches(result.postgres, os.X_OK):
        raise EmbeddedServiceError(
            f"the copy of PostgreSQL in {copied} cannot be executed by the user nobody"
        )
    return result


def _open_to_all(tree: Path) -> None:
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
