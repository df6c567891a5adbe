"""Where messages may go unless somebody says otherwise: in production to three services, locally to every host."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nautilus_site.env import ROOT, Environment, SettingError

PRODUCTION = {
    "SECRET_KEY": "k" * 50,
    "DATABASE_URL": "postgresql://u@db/n",
    "REDIS_URL": "redis://valkey",
    "ALLOWED_HOSTS": "desk.example.com",
}


def settings(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = f"from nautilus_site.settings.{name} import NOTIFY_HOSTS, NOTIFY_PORTS; print(NOTIFY_HOSTS, NOTIFY_PORTS)"
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **PRODUCTION, **environment},
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "hosts", "in_force"),
    [
        ("production", "", "('hooks.slack.com', 'api.telegram.org', 'discord.com') (8443,)"),
        ("production", "Hooks.example.com,.example.org", "('hooks.example.com', '.example.org') (8443,)"),
        ("local", "", "('*',) (8443,)"),
        ("local", "hooks.example.com", "('hooks.example.com',) (8443,)"),
    ],
)
def test_hosts_are_listed_in_production_whether_or_not_somebody_listed_them(
    name: str, hosts: str, in_force: str
) -> None:
    done = settings(name, NOTIFY_HOSTS=hosts, NOTIFY_PORTS="8443", NAUTILUS_HOME="/nonexistent/home")
    assert done.stdout.strip() == in_force, done.stderr


def test_production_does_not_start_with_every_host() -> None:
    done = settings("production", NOTIFY_HOSTS="hooks.slack.com,*")
    assert done.returncode != 0
    assert "setting NOTIFY_HOSTS" in done.stderr


@pytest.mark.parametrize("ports", ["0", "65536", "https", "443;22"])
def test_a_port_that_is_none_stops_start_up_with_its_name(ports: str) -> None:
    with pytest.raises(SettingError, match="setting NOTIFY_PORTS"):
        Environment.read({"NOTIFY_PORTS": ports})
