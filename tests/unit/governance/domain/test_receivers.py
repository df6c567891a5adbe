"""Receivers: what is accepted, what is secret of it, and sixty ways round the rules for addresses that lead nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain.receivers import InvalidReceiver, receiver_parse, receiver_refusal

SLACK = {"url": "https://hooks.slack.com/services/T0123456789/B0123456789/abcdefghijklmnopqrstuvwx"}
DISCORD = {"url": "https://discord.com/api/webhooks/123456789012345678/" + "a" * 68}
TELEGRAM = {"bot_token": "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc", "chat_ids": ["-1001234", "@desk"]}
EMAIL = {"host": "smtp.example.com", "sender": "bot@example.com", "recipients": ["risk@example.com"]}
WEBHOOK = {"url": "https://hooks.example.com/alerts?key=abc", "authorization": "Bearer xyz"}
GOOD = {"slack": SLACK, "discord": DISCORD, "telegram": TELEGRAM, "email": EMAIL, "webhook": WEBHOOK}
HOSTS = {
    "slack": "hooks.slack.com",
    "discord": "discord.com",
    "telegram": "api.telegram.org",
    "email": "smtp.example.com",
    "webhook": "hooks.example.com",
}
BYPASSES = [
    "http://hooks.example.com/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "javascript:alert(1)",
    "//hooks.example.com/",
    "hooks.example.com",
    "https://",
    "https:///path",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254./latest/meta-data/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://0251.0376.0251.0376/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]/",
    "https://[fe80::1]/",
    "https://[fd00::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://localhost.localdomain.local/",
    "https://printer.local/",
    "https://metadata.google.internal/",
    "https://1.0.0.127.in-addr.arpa/",
    "https://intranet/",
    "https://user@hooks.example.com/",
    "https://user:pass@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://127.0.0.1#@hooks.example.com/",
    "https://hooks.example.com/#fragment",
    "https://hooks.example.com\\@127.0.0.1/",
    "https://hooks.example.com\t/",
    "https://hooks.example.com /",
    "https://hooks.example.com\r\nHost: 127.0.0.1/",
    "https://hooks.example.com:0x50/",
    "https://hooks.example.com:99999/",
    "https://hooks.example.com:-1/",
    "https://hooks.example.com:0/",
    "https://hooks..example.com/",
    "https://-hooks.example.com/",
    "https://hooks_example.com/",
    "https://ⓛocalhost/",
    "https://127。0。0。1/",
    "https://example.com%00.evil.com/",
    "https://127.0.0.1.nip.io:443:22/",
    "https://" + "a" * 64 + ".example.com/",
    " https://hooks.example.com/",
]


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_a_receiver_of_each_kind_is_accepted_and_goes_to_one_host(kind: str) -> None:
    assert receiver_parse(kind, GOOD[kind]).host == HOSTS[kind]


@pytest.mark.parametrize(
    ("kind", "secret"),
    [
        ("slack", "abcdefghijklmnopqrstuvwx"),
        ("discord", "a" * 68),
        ("telegram", "AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"),
        ("webhook", "abc"),
        ("webhook", "xyz"),
        ("email", "hunter22"),
    ],
)
def test_what_is_secret_is_not_among_what_is_shown(kind: str, secret: str) -> None:
    members = {**EMAIL, "user": "bot", "password": "hunter22"} if kind == "email" else GOOD[kind]
    receiver = receiver_parse(kind, members)
    assert secret in str(dict(receiver.secret))
    assert secret not in f"{receiver.host}{dict(receiver.shown)}"


def test_there_are_sixty_bypasses() -> None:
    assert len(set(BYPASSES)) >= 60


@pytest.mark.parametrize("url", BYPASSES)
def test_no_spelling_of_an_address_leads_past_the_rules(url: str) -> None:
    with pytest.raises(InvalidReceiver):
        receiver_parse("webhook", {"url": url})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.25", "mail", "[::1]", "smtp.internal"])
def test_nor_does_a_mail_server(host: str) -> None:
    with pytest.raises(InvalidReceiver):
        receiver_parse("email", {**EMAIL, "host": host})


def test_a_host_of_ones_own_may_be_private_and_plain() -> None:
    receiver = receiver_parse("webhook", {"url": "http://127.0.0.1:8080/x"}, private_hosts=["127.0.0.1"])
    assert (receiver.host, receiver.port, receiver.shown["scheme"]) == ("127.0.0.1", 8080, "http")
    mail = {**EMAIL, "host": "127.0.0.1", "security": "insecure"}
    assert receiver_parse("email", mail, private_hosts=["127.0.0.1"]).port == 25


@pytest.mark.parametrize(
    ("kind", "members", "said"),
    [
        ("pigeon", {}, "expected one of"),
        ("slack", {}, "needs it"),
        ("slack", {**SLACK, "colour": "red"}, "no such member"),
        (
            "slack",
            {"url": "https://hooks.slack.com.evil.com/services/T0/B0/x"},
            "expected https://hooks.slack.com",
        ),
        (
            "slack",
            {"url": "https://hooks.slack.com:8443" + SLACK["url"][23:]},
            "expected https://hooks.slack.com",
        ),
        (
            "discord",
            {"url": DISCORD["url"].replace("discord.com", "discord.evil.com")},
            "expected https://discord",
        ),
        ("telegram", {**TELEGRAM, "bot_token": "abc"}, "bot_token"),
        ("telegram", {**TELEGRAM, "chat_ids": []}, "a list of 1 to 20"),
        ("telegram", {**TELEGRAM, "chat_ids": ["../getMe"]}, "a chat's number"),
        ("email", {**EMAIL, "recipients": ["a@b.c\r\nBcc: evil@example.com"]}, "an e-mail address"),
        ("email", {**EMAIL, "security": "insecure"}, "NOTIFY_PRIVATE_HOSTS"),
        ("email", {**EMAIL, "user": "bot"}, "go together"),
        ("email", {**EMAIL, "port": True}, "port"),
        ("webhook", {**WEBHOOK, "authorization": "a\r\nX-Evil: 1"}, "one line"),
    ],
)
def test_a_malformed_receiver_is_refused_with_what_is_wrong(
    kind: str, members: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidReceiver, match=said):
        receiver_parse(kind, members)


@pytest.mark.parametrize(
    ("host", "listed"),
    [
        ("hooks.slack.com", True),
        ("a.example.com", True),
        ("a.b.example.com", True),
        ("example.com", False),
        ("evilexample.com", False),
        ("hooks.slack.com.evil.org", False),
        ("sub.hooks.slack.com", False),
        ("127.0.0.1", True),
    ],
)
def test_a_list_of_hosts_names_whole_hosts_and_what_is_below_a_dot(host: str, listed: bool) -> None:
    hosts, private = ("hooks.slack.com", ".example.com"), ("127.0.0.1",)
    refused = receiver_refusal("webhook", host, 443, hosts=hosts, private_hosts=private)
    assert (refused == "") is listed
    assert refused in ("", f"{host} is not among NOTIFY_HOSTS")
    assert receiver_refusal("webhook", host, 443, hosts=("*",)) == "", (
        "every public host, where it is said so"
    )
    assert receiver_refusal("webhook", host, 443, hosts=()) == f"{host} is not among NOTIFY_HOSTS"


@pytest.mark.parametrize(
    ("kind", "host", "port", "allowed"),
    [
        ("webhook", "hooks.example.com", 443, True),
        ("webhook", "hooks.example.com", 8443, True),
        ("webhook", "hooks.example.com", 22, False),
        ("webhook", "hooks.example.com", 0, False),
        ("webhook", "hooks.example.com", 587, False),
        ("slack", "hooks.slack.com", 443, True),
        ("email", "smtp.example.com", 25, True),
        ("email", "smtp.example.com", 465, True),
        ("email", "smtp.example.com", 587, True),
        ("email", "smtp.example.com", 443, False),
        ("email", "smtp.example.com", 8443, False),
        ("webhook", "10.0.0.7", 9093, True),
        ("email", "10.0.0.7", 1025, True),
        ("webhook", "10.0.0.7", 0, False),
    ],
)
def test_a_port_is_one_of_what_is_sent_or_any_of_ones_own_host(
    kind: str, host: str, port: int, allowed: bool
) -> None:
    refused = receiver_refusal(kind, host, port, hosts=("*",), private_hosts=("10.0.0.7",), ports=(8443,))
    assert (refused == "") is allowed
    assert not refused or refused.startswith(f"port {port} is n")
