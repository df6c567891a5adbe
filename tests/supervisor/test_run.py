"""The supervising command, with real Postgres and Valkey and stand-ins for the platform's own processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from nautilus_site.supervisor.embedded.postgres import EmbeddedPostgres
from tests.supervisor.conftest import SLEEP, Platform, processes_of, wait_for, wait_for_none
from tests.supervisor.without_user_namespaces import CANNOT

pytestmark = pytest.mark.e2e

# Says when it is told to stop, so that the order can be seen.
POLITE = """
import signal, sys, time
def stop(*_):
    print("told to stop", flush=True)
    time.sleep(0.3)
    print("ended", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("up", flush=True)
while True:
    time.sleep(1)
"""
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEP
# A child that leaves a grandchild in a session of its own behind.
FORKING = (
    "import os, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    print('grandchild up', flush=True)\n"
    "    time.sleep(600)\n"
    "print('up', flush=True)\n"
    "time.sleep(600)"
)


def rows(kinds: dict[str, int], code: str = POLITE) -> list[dict[str, object]]:
    return [{"kind": kind, "code": code, "stop_rank": rank} for kind, rank in kinds.items()]


def test_children_find_a_database_and_a_broker_that_work(platform: Platform) -> None:
    code = (
        "import os, psycopg, redis\n"
        "with psycopg.connect(os.environ['DATABASE_URL']) as connection:\n"
        "    print('user', connection.execute('select current_user').fetchone())\n"
        "with psycopg.connect(os.environ['DATABASE_OWNER_URL']) as connection:\n"
        "    print('owner', connection.execute('select current_user').fetchone())\n"
        "print('broker', redis.Redis.from_url(os.environ['REDIS_URL']).ping())\n"
    )
    platform.start([{"kind": "prepare", "code": code}, {"kind": "one", "code": SLEEP}])
    platform.wait_started()
    assert "user ('nautilus',)" in platform.text
    assert "owner ('nautilus_owner',)" in platform.text
    owners = (platform.home / "postgres" / "owner_password").read_text()
    child = platform.pid_of("one")
    assert owners
    assert owners not in Path(f"/proc/{child}/environ").read_text(), "only what migrates knows the owner"
    assert owners not in (platform.home / "run" / "services.json").read_text()
    assert "broker True" in platform.text
    assert platform.stop() == 0


def test_children_stop_in_the_order_of_their_ranks_and_the_database_last(platform: Platform) -> None:
    platform.start(rows({"web": 2, "beat": 0, "worker": 1}))
    wait_for(lambda: platform.text.count("| up") == 3)
    assert platform.stop() == 0
    ends = [line.split()[0] for line in platform.lines if line.endswith("| ended")]
    starts_of_stop = [line.split()[0] for line in platform.lines if line.endswith("| told to stop")]
    assert ends == ["beat", "worker", "web"]
    assert starts_of_stop == ["beat", "worker", "web"]
    text = platform.text
    assert text.index("web            | ended") < text.index("database system is shut down")


def test_a_crashed_child_is_started_again_after_one_then_two_seconds(platform: Platform) -> None:
    platform.start([{"kind": "crasher", "code": "raise SystemExit(3)"}])
    platform.wait_for_line("crasher ended with code 3; starting it again in 1 s")
    platform.wait_for_line("crasher ended with code 3; starting it again in 2 s", timeout_s=5)
    platform.wait_for_line("crasher ended with code 3; starting it again in 4 s", timeout_s=5)
    assert platform.stop() == 0


def test_a_killed_child_comes_back_as_another_process(platform: Platform) -> None:
    platform.start(rows({"feed": 0}, SLEEP))
    platform.wait_started()
    first = wait_for(lambda: platform.pid_of("feed"))
    os.kill(first, signal.SIGKILL)
    platform.wait_for_line("feed was ended by SIGKILL")
    second = wait_for(lambda: platform.pid_of("feed"))
    assert second != first
    assert platform.stop() == 0


def test_a_killed_database_comes_back_with_what_was_committed(platform: Platform) -> None:
    platform.start([{"kind": "one", "code": SLEEP}])
    platform.wait_started()
    url = json.loads((platform.home / "run" / "owner.json").read_text())["DATABASE_OWNER_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n integer)")
        connection.execute("INSERT INTO kept VALUES (41)")
    postmaster = int((platform.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    platform.wait_for_line("postgres was ended by SIGKILL")

    def answer() -> tuple[int] | None:
        try:
            with psycopg.connect(url, connect_timeout=2) as connection:
                return connection.execute("SELECT n FROM kept").fetchone()
        except psycopg.OperationalError:
            return None

    assert wait_for(answer, timeout_s=30) == (41,)
    assert platform.stop() == 0


def test_nothing_outlives_a_killed_supervisor_and_the_database_shuts_down_cleanly(platform: Platform) -> None:
    platform.start(rows({"web": 1}, SLEEP) + rows({"beat": 0}, STUBBORN))
    platform.wait_started()
    wait_for(lambda: len([line for line in platform.lines if line.endswith("| up")]) == 2)
    platform.stop(signal.SIGKILL)
    assert wait_for_none(platform) == {}
    data = platform.home / "postgres" / "data"
    assert not (data / "postmaster.pid").exists(), "a clean shutdown removes its lock file"
    state = subprocess.run(
        [str(_pg_program("pg_controldata")), "-D", str(data)], capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"Database cluster state:\s+shut down\n", state)


def test_a_start_right_after_a_kill_waits_for_what_is_still_ending(platform: Platform) -> None:
    platform.start(rows({"web": 1}, SLEEP))
    platform.wait_started()
    platform.stop(signal.SIGKILL)
    platform.output.unlink()
    platform.start(rows({"web": 1}, SLEEP))
    platform.wait_started()
    assert platform.stop() == 0


def test_a_second_start_in_the_same_home_is_refused_with_one_sentence(
    platform: Platform, tmp_path: Path
) -> None:
    platform.start(rows({"web": 1}, SLEEP))
    platform.wait_started()
    assert platform.process is not None
    second = Platform(platform.home, tmp_path / "second")
    second.start(rows({"web": 1}, SLEEP))
    assert second.process is not None
    assert second.process.wait(10) == 1
    assert second.lines == [
        f"nautilus: the platform is already running in {platform.home} (process {platform.process.pid})"
    ]
    assert platform.process.poll() is None, "the first one was not disturbed"
    assert platform.stop() == 0


@pytest.mark.parametrize("setting", ["PORT", "TESTNET_PORT", "EXPORTER_PORT"])
def test_a_taken_port_is_named_before_anything_starts(platform: Platform, setting: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        platform.environment[setting] = str(taken.getsockname()[1])
        platform.start(rows({"web": 1}, SLEEP))
        assert platform.process is not None
        assert platform.process.wait(10) == 1
    assert len(platform.lines) == 1
    assert f"set {setting} to a free port" in platform.lines[0]
    assert not (platform.home / "postgres").exists()


def test_a_deep_home_with_spaces_works_and_leaves_no_socket_directory(platform: Platform) -> None:
    platform.home = platform.home / ("a folder with spaces " * 4).strip() / ("deep" * 20)
    platform.environment["NAUTILUS_HOME"] = str(platform.home)
    platform.start(
        [{"kind": "one", "code": "import os\nprint(os.environ['REDIS_URL'], flush=True)\n" + SLEEP}]
    )
    platform.wait_started()
    socket_path = Path(platform.wait_for_line("unix://").split("unix://")[1].split("?")[0])
    assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700
    assert len(str(socket_path)) <= 107
    assert platform.stop() == 0
    assert not socket_path.parent.exists()


def test_it_runs_as_a_normal_user(platform: Platform) -> None:
    wrapper = []
    if os.geteuid() == 0:
        # As another user inside a namespace, but with this one's access to the interpreter.
        wrapper = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        if subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode != 0:
            pytest.skip("this system does not let a test make a user namespace")
    platform.start(rows({"web": 1}, SLEEP), wrapper)
    platform.wait_for_line("PostgreSQL is ready (direct)")
    platform.wait_started()
    assert platform.stop() == 0


def test_it_runs_as_root_where_user_namespaces_are_forbidden(platform: Platform) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can take user namespaces away for a test")
    sandbox = Path(__file__).with_name("without_user_namespaces.py")
    platform.start(rows({"web": 1}, SLEEP), [sys.executable, str(sandbox)])
    assert platform.process is not None
    wait_for(lambda: "processes started" in platform.text or platform.process.poll() is not None)
    if platform.process.poll() == CANNOT:
        pytest.skip("this system does not let a test take user namespaces away")
    try:
        platform.wait_for_line("PostgreSQL is ready (nobody)")
        inside = wait_for(lambda: platform.pid_of_command("tests/supervisor/standin.py"))
        os.kill(inside, signal.SIGTERM)
        assert platform.process.wait(30) == 0
    finally:
        EmbeddedPostgres(platform.home).remove()  # its data lie outside the home


@pytest.mark.parametrize("home", ["", "/proc/nowhere"])
def test_it_needs_no_home_directory_of_the_user(platform: Platform, home: str) -> None:
    platform.environment["HOME"] = home
    platform.start(rows({"web": 1}, SLEEP))
    platform.wait_started()
    assert platform.stop() == 0


def test_a_home_that_cannot_be_written_is_named_with_its_setting(platform: Platform) -> None:
    platform.environment["NAUTILUS_HOME"] = "/proc/nowhere"
    platform.start(rows({"web": 1}, SLEEP))
    assert platform.process is not None
    assert platform.process.wait(10) == 1
    assert len(platform.lines) == 1
    assert "set NAUTILUS_HOME to a directory that can" in platform.lines[0]


def test_a_failing_preparation_stops_the_start_and_everything_started(platform: Platform) -> None:
    platform.start([{"kind": "prepare", "code": "raise SystemExit('no such table')"}, *rows({"web": 1})])
    assert platform.process is not None
    assert platform.process.wait(40) == 1
    assert "prepare        | no such table" in platform.text
    assert "cannot start: preparing the platform ended with code 1" in platform.text
    assert "web " not in platform.text


def test_an_interrupt_during_preparation_stops_everything(platform: Platform) -> None:
    platform.start([{"kind": "prepare", "code": SLEEP}, *rows({"web": 1})])
    platform.wait_for_line("prepare        | up")
    assert platform.stop(signal.SIGINT) == 0
    assert "web " not in platform.text


def test_a_second_signal_does_not_wait_for_a_stubborn_child(platform: Platform) -> None:
    platform.start([{"kind": "web", "code": STUBBORN, "patience_s": 60}])
    platform.wait_for_line("web            | up")
    assert platform.process is not None
    platform.process.send_signal(signal.SIGINT)
    platform.wait_for_line("SIGINT: stopping")
    assert platform.process.poll() is None
    assert platform.stop(signal.SIGINT, timeout_s=8) == 0
    assert "web does not stop by itself: killed" in platform.text


def test_a_grandchild_that_left_its_parent_is_ended_too(platform: Platform) -> None:
    platform.start(rows({"forker": 0}, FORKING))
    platform.wait_for_line("grandchild up")
    assert platform.stop() == 0
    assert "killed" not in platform.text
    assert platform.processes() == {}


def test_every_child_shows_its_kind_in_the_process_list(platform: Platform) -> None:
    platform.start(rows({"web": 1, "worker-trading": 0}, SLEEP))
    platform.wait_started()
    commands = " ".join(wait_for(platform.processes).values())
    assert "-X nautilus-web " in commands
    assert "-X nautilus-worker-trading " in commands
    assert platform.stop() == 0


def test_each_process_has_a_log_file_of_its_own(platform: Platform) -> None:
    platform.start(rows({"web": 1, "beat": 0}))
    wait_for(lambda: platform.text.count("| up") == 2)
    assert platform.stop() == 0
    logs = platform.home / "logs"
    assert (logs / "web.log").read_text().splitlines() == ["up", "told to stop", "ended"]
    assert "everything has stopped" in (logs / "supervisor.log").read_text()


def test_output_that_nobody_reads_does_not_stop_the_children(platform: Platform) -> None:
    code = "import sys\nfor n in range(20000): print('x' * 100)\nprint('done', flush=True)\n" + SLEEP
    reading, writing = os.pipe()
    try:
        platform.output = Path(f"/proc/{os.getpid()}/fd/{writing}")
        platform.start([{"kind": "noisy", "code": code}])
        os.close(writing)
        log = platform.home / "logs" / "noisy.log"
        wait_for(
            lambda: log.exists() and log.read_text().splitlines()[20000:20001] == ["done"], what="all lines"
        )
        assert platform.stop() == 0
    finally:
        os.close(reading)


def test_it_runs_as_process_one_of_a_container_without_an_init(platform: Platform) -> None:
    wrapper = ["unshare", "--user", "--map-root-user", "--pid", "--mount-proc", "--fork", "--kill-child"]
    if subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this system does not let a test make a PID namespace")
    zombies = (
        "import os, time\n"
        "if os.fork() == 0:\n"  # an orphan that ends: PID 1 has to collect it
        "    if os.fork() == 0:\n"
        "        time.sleep(0.3); os._exit(0)\n"
        "    os._exit(0)\n"
        "os.wait(); time.sleep(1)\n"
        "processes = [p for p in os.listdir('/proc') if p.isdigit()]\n"
        "states = [open(f'/proc/{p}/stat').read().rpartition(')')[2].split()[0] for p in processes]\n"
        "print('process one is', open('/proc/1/cmdline').read().split(chr(0))[1].rpartition('/')[2])\n"
        "print('zombies', states.count('Z'), flush=True)\n" + SLEEP
    )
    platform.start([{"kind": "orphans", "code": zombies}], wrapper)
    assert "process one is standin.py" in platform.wait_for_line("process one is")
    assert platform.wait_for_line("zombies").endswith("zombies 0")
    inside = next(
        pid for pid, command in processes_of(platform.home).items() if _is_process_one(pid, command)
    )
    os.kill(inside, signal.SIGTERM)
    assert platform.process is not None
    assert platform.process.wait(30) == 0
    platform.wait_for_line("database system is shut down")


def _is_process_one(pid: int, command: str) -> bool:
    if "standin.py" not in command or "unshare" in command:
        return False
    status = Path(f"/proc/{pid}/status").read_text()
    ids = re.search(r"^NSpid:\s+(.*)$", status, flags=re.MULTILINE)
    return ids is not None and ids[1].split()[-1] == "1"


def _pg_program(name: str) -> Path:
    from nautilus_site.supervisor.embedded.binaries import find_postgres

    return find_postgres().directory / name


def test_the_supervisor_loads_no_app_of_the_platform() -> None:
    code = (
        "import sys, nautilus_site.supervisor.main\n"
        "from django.apps import apps\n"
        "print(apps.ready, 'django.db' in sys.modules, 'trading' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False", "False"]
