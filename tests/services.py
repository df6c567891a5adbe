"""Real Postgres and Valkey for the test suite, started before Django reads its settings.

Loaded with `-p tests.services`. Whatever DATABASE_URL and REDIS_URL already name is used instead. Workers of
pytest-xdist inherit the environment and start nothing. The servers end with this process, however it ends.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from nautilus_site.supervisor.embedded.errors import EmbeddedServiceError
from nautilus_site.supervisor.embedded.postgres import EmbeddedPostgres
from nautilus_site.supervisor.embedded.roles import OWNER
from nautilus_site.supervisor.embedded.valkey import EmbeddedValkey

HOME_PREFIX = "nautilus-test-"
YOUNGEST_ABANDONED_S = 60  # another run may be between making its home and locking it
_OURS: list[tuple[Path, list[EmbeddedPostgres | EmbeddedValkey], int]] = []
_EXPORTED: list[str] = []


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Start the services; as a wrapper this runs before pytest-django imports the settings."""
    options = early_config.known_args_namespace
    asks_only = bool(getattr(options, "version", 0)) or bool(getattr(options, "help", False))
    if "PYTEST_XDIST_WORKER" not in os.environ and not asks_only:
        _start_services()
    return (yield)


def pytest_report_header() -> list[str]:
    if not _OURS:
        return []
    took = os.environ["NAUTILUS_TEST_SERVICES_S"]
    return [f"services: started in {took} s, home {os.environ['NAUTILUS_HOME']}"]


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    _stop_services()


def _let_tables_be_emptied(postgres: EmbeddedPostgres) -> None:
    """Let tests delete rows without asking the triggers that keep them: see conftest."""
    with psycopg.connect(postgres._superuser_url(), autocommit=True) as connection:
        connection.execute(f"GRANT SET ON PARAMETER session_replication_role TO {OWNER}")


def _start_services() -> None:
    _remove_abandoned_homes()
    home = Path(tempfile.mkdtemp(prefix=HOME_PREFIX))
    (home / "tests.lock").touch()
    lock = os.open(home / "tests.lock", os.O_RDWR | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    started: list[EmbeddedPostgres | EmbeddedValkey] = []
    _OURS.append((home, started, lock))
    atexit.register(_stop_services)
    os.environ["NAUTILUS_HOME"] = str(home)
    os.environ["DJANGO_SETTINGS_MODULE"] = "nautilus_site.settings.test"
    # Compiled once for the whole run, not once for every home a test makes; and no thread pool for each worker.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(home / "machine-code"))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    began = time.monotonic()
    try:
        if not os.environ.get("DATABASE_URL"):
            postgres = EmbeddedPostgres(home, binaries=os.environ.get("POSTGRES_BIN_DIR"), durable=False)
            started.append(postgres)
            postgres.start()
            _let_tables_be_emptied(postgres)
            # One role for all: tests make tables, and take the guards away from those they tamper with.
            _export("DATABASE_URL", postgres.owner_url)
        if not os.environ.get("REDIS_URL"):
            valkey = EmbeddedValkey(home, binary=os.environ.get("VALKEY_BINARY"))
            started.append(valkey)
            valkey.start()
            _export("REDIS_URL", valkey.url)
    except EmbeddedServiceError as error:
        _stop_services()
        raise pytest.UsageError(f"the test services did not start: {error}") from error
    os.environ["NAUTILUS_TEST_SERVICES_S"] = f"{time.monotonic() - began:.1f}"


def _export(name: str, value: str) -> None:
    os.environ[name] = value
    _EXPORTED.append(name)


def _stop_services() -> None:
    while _OURS:
        home, started, lock = _OURS.pop()
        for service in reversed(started):
            service.stop()
            if isinstance(service, EmbeddedPostgres):
                service.remove()  # its data may lie outside the home
        shutil.rmtree(home, ignore_errors=True)
        os.close(lock)
    while _EXPORTED:
        os.environ.pop(_EXPORTED.pop(), None)


def _remove_abandoned_homes() -> None:
    """Remove what test runs that were killed with -9 left; a home whose lock is held is in use."""
    for lock_path in Path(tempfile.gettempdir()).glob(f"{HOME_PREFIX}*/tests.lock"):
        try:
            if time.time() - lock_path.stat().st_mtime < YOUNGEST_ABANDONED_S:
                continue
            lock = os.open(lock_path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # another user's, or just removed
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock_path.parent, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)
