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
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from governance.domain.addresses import is_reachable

TIMEOUT_S = 3.0
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
        guard, plain = self, socket.socket.connect

        def connect(sock: socket.socket, address: Any) -> None:
            if sock.family in (socket.AF_INET, socket.AF_INET6) and str(address[0]) not in guard._checked:
                raise Refused(f"{address[0]} was not looked up for this channel")
            plain(sock, address)

        setattr(socket, "getaddrinfo", self.getaddrinfo)  # noqa: B010  a name of theirs
        setattr(socket, "socket", type("GuardedSocket", (socket.socket,), {"connect": connect}))  # noqa: B010


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
            query = [pair.partition("=") for pair in secret["query"].split("&") if pair]
            return {
                "schema": "jsons" if shown["scheme"] == "https" else "json",
                "host": task["host"],
                "port": shown["port"],
                "fullpath": secret["path"],
                "params": {name: value for name, _, value in query},
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


def run(task: dict[str, Any]) -> None:
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


def _secrets(members: dict[str, Any]) -> list[str]:
    return [str(value) for value in members.values() if isinstance(value, str) and len(value) > 3]


def main() -> None:
    """Read the task, close every door but one, send."""
    task = json.load(sys.stdin)
    signal.alarm(int(task["deadline_s"]))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    proxy = urlsplit(task["proxy"]) if task.get("proxy") and task["kind"] != "email" else None
    host = proxy.hostname if proxy is not None else task["host"]
    Guard(str(host), private=bool(task["private"]) or proxy is not None).install()
    bound_answers()
    run(task)


if __name__ == "__main__":
    main()
