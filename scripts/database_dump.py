# ruff: noqa: T201  (a command that talks to a person)
"""Back up the platform's database, or restore a backup beside the present one.

    database_dump.py backup          -> NAUTILUS_HOME/backups/nautilus-TIME.dump
    database_dump.py restore FILE

A backup can be made while the platform runs. A restore needs it stopped: it fills a new database and, when
that has worked, swaps it with the present one, which stays under the name `nautilus_before_TIME`. Without
DATABASE_URL the embedded PostgreSQL of NAUTILUS_HOME is meant, and is started when it does not run.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg
from psycopg import conninfo, sql

from nautilus_site.common.privileges import grant, trail_protect
from nautilus_site.env import Environment, load_dotenv
from nautilus_site.supervisor.embedded.binaries import find_postgres
from nautilus_site.supervisor.embedded.errors import EmbeddedServiceError
from nautilus_site.supervisor.embedded.postgres import EmbeddedPostgres
from nautilus_site.supervisor.embedded.roles import APPLICATION
from nautilus_site.supervisor.failures import StartupFailure
from nautilus_site.supervisor.home import HomeLock


class DumpFailure(Exception):
    """The backup or the restore did not happen; the message says why."""


@contextlib.contextmanager
def database(environment: Environment, *, exclusive: bool) -> Iterator[str]:
    """The URL of the database's owner, started for the time being when it is embedded and not running."""
    if environment.database_owner_url:
        yield environment.database_owner_url
        return
    if not (environment.home / "postgres" / "data").exists():
        raise DumpFailure(f"there is no database in {environment.home}: set NAUTILUS_HOME or DATABASE_URL")
    lock = HomeLock(environment.home)
    postgres = EmbeddedPostgres(environment.home, binaries=os.environ.get("POSTGRES_BIN_DIR"))
    try:
        lock.acquire()
    except StartupFailure as running:
        if exclusive:
            raise DumpFailure(f"{running}: stop it first") from running
        yield postgres.owner_url
        return
    try:
        postgres.start()
        yield postgres.owner_url
    finally:
        postgres.stop()
        lock.release()


def application_role(environment: Environment) -> str:
    """The role that the platform works as."""
    if not environment.database_url:
        return APPLICATION
    named = conninfo.conninfo_to_dict(environment.database_url).get("user")
    if named:
        return str(named)
    with psycopg.connect(environment.database_url) as connection:
        return connection.info.user


def run_program(name: str, url: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs against a database; the password goes by environment."""
    parts = conninfo.conninfo_to_dict(url)
    password = str(parts.pop("password", "") or "")
    program = find_postgres(os.environ.get("POSTGRES_BIN_DIR")).directory / name
    if not program.is_file():
        raise DumpFailure(
            f"{program} does not exist: set POSTGRES_BIN_DIR to an installation that has {name}"
        )
    command = [str(program), "--dbname", conninfo.make_conninfo("", **parts), "--no-password", *arguments]
    result = subprocess.run(command, check=False, env=os.environ | {"PGPASSWORD": password})  # noqa: S603
    if result.returncode != 0:
        raise DumpFailure(f"{name} failed with code {result.returncode} (the reason is above)")


def backup(environment: Environment, now: datetime) -> Path:
    """Dump the database; a dump that was interrupted never has the final name."""
    folder = environment.home / "backups"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / f"nautilus-{now:%Y%m%dT%H%M%SZ}.dump"
    partial = target.with_suffix(".partial")
    partial.touch(mode=0o600)
    try:
        with database(environment, exclusive=False) as url:
            run_program("pg_dump", url, "--format=custom", f"--file={partial}")
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def restore(environment: Environment, file: Path, now: datetime) -> str:
    """Restore a dump and return the name under which the database it replaces is kept."""
    if not file.is_file():
        raise DumpFailure(f"{file} does not exist: give the dump as FILE=...")
    with database(environment, exclusive=True) as url:
        parts = conninfo.conninfo_to_dict(url)
        present = str(parts["dbname"])
        application = application_role(environment)
        fresh, kept = f"{present}_restoring", f"{present}_before_{now:%Y%m%dT%H%M%SZ}".lower()
        names = {name: sql.Identifier(name) for name in (present, fresh, kept)}
        with psycopg.connect(conninfo.make_conninfo(url, dbname="postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(names[fresh]))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(names[fresh]))
            run_program(
                "pg_restore",
                conninfo.make_conninfo(url, dbname=fresh),
                # Whose the tables are and who may do what is for this installation to say, not for the one dumped.
                *("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", str(file)),
            )
            with psycopg.connect(url, dbname=fresh) as restored, restored.cursor() as cursor:
                if application == restored.info.user:
                    trail_protect(cursor)
                else:
                    grant(cursor, application)
            swap = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            try:
                connection.execute(swap.format(names[present], names[kept]))
            except psycopg.errors.ObjectInUse as error:
                raise DumpFailure(f"the database {present} is in use: stop the platform first") from error
            connection.execute(swap.format(names[fresh], names[present]))
    return kept


def main(arguments: list[str]) -> int:
    load_dotenv()
    environment, now = Environment.read(), datetime.now(UTC)
    try:
        if arguments[:1] == ["backup"] and len(arguments) == 1:
            print(f"nautilus: backed up to {backup(environment, now)}")
        elif arguments[:1] == ["restore"] and len(arguments) == 2 and arguments[1]:
            kept = restore(environment, Path(arguments[1]).expanduser(), now)
            print(f"nautilus: restored; the database that was there is kept as {kept}")
        else:
            print("usage: make backup | make restore FILE=path/to.dump", file=sys.stderr)
            return 2
    except (DumpFailure, EmbeddedServiceError, LookupError, psycopg.OperationalError) as error:
        print(f"nautilus: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
