"""Receivers of notifications on this machine: an HTTP server, an SMTP server, and a proxy to a TLS server."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_string
from email.header import decode_header, make_header
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Received:
    """One request as it arrived."""

    host: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class HttpReceiver:
    """Records every POST; answers as a test says: a status, a pause, a redirect, a flood."""

    port: int = 0
    status: int = 200
    pause_s: float = 0.0
    location: str = ""
    flood_bytes: int = 0
    drip_s: float = 0.0
    """Seconds between the bytes of an answer that never ends."""
    answer: bytes = b'{"ok": true}'
    requests: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def texts(self) -> list[str]:
        """Title and text of every message, as Apprise's JSON carries them."""
        return [f"{r.body['title']}\n{r.body['message']}" for r in self.requests]


def _handler(receiver: HttpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.loads(raw) if raw[:1] in (b"{", b"[") else raw.decode(errors="replace")
            receiver.requests.append(
                Received(self.headers.get("Host", ""), self.path, dict(self.headers), body)
            )
            time.sleep(receiver.pause_s)
            answer = b"x" * receiver.flood_bytes if receiver.flood_bytes else receiver.answer
            self.send_response(receiver.status)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", str(60_000 if receiver.drip_s else len(answer)))
            self.end_headers()
            while receiver.drip_s:
                try:
                    self.wfile.write(b" ")
                except OSError:
                    receiver.drip_s = 0.0
                    return
                time.sleep(receiver.drip_s)
            try:
                self.wfile.write(answer)
            except OSError:
                return  # the sender has hung up, as it should

        do_GET = do_POST  # noqa: N815  a redirect that is followed arrives as one

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def http_receiver(context: ssl.SSLContext | None = None) -> Iterator[HttpReceiver]:
    """A server on a free port of 127.0.0.1."""
    receiver = HttpReceiver()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(receiver))
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class SmtpReceiver:
    """What was mailed: sender, recipients, message."""

    port: int = 0
    refuses: bool = False
    mails: list[tuple[str, list[str], Message]] = field(default_factory=list)
    protected: list[bool] = field(default_factory=list)
    """Of each mail, whether it came through TLS."""
    logins: list[tuple[str, bool]] = field(default_factory=list)
    """What was said to log in, and whether through TLS."""


@contextmanager
def smtp_receiver(context: ssl.SSLContext | None = None, *, starttls: bool = True) -> Iterator[SmtpReceiver]:
    """A server that speaks enough of SMTP to take a message; with a context through TLS, at once or on request."""
    receiver = SmtpReceiver()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def encrypt(self) -> None:
            assert context is not None
            self.request = context.wrap_socket(self.request, server_side=True)
            self.setup()

        def is_protected(self) -> bool:
            return isinstance(self.request, ssl.SSLSocket)

        def handle(self) -> None:
            with contextlib.suppress(OSError):  # a client that does not trust us hangs up
                if context is not None and not starttls:
                    self.encrypt()
                self.talk()

        def talk(self) -> None:
            sender, recipients = "", []
            self.say("220 test ESMTP")
            while line := self.rfile.readline():
                verb, _, rest = line.decode().strip().partition(" ")
                match verb.upper():
                    case "EHLO" | "HELO":
                        self.say("250-test")
                        if context is not None and starttls and not self.is_protected():
                            self.say("250-STARTTLS")
                        self.say("250 AUTH PLAIN")
                    case "STARTTLS" if context is not None and starttls:
                        self.say("220 go on")
                        self.encrypt()
                    case "AUTH":
                        receiver.logins.append((rest, self.is_protected()))
                        self.say("235 welcome")
                    case "MAIL":
                        sender, recipients = rest.split("<")[1].split(">")[0], []
                        self.say("451 try again later" if receiver.refuses else "250 ok")
                    case "RCPT":
                        recipients.append(rest.split("<")[1].split(">")[0])
                        self.say("250 ok")
                    case "DATA":
                        self.say("354 go on")
                        lines = []
                        while (text := self.rfile.readline().decode()) not in (".\r\n", ""):
                            lines.append(text.removeprefix(".") if text.startswith("..") else text)
                        receiver.protected.append(self.is_protected())
                        receiver.mails.append((sender, recipients, message_from_string("".join(lines))))
                        self.say("250 taken")
                    case "QUIT":
                        self.say("221 bye")
                        return
                    case _:
                        self.say("250 ok")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield receiver
        finally:
            server.shutdown()


def header_of(mail: Message, name: str) -> str:
    """A header with its encoding taken off."""
    return str(make_header(decode_header(mail[name])))


def text_of(mail: Message) -> str:
    """The plain text of a message."""
    part = next(p for p in mail.walk() if p.get_content_type() == "text/plain")
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def certificate(folder: Path, *names: str) -> tuple[Path, Path]:
    """A self-signed certificate for the names, and its key; clients trust it by its path."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test receivers")])
    moment = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "receivers.pem", folder / "receivers.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@contextmanager
def connect_proxy(to_port: int) -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy whose every CONNECT leads to one port here. Yields its address and what was asked for."""
    asked: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            request = self.rfile.readline().decode().split()
            while self.rfile.readline().strip():
                continue
            asked.append(request[1])
            self.wfile.write(b"HTTP/1.1 200 ok\r\n\r\n")
            with socket.create_connection(("127.0.0.1", to_port)) as target:
                back = threading.Thread(target=_pump, args=(target, self.connection), daemon=True)
                back.start()
                _pump(self.connection, target)
                back.join(5)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
