"""The embedded Valkey: what a kill leaves, and whose server answers."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from nautilus_site.env import RedisUrls
from nautilus_site.supervisor.embedded.binaries import find_valkey
from nautilus_site.supervisor.embedded.valkey import EmbeddedValkey
from tests.supervisor.conftest import wait_for


@pytest.fixture
def valkey(short_home: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(short_home)
    yield server
    server.stop()


def test_keys_written_a_moment_ago_are_there_after_a_kill(valkey: EmbeddedValkey) -> None:
    valkey.start()
    client = redis.Redis.from_url(valkey.url)
    for number in range(500):
        client.set(f"key-{number}", number)
    # WAITAOF answers when the append-only file is on the disk: no sleeping for the every-second fsync.
    assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    assert valkey.process is not None
    valkey.process.kill()
    valkey.process.wait()
    valkey.start()
    assert redis.Redis.from_url(valkey.url).dbsize() == 500


def test_it_listens_on_a_private_socket_and_no_port(valkey: EmbeddedValkey) -> None:
    valkey.start()
    client = redis.Redis.from_url(valkey.url)
    assert client.config_get("port") == {"port": "0"}
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert stat.S_IMODE(valkey.socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(valkey.socket.parent.stat().st_mode) == 0o700


def test_every_use_the_platform_makes_of_it_reaches_it(valkey: EmbeddedValkey) -> None:
    valkey.start()
    urls = RedisUrls.from_url(valkey.url)
    for url in (urls.channels, urls.cache):
        assert redis.Redis.from_url(url).ping()
    assert str(valkey.socket) in urls.broker


def test_somebody_elses_server_on_our_socket_does_not_count_as_ready(valkey: EmbeddedValkey) -> None:
    command = [str(find_valkey()), "--port", "0", "--unixsocket", str(valkey.socket), "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as other:
        wait_for(valkey.socket.exists, 10)
        with subprocess.Popen(["sleep", "60"]) as ours:
            valkey.process = ours  # our child is alive, but it is not the one that answers
            wait_for(lambda: valkey._info() is not None, 10)
            assert not valkey.is_ready()
            ours.kill()
        valkey.process = other
        assert valkey.is_ready()
        valkey.process = None
        other.terminate()
