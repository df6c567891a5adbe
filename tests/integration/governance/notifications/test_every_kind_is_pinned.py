"""What a hostile name server can do to any kind of channel: nothing. Each is sent by the real process through Apprise.

The name server is played inside the process, before its own first line; every connection it tries is written down by an
audit hook of the interpreter, which nothing in the process can go past.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from governance.domain.receivers import receiver_parse

SITE = """
import os, socket, sys
answers = os.environ["ANSWERS"].split("|")
asked = []

def lookup(host, port, *args, **kwargs):
    asked.append(host)
    told = answers[min(len(asked), len(answers)) - 1].split(",")
    with open(os.environ["SEEN"], "a") as file:
        print("asked", host, file=file)
    family = lambda address: socket.AF_INET6 if ":" in address else socket.AF_INET
    return [(family(a), socket.SOCK_STREAM, 6, "", (a, port) if "." in a and ":" not in a else (a, port, 0, 0))
            for a in told]

def heard(event, args):
    if event in ("socket.connect", "socket.sendto"):
        with open(os.environ["SEEN"], "a") as file:
            print("connected", args[1], file=file)
        if "93.184.215.14" in str(args[1]):
            raise ConnectionRefusedError("nobody leaves this machine")

socket.getaddrinfo = lookup
sys.addaudithook(heard)
"""
KINDS: dict[str, dict[str, Any]] = {
    "slack": {"url": "https://hooks.slack.com/services/T0123456789/B0123456789/abcdefghijklmnopqrstuvwx"},
    "telegram": {"bot_token": "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc", "chat_ids": ["-1001234"]},
    "discord": {"url": "https://discord.com/api/webhooks/123456789012345678/" + "a" * 68},
    "email": {
        "host": "smtp.example.com", "sender": "n@example.com", "recipients": ["r@example.com"],
        "user": "nautilus", "password": "s3cret-of-mail",
    },
    "webhook": {"url": "https://hooks.example.com/alerts?key=sesame", "authorization": "Bearer s3cret"},
}  # fmt: skip
HOSTILE = (
    "127.0.0.1", "10.1.2.3", "192.168.0.7", "169.254.169.254", "::1", "fe80::1", "fd00:ec2::254", "0.0.0.0",  # noqa: S104
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1",
    "100.64.0.1", "93.184.215.14,127.0.0.1",
)  # fmt: skip


def send(tmp_path: Path, kind: str, answers: str, **environment: str) -> tuple[dict[str, Any], list[str]]:
    """What the process says of a message, and what it asked for and connected to."""
    (tmp_path / "sitecustomize.py").write_text(SITE)
    seen = tmp_path / "seen"
    seen.write_text("")
    receiver = receiver_parse(kind, KINDS[kind])
    task = {
        "kind": kind, "host": receiver.host, "shown": dict(receiver.shown), "secret": dict(receiver.secret),
        "private": False, "proxy": "", "deadline_s": 20,
        "messages": [{"key": "k" * 32, "title": "t", "body": "b", "severity": "critical"}],
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "governance.adapters.notify_child"],
        input=json.dumps(task).encode(),
        capture_output=True,
        cwd=settings.BASE_DIR,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "ANSWERS": answers, "SEEN": str(seen)}
        | environment,
    )
    (told,) = [json.loads(line) for line in done.stdout.splitlines()]
    return told, seen.read_text().splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_the_name_server_says_no_kind_connects_to_what_may_not_be_reached(
    kind: str, tmp_path: Path
) -> None:
    for address in HOSTILE[
        :: 1 if kind == "webhook" else 5
    ]:  # the check is one; that each kind passes it is the point
        told, seen = send(tmp_path, kind, address)
        assert told["ok"] is False, (address, told)
        assert any(line.startswith("asked") for line in seen), "it got as far as the name"
        assert not [line for line in seen if line.startswith("connected")], (address, seen)


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_turns_private_after_the_check_is_connected_where_it_was_checked(
    kind: str, tmp_path: Path
) -> None:
    told, seen = send(tmp_path, kind, "93.184.215.14|127.0.0.1|169.254.169.254")
    connected = [line for line in seen if line.startswith("connected")]
    assert told["ok"] is False
    assert connected, seen
    assert all("93.184.215.14" in line for line in connected), seen
    host = receiver_parse(kind, KINDS[kind]).host
    assert {line for line in seen if line.startswith("asked")} == {f"asked {host}"}


def test_a_proxy_of_the_environment_or_of_the_user_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine hooks.slack.com login a password b\n")
    from governance.adapters import notify

    assert not {"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY", "NO_PROXY", "HOME"} & set(
        notify._KEPT
    )
    told, seen = send(tmp_path, "slack", "93.184.215.14")
    assert told["ok"] is False
    assert not [line for line in seen if "hooks.slack.com" not in line and "93.184.215.14" not in line], seen
