"""Sends messages of one channel through Apprise, in a process of its own: `python -m governance.adapters.notify_child`.

One JSON object on standard input says where and what; for each message one JSON line on standard output says how it
went. The process loads no Django and has no database. Every connection it makes goes to the one host it was told, at an
address it resolved once and found reachable (`governance.domain.addresses`), follows no redirect, reads at most 64 KiB
of an answer, and an alarm of the kernel ends it at its deadline, whatever it is waiting for.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit
from weakref import WeakSet

from governance.domain.addresses import is_reachable

TIMEOUT_S = 3.0
EXCHANGE_S = {"email": 12.0}
"""The longest one message may take in all; where nothing is said three seconds to connect, three to be answered."""
LONGEST_ANSWER = 64 * 1024
MEMORY = 768 * 1024 * 1024


class Refused(OSError):
    """A connection that may not be made."""


class Guard:
    """What this process may connect to: one host, resolved once; the address that was checked is the one used."""

    def __init__(self, host: str, *, private: bool) -> None:
        self.host, self.private = host.lower(), private
        self._lookup = socket.getaddrinfo
        self._known: dict[tuple[Any, ...], list[Any]] = {}
        self._checked: set[str] = set()
        self._sockets: WeakSet[socket.socket] = WeakSet()

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name.lower().rstrip(".") != self.host:
            raise Refused(f"{name} is not the host of this channel")
        key = (port, args, tuple(sorted(kwargs.items())))
        if key not in self._known:
            found = self._lookup(host, port, *args, **kwargs)
            addresses = {str(entry[4][0]) for entry in found}
            refused = sorted(a for a in addresses if not is_reachable(a, private=self.private))
            if refused or (self._checked and not addresses <= self._checked):
                raise Refused(f"{name} leads to {', '.join(refused) or 'another address than before'}")
            self._checked |= addresses
            self._known[key] = found
        return self._known[key]

    def install(self) -> None:
        """From here on this process connects to nothing else."""
        guard, plain, plain_ex = self, socket.socket.connect, socket.socket.connect_ex
        plain_init = socket.socket.__init__

        def check(sock: socket.socket, address: Any) -> None:
            if sock.family in (socket.AF_INET, socket.AF_INET6) and str(address[0]) not in guard._checked:
                raise Refused(f"{address[0]} was not looked up for this channel")
            guard._sockets.add(sock)

        def connect(sock: socket.socket, address: Any) -> None:
            check(sock, address)
            plain(sock, address)

        def connect_ex(sock: socket.socket, address: Any) -> int:
            check(sock, address)
            return plain_ex(sock, address)

        def init(sock: socket.socket, *args: Any, **kwargs: Any) -> None:
            plain_init(sock, *args, **kwargs)
            guard._sockets.add(sock)  # TLS goes on with a socket of its own over the same connection

        members = {"connect": connect, "connect_ex": connect_ex, "__init__": init}
        setattr(socket, "getaddrinfo", self.getaddrinfo)  # noqa: B010  a name of theirs
        setattr(socket, "socket", type("GuardedSocket", (socket.socket,), members))  # noqa: B010

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Hang up when it takes longer, also on a receiver that says a byte now and then."""
        timer = threading.Timer(seconds, self._hang_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        for sock in list(self._sockets):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def bound_answers() -> None:
    """Let no answer be read past 64 KiB and no redirect be followed, whatever a plug-in asks."""
    import requests

    plain = requests.Session.request

    def request(self: Any, method: Any, url: Any, **kwargs: Any) -> Any:
        kwargs |= {"allow_redirects": False, "stream": True, "timeout": TIMEOUT_S}
        answer = plain(self, method, url, **kwargs)
        read = b""
        for piece in answer.iter_content(8192):
            read += piece
            if len(read) > LONGEST_ANSWER:
                answer.close()
                raise requests.RequestException("the answer is longer than 64 KiB")
        setattr(answer, "_content", read)  # noqa: B010  a member of theirs
        return answer

    setattr(requests.Session, "request", request)  # noqa: B010


def plugin_arguments(task: dict[str, Any]) -> dict[str, Any]:
    """Apprise's arguments for a channel's kind."""
    shown, secret = task["shown"], task["secret"]
    common = {"rto": TIMEOUT_S, "cto": TIMEOUT_S}
    match task["kind"]:
        case "slack":
            return {"schema": "slack", **secret, "include_image": False, "include_footer": False, **common}
        case "telegram":
            return {
                "schema": "tgram",
                **secret,
                "targets": shown["chat_ids"],
                "detect_owner": False,
                **common,
            }
        case "discord":
            return {"schema": "discord", **secret, "footer": False, "avatar": False, **common}
        case "email":
            return {
                "schema": "mailtos" if shown["security"] != "insecure" else "mailto",
                "host": task["host"],
                "smtp_host": task["host"],
                "port": shown["port"],
                "secure_mode": shown["security"],
                "from_addr": f"Nautilus HMM <{shown['sender']}>",
                "targets": shown["recipients"],
                "user": shown["user"] or None,
                "password": secret["password"] or None,
                "format": "text",
                **common,
            }
        case _:
            headers = {"Authorization": secret["authorization"]} if secret["authorization"] else {}
            # As it was given, in the path: what is taken apart and put together again fits no signature.
            query = f"?{secret['query']}" if secret["query"] else ""
            return {
                "schema": "jsons" if shown["scheme"] == "https" else "json",
                "host": task["host"],
                "port": shown["port"],
                "fullpath": f"{secret['path']}{query}",
                "headers": headers,
                **common,
            }


class LastWarning(logging.Handler):
    """Keeps what Apprise says went wrong, without the secrets in it."""

    def __init__(self, secrets: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.secrets, self.text = secrets, ""

    def emit(self, record: logging.LogRecord) -> None:
        self.say(record.getMessage())

    def say(self, text: str) -> None:
        for secret in self.secrets:
            text = text.replace(secret, "…")
        self.text = " ".join(text.split())[:300]


def name_message(plugin: Any, key: str) -> None:
    """Give a message a name that stays when it is sent again: a webhook's and a mail's receiver can tell by it."""
    from apprise.plugins.email import base

    if isinstance(getattr(plugin, "headers", None), dict):
        plugin.headers["Idempotency-Key"] = key
    setattr(base, "make_msgid", lambda domain=None: f"<{key}@{domain}>")  # noqa: B010  a name of theirs


def run(task: dict[str, Any], guard: Guard) -> None:
    import apprise

    handler = LastWarning(sorted(_secrets(task["secret"]), key=len, reverse=True))
    logging.getLogger("apprise").addHandler(handler)
    asset = apprise.AppriseAsset(
        app_id="Nautilus HMM", app_url="", http_redirects=False, secure_logging=True, storage_mode="memory"
    )
    sender = apprise.Apprise(asset=asset)
    usable = sender.add(plugin_arguments(task))
    kinds = {"critical": "failure", "warning": "warning", "success": "success", "info": "info"}
    for number, message in enumerate(task["messages"]):
        handler.text = "" if usable else handler.text or "the channel's parameters are not accepted"
        try:
            with guard.within(EXCHANGE_S.get(task["kind"], 2 * TIMEOUT_S)):
                if usable:
                    name_message(sender[0], message["key"])
                sent = usable and bool(
                    sender.notify(
                        title=message["title"], body=message["body"], notify_type=kinds[message["severity"]]
                    )
                )
        except Exception as error:  # noqa: BLE001  the boundary of the process: told, never raised
            sent = False
            handler.say(f"{type(error).__name__}: {error}")
        told = {
            "n": number,
            "ok": sent,
            "at": datetime.now(UTC).isoformat(),
            "error": "" if sent else handler.text or "not accepted",
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def _secrets(members: dict[str, Any]) -> set[str]:
    """Every text that must not be told: the members, the values of a query, and each as an address spells it."""
    texts = [str(value) for value in members.values() if isinstance(value, str)]
    texts += [pair.partition("=")[2] for pair in str(members.get("query", "")).split("&")]
    texts += [text.partition(" ")[2] for text in texts]
    spelled = {way(text) for text in texts for way in (str, quote, quote_plus, unquote)}
    return {text for text in spelled if len(text) > 3}


def main() -> None:
    """Read the task, close every door but one, send."""
    task = json.load(sys.stdin)
    signal.alarm(int(task["deadline_s"]))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    proxy = urlsplit(task["proxy"]) if task.get("proxy") and task["kind"] != "email" else None
    host = proxy.hostname if proxy is not None else task["host"]
    guard = Guard(str(host), private=bool(task["private"]) or proxy is not None)
    guard.install()
    bound_answers()
    run(task, guard)


if __name__ == "__main__":
    main()
