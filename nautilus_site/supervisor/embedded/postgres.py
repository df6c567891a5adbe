"""An embedded PostgreSQL on a Unix socket, with passwords, checksums and fsync."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import psycopg

from nautilus_site.supervisor.embedded.accounts import Account, choose_account
from nautilus_site.supervisor.embedded.binaries import PostgresBinaries, find_postgres
from nautilus_site.supervisor.embedded.errors import EmbeddedServiceError
from nautilus_site.supervisor.embedded.lineage import child_setup
from nautilus_site.supervisor.embedded.placement import Placement, place_server
from nautilus_site.supervisor.embedded.process import last_lines, server_environment, stop_process, wait_until
from nautilus_site.supervisor.embedded.roles import APPLICATION, OWNER, make_database, make_roles
from nautilus_site.supervisor.embedded.sockets import release_directory, socket_directory

DATABASE = "nautilus"
SUPERUSER = "postgres"
# How long orphans of a postmaster that was killed with -9 may keep its memory and lock file.
ORPHAN_PATIENCE_S = 30.0

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "cluster_name": "nautilus-postgres",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "huge_pages": "off",
    "io_method": "sync",
    "jit": "off",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}


class EmbeddedPostgres:
    """Owns one cluster with its files in `home/postgres`.

    `start` and `stop` are for callers that wait; a supervisor uses `prepare`, `spawn`, `is_ready` and
    `ensure_database`.

    Parameters
    ----------
    home : the platform's home directory.
    binaries : directory with postgres and initdb; None looks for one.
    durable : False trades the disk's certainty for speed; for tests only.
    """

    name = "postgres"
    # SIGINT is Postgres's fast shutdown, SIGQUIT its immediate one (recovers on the next start).
    stop_steps: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 3.0))

    def __init__(self, home: Path, *, binaries: str | Path | None = None, durable: bool = True) -> None:
        self.home = home.absolute()
        self.log = self.home / "logs" / "postgres.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._explicit = binaries
        self._durable = durable
        self._placement: Placement | None = None
        self._socket_directory: Path | None = None

    @property
    def url(self) -> str:
        """How the application connects."""
        return self._url(APPLICATION, self._secret("password"), DATABASE)

    @property
    def owner_url(self) -> str:
        """How the owner of the database and its tables connects: who migrates and restores."""
        return self._url(OWNER, self._secret("owner_password"), DATABASE)

    @property
    def placement(self) -> Placement:
        """Account, programs and data directory; decided once, at the first use."""
        if self._placement is None:
            account: Account = choose_account()
            binaries: PostgresBinaries = find_postgres(self._explicit)
            self._placement = place_server(self.home, account, binaries)
        return self._placement

    @property
    def sockets(self) -> Path:
        if self._socket_directory is None:
            account = self.placement.account
            directory = socket_directory(self.home, self.name, inside_home=not account.way.changes_user)
            if account.way.changes_user:
                os.chown(directory, account.uid, account.gid)
            self._socket_directory = directory
        return self._socket_directory

    def prepare(self) -> None:
        """Create the cluster if there is none.

        Raises
        ------
        EmbeddedServiceError : it cannot be created, is of another major version, or has lost its password.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        data = self.placement.data
        if not (data / "PG_VERSION").is_file():
            self._initialise(data)
        self._check_version(data)
        self.placement.account.own(data)
        password = self.home / "postgres" / "superuser_password"
        if not password.is_file():
            raise EmbeddedServiceError(
                f"{password} is missing, so the database in {data} cannot be opened: put the file back"
            )

    def spawn(self, output: IO[Any] | int) -> subprocess.Popen[bytes]:
        """Start the server, its output going to `output`; it is not ready yet."""
        self._disown_stale_lock()
        settings = SETTINGS | {"unix_socket_directories": str(self.sockets)}
        settings["fsync"] = "on" if self._durable else "off"
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = subprocess.Popen(  # noqa: S603 (our own binary, no shell)
            [str(self.placement.binaries.postgres), "-D", str(self.placement.data), *options],
            stdout=output,
            stderr=subprocess.STDOUT,
            **self._spawn_arguments(),
        )
        return self.process

    def is_ready(self) -> bool:
        """Whether our own child accepts connections."""
        if self.process is None or not (self.sockets / ".s.PGSQL.5432").exists():
            return False
        try:
            with psycopg.connect(self._superuser_url(), connect_timeout=5) as connection:
                row = connection.execute("SELECT 1").fetchone()
        except psycopg.OperationalError:
            return False
        return row == (1,) and self._lock_holder() == self.process.pid

    def ensure_database(self) -> None:
        """Create both roles and the database, or bring them up to date; take from the application what it owned."""
        with psycopg.connect(self._superuser_url(), autocommit=True, connect_timeout=10) as connection:
            databases = make_database(connection, DATABASE)
        owner, application = self._secret("owner_password"), self._secret("password")
        for name in databases:
            url = self._url(SUPERUSER, self._secret("superuser_password"), name)
            with psycopg.connect(url, connect_timeout=10) as connection:
                make_roles(connection, owner=owner, application=application)

    def start(self, timeout_s: float = 60.0) -> None:
        """Create the cluster on the first start, run the server and wait until the database can be used.

        Raises
        ------
        EmbeddedServiceError : it ended or did not answer in time; the message quotes its log.
        """
        self.prepare()
        deadline = time.monotonic() + timeout_s
        while True:
            with self.log.open("ab") as output:
                process = self.spawn(output)
            if wait_until(self.is_ready, process, deadline - time.monotonic()):
                break
            # After kill -9 of the postmaster its orphans may hold its memory for a moment: try again.
            ended = process.poll() is not None
            stop_process(process, self.stop_steps, self.name)
            if not ended or time.monotonic() > min(deadline, deadline - timeout_s + ORPHAN_PATIENCE_S):
                reason = f"{last_lines(self.log)} (log: {self.log})"
                raise EmbeddedServiceError(f"PostgreSQL did not start: {reason}")
            time.sleep(0.5)
        self.ensure_database()

    def stop(self) -> None:
        """Stop the server; nothing happens when it is not running."""
        if self.process is not None:
            stop_process(self.process, self.stop_steps, self.name)
            self.process = None
        self.release()

    def release(self) -> None:
        """Remove what a stopped server leaves outside the home."""
        if self._socket_directory is not None:
            release_directory(self._socket_directory, self.home)
            self._socket_directory = None

    def remove(self) -> None:
        """Remove a stopped cluster with all its data, wherever it lies."""
        outside = self.placement.data.parent
        for folder in {self.home / "postgres", outside}:
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # not empty while other homes have clusters there
            if outside != self.home / "postgres":
                outside.parent.rmdir()

    def _spawn_arguments(self) -> dict[str, Any]:
        account = self.placement.account
        return {
            "stdin": subprocess.DEVNULL,
            "env": server_environment(),
            "cwd": self.placement.data.parent,
            "start_new_session": True,
            "preexec_fn": child_setup(signal.SIGINT, user_namespace=account.user_namespace),
            **account.popen_arguments(),
        }

    def _initialise(self, data: Path) -> None:
        account = self.placement.account
        # Made under another name: what an interrupted initdb leaves is never taken for a cluster.
        partial = data.with_name("data.partial")
        shutil.rmtree(partial, ignore_errors=True)
        if data.is_dir():
            try:
                data.rmdir()
            except OSError as error:
                raise EmbeddedServiceError(f"{data} holds files but no database; move them away") from error
        partial.mkdir(mode=0o700)
        password = data.with_name("initdb.password")
        password.unlink(missing_ok=True)
        password.touch(mode=0o600)
        password.write_text(self._secret("superuser_password") + "\n")
        if account.way.changes_user:
            os.chown(partial, account.uid, account.gid)
            os.chown(password, account.uid, account.gid)
        command = [
            str(self.placement.binaries.initdb),
            *("-D", str(partial), "-U", SUPERUSER, f"--pwfile={password}", "--auth=scram-sha-256"),
            *("--locale=C", "--encoding=UTF8", "--data-checksums"),
            *(() if self._durable else ("--no-sync",)),
        ]
        with self.log.open("ab") as output:
            result = subprocess.run(  # noqa: S603 (our own binary, no shell)
                command, check=False, stdout=output, stderr=subprocess.STDOUT, **self._spawn_arguments()
            )
        password.unlink()
        if result.returncode != 0:
            shutil.rmtree(partial, ignore_errors=True)
            reason = f"{last_lines(self.log)} (log: {self.log})"
            raise EmbeddedServiceError(f"the database could not be created: {reason}")
        partial.rename(data)

    def _check_version(self, data: Path) -> None:
        found = (data / "PG_VERSION").read_text().strip()
        program = self.placement.binaries.postgres
        answer = subprocess.run(  # noqa: S603 (our own binary, no shell)
            [str(program), "--version"], check=True, capture_output=True, text=True, env=server_environment()
        ).stdout
        major = answer.split()[2].split(".")[0]
        if found != major:
            raise EmbeddedServiceError(
                f"the database in {data} is of PostgreSQL {found}, but {program} is {major}: dump it with "
                "the old version and restore it with the new one (make backup, make restore)"
            )

    def _lock_holder(self) -> int | None:
        try:
            return int((self.placement.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _disown_stale_lock(self) -> None:
        """Let a lock file whose process id now belongs to some other program not stop the start.

        After kill -9 in a container the old id is soon in use again. Naming ourselves, the parent, makes
        Postgres treat the file as stale and still check that no orphan holds the memory the file describes.
        """
        holder = self._lock_holder()
        if holder is None or holder == os.getpid():
            return
        try:
            command = Path(f"/proc/{holder}/cmdline").read_bytes()
        except OSError:
            return  # no such process (Postgres sees that by itself), or no /proc to look into
        if b"postgres" in command.split(b"\0", 1)[0]:
            return
        path = self.placement.data / "postmaster.pid"
        rest = path.read_text().split("\n", 1)
        path.write_text("\n".join([str(os.getpid()), *rest[1:]]))

    def _secret(self, name: str) -> str:
        path = self.home / "postgres" / name
        if not path.is_file():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24))
        return path.read_text().strip()

    def _superuser_url(self) -> str:
        return self._url(SUPERUSER, self._secret("superuser_password"), "postgres")

    def _url(self, user: str, password: str, database: str) -> str:
        return f"postgresql://{user}:{quote(password)}@/{database}?host={quote(str(self.sockets), safe='/')}"
