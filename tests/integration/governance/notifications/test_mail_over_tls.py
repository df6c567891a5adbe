"""Mail through TLS, from the first byte or after STARTTLS: to a server that proves who it is, and to no other."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from typing import Any

import pytest

from governance.models import NotificationDelivery
from nautilus_site.common.services.outbox import publish
from tests.factories.receivers import SmtpReceiver, certificate, header_of, smtp_receiver

KILL = {"scope": "global", "level": 3, "level_name": "CANCEL", "reason": "drill", "changed_by": "risk"}
BOTH = pytest.mark.parametrize("security", ["starttls", "ssl"])


@pytest.fixture(autouse=True)
def _mail_host_here(settings: Any) -> None:
    settings.NOTIFY_PRIVATE_HOSTS = ("localhost",)


def context_of(folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    public, private = certificate(folder, *names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public


def mail_to(server: SmtpReceiver, add_channel: Any, tell: Any, security: str) -> NotificationDelivery:
    add_channel(
        "mail", "email", host="localhost", port=server.port, security=security, user="nautilus",
        password="s3cret-of-mail", sender="nautilus@example.com", recipients=["risk@example.com"],
    )  # fmt: skip
    publish("trading_state", KILL)
    tell()
    return NotificationDelivery.objects.get()


@BOTH
def test_mail_and_password_go_through_tls_to_a_server_that_proves_its_name(
    security: str, add_channel: Any, tell: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, public = context_of(home, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    with smtp_receiver(context, starttls=security == "starttls") as server:
        row = mail_to(server, add_channel, tell, security)
    assert (row.state, row.error) == ("sent", "")
    ((_, recipients, mail),) = server.mails
    assert recipients == ["risk@example.com"]
    assert header_of(mail, "Subject").startswith("[LOCAL] CRITICAL: global is at CANCEL")
    assert server.protected == [True]
    ((said, protected),) = server.logins
    assert protected
    assert base64.b64decode(said.rpartition(" ")[2]).split(b"\0")[1:] == [b"nautilus", b"s3cret-of-mail"]


@BOTH
@pytest.mark.parametrize(
    "names", [("localhost",), ("mail.example.com",)], ids=["not trusted", "another name"]
)
def test_a_bad_certificate_is_refused_and_nothing_is_told_to_its_server(
    names: tuple[str, ...],
    security: str,
    add_channel: Any,
    tell: Any,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context, public = context_of(home, *names)
    if "localhost" not in names:  # who signed it is trusted, but it is somebody else's
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
    with smtp_receiver(context, starttls=security == "starttls") as server:
        row = mail_to(server, add_channel, tell, security)
    assert row.state == "waiting"
    assert row.error
    assert (server.mails, server.logins) == ([], [])


def test_a_server_that_offers_no_tls_is_told_nothing(add_channel: Any, tell: Any) -> None:
    with smtp_receiver() as server:
        row = mail_to(server, add_channel, tell, "starttls")
    assert row.state == "waiting"
    assert (server.mails, server.logins) == ([], [])
