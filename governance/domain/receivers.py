"""What a notification channel needs to be reached: checked, and split into what may be shown and what is secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit


class ReceiverKind(StrEnum):
    """Where a message goes."""

    slack = "slack"
    telegram = "telegram"
    discord = "discord"
    email = "email"
    webhook = "webhook"


@dataclass(frozen=True, slots=True)
class Receiver:
    """A checked receiver. `shown` may appear on screens; `secret` is sealed before it is stored."""

    kind: ReceiverKind
    host: str
    port: int
    shown: Mapping[str, Any]
    secret: Mapping[str, Any]


class InvalidReceiver(ValueError):
    """The parameters describe no receiver of this kind; the message says what is wrong."""


MEMBERS: dict[ReceiverKind, tuple[frozenset[str], frozenset[str]]] = {
    ReceiverKind.slack: (frozenset({"url"}), frozenset()),
    ReceiverKind.telegram: (frozenset({"bot_token", "chat_ids"}), frozenset()),
    ReceiverKind.discord: (frozenset({"url"}), frozenset()),
    ReceiverKind.email: (
        frozenset({"host", "sender", "recipients"}),
        frozenset({"port", "security", "user", "password"}),
    ),
    ReceiverKind.webhook: (frozenset({"url"}), frozenset({"authorization"})),
}
"""Required and optional members of each kind."""

_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_SLACK = re.compile(r"/services/(T[A-Z0-9]{4,20})/(B[A-Z0-9]{4,20})/([A-Za-z0-9]{16,40})")
_DISCORD = re.compile(r"/api/webhooks/([0-9]{5,25})/([A-Za-z0-9_-]{20,120})")
_BOT = re.compile(r"[0-9]{5,15}:[A-Za-z0-9_-]{30,50}")
_CHAT = re.compile(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{3,64}")
_MAIL = re.compile(r"[^@\s,<>\"]{1,64}@[a-zA-Z0-9.-]{1,253}")
_SECURITY = {"starttls": 587, "ssl": 465, "insecure": 25}
_MAIL_PORTS = frozenset(_SECURITY.values())
_MOST = 20
EVERY_HOST = "*"


def receiver_refusal(
    kind: str,
    host: str,
    port: int,
    *,
    hosts: Collection[str],
    private_hosts: Collection[str] = (),
    ports: Collection[int] = (),
) -> str:
    """Why a channel may not lead to a host and port; empty if it may.

    `hosts` are the names allowed: `.example.com` is all below that name, `*` is every public host, none at all is none.
    What listens at a host of one's own is known to who named it: there every port may be used. Elsewhere mail goes to
    the ports of mail, all else to 443 and `ports`.
    """
    if not 0 < port < 65536:
        return f"port {port} is none"
    if host in private_hosts:
        return ""
    if not _is_listed(host, hosts):
        return f"{host} is not among NOTIFY_HOSTS"
    if kind == ReceiverKind.email:
        if port not in _MAIL_PORTS:
            return f"port {port} is none of mail ({', '.join(map(str, sorted(_MAIL_PORTS)))})"
    elif port != 443 and port not in ports:
        return f"port {port} is neither 443 nor among NOTIFY_PORTS"
    return ""


def _is_listed(host: str, hosts: Collection[str]) -> bool:
    return EVERY_HOST in hosts or any(
        host == name or (name.startswith(".") and host.endswith(name)) for name in hosts
    )


def receiver_parse(kind: str, members: Mapping[str, Any], *, private_hosts: Collection[str] = ()) -> Receiver:
    """Check the members of a receiver.

    `private_hosts` are the hosts of one's own that may lie at private addresses; only they may be reached without TLS.

    Raises
    ------
    InvalidReceiver : an unknown kind, a missing, unknown or malformed member, a host that may not be reached.
    """
    if kind not in ReceiverKind.__members__:
        raise InvalidReceiver(f"kind: expected one of {', '.join(ReceiverKind)}, was {kind!r}")
    known = ReceiverKind(kind)
    required, optional = MEMBERS[known]
    unknown, missing = sorted(set(members) - required - optional), sorted(required - set(members))
    if unknown:
        raise InvalidReceiver(
            f"{unknown[0]}: no such member of {kind}; known are {', '.join(sorted(required | optional))}"
        )
    if missing:
        raise InvalidReceiver(f"{missing[0]}: {kind} needs it")
    return _PARSERS[known](members, frozenset(private_hosts))


def _slack(members: Mapping[str, Any], private: frozenset[str]) -> Receiver:
    match = _SLACK.fullmatch(_hosted(members["url"], ("hooks.slack.com",)))
    if match is None:
        raise InvalidReceiver("url: expected https://hooks.slack.com/services/T…/B…/…")
    secret = {"token_a": match[1], "token_b": match[2], "token_c": match[3]}
    return Receiver(ReceiverKind.slack, "hooks.slack.com", 443, {"workspace": match[1]}, secret)


def _discord(members: Mapping[str, Any], private: frozenset[str]) -> Receiver:
    match = _DISCORD.fullmatch(_hosted(members["url"], ("discord.com", "discordapp.com")))
    if match is None:
        raise InvalidReceiver("url: expected https://discord.com/api/webhooks/NUMBER/TOKEN")
    secret = {"webhook_id": match[1], "webhook_token": match[2]}
    return Receiver(ReceiverKind.discord, "discord.com", 443, {"webhook": match[1]}, secret)


def _telegram(members: Mapping[str, Any], private: frozenset[str]) -> Receiver:
    token = _text(members, "bot_token")
    if _BOT.fullmatch(token) is None:
        raise InvalidReceiver("bot_token: expected NUMBER:TOKEN as BotFather gives it")
    chats = _texts(members, "chat_ids", _CHAT, "a chat's number or @name")
    return Receiver(ReceiverKind.telegram, "api.telegram.org", 443, {"chat_ids": chats}, {"bot_token": token})


def _email(members: Mapping[str, Any], private: frozenset[str]) -> Receiver:
    host = _text(members, "host").lower()
    if host not in private:
        _check_host(host)
    security = members.get("security", "starttls")
    if security not in _SECURITY:
        raise InvalidReceiver(f"security: expected one of {', '.join(_SECURITY)}, was {security!r}")
    if security == "insecure" and host not in private:
        raise InvalidReceiver("security: insecure is for hosts named in NOTIFY_PRIVATE_HOSTS only")
    port = members.get("port", _SECURITY[security])
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        raise InvalidReceiver(f"port: expected a number of 1 to 65535, was {port!r}")
    sender = _text(members, "sender")
    if _MAIL.fullmatch(sender) is None:
        raise InvalidReceiver("sender: expected an e-mail address")
    recipients = _texts(members, "recipients", _MAIL, "an e-mail address")
    user, password = members.get("user", ""), members.get("password", "")
    if not isinstance(user, str) or not isinstance(password, str) or bool(user) != bool(password):
        raise InvalidReceiver("user: a user and a password go together")
    shown = {"port": port, "security": security, "sender": sender, "recipients": recipients, "user": user}
    return Receiver(ReceiverKind.email, host, port, shown, {"password": password})


def _webhook(members: Mapping[str, Any], private: frozenset[str]) -> Receiver:
    url = _text(members, "url")
    parts = _split(url)
    host = parts.hostname or ""
    is_private = host in private
    if parts.scheme != "https" and not (is_private and parts.scheme == "http"):
        raise InvalidReceiver("url: expected https (plain http only for hosts named in NOTIFY_PRIVATE_HOSTS)")
    if not is_private:
        _check_host(host)
    port = parts.port if parts.port is not None else (443 if parts.scheme == "https" else 80)
    if port == 0:
        raise InvalidReceiver("url: port 0 is none")
    authorization = members.get("authorization", "")
    if not isinstance(authorization, str) or not authorization.isprintable() or len(authorization) > 500:
        raise InvalidReceiver("authorization: expected one line of text")
    shown = {"scheme": parts.scheme, "port": port}
    secret = {"path": parts.path or "/", "query": parts.query, "authorization": authorization}
    return Receiver(ReceiverKind.webhook, host, port, shown, secret)


def _hosted(url: Any, hosts: tuple[str, ...]) -> str:
    """The path of an https address on one of the hosts, without port, query or user; else an empty text."""
    if not isinstance(url, str):
        raise InvalidReceiver("url: expected text")
    parts = _split(url)
    plain = parts.scheme == "https" and parts.hostname in hosts and parts.port in (None, 443)
    return parts.path if plain and not parts.query else ""


def _split(url: str) -> Any:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InvalidReceiver("url: not an address") from None
    if not url.isascii() or any(ord(c) <= 32 or c == "\\" for c in url):
        raise InvalidReceiver("url: expected plain ASCII without spaces or backslashes")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise InvalidReceiver("url: no user in it; a webhook has `authorization`")
    if parts.fragment:
        raise InvalidReceiver("url: no fragment in it")
    return parts


def _check_host(host: str) -> None:
    # A name with a dot and a last label that is no number: never an address in any of its many spellings.
    if _HOST.fullmatch(host) is None or host.rpartition(".")[2] in ("localhost", "local", "internal", "arpa"):
        raise InvalidReceiver(f"host: {host!r} is not the public name of a host")


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members[name]
    if not isinstance(value, str) or not value or len(value) > 2000 or not value.isprintable():
        raise InvalidReceiver(f"{name}: expected text")
    return value


def _texts(members: Mapping[str, Any], name: str, pattern: re.Pattern[str], what: str) -> list[str]:
    values = members[name]
    if not isinstance(values, list) or not 0 < len(values) <= _MOST:
        raise InvalidReceiver(f"{name}: expected a list of 1 to {_MOST}")
    for value in values:
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            raise InvalidReceiver(f"{name}: expected {what}, was {value!r}")
    return list(values)


_PARSERS: dict[ReceiverKind, Callable[[Mapping[str, Any], frozenset[str]], Receiver]] = {
    ReceiverKind.slack: _slack,
    ReceiverKind.telegram: _telegram,
    ReceiverKind.discord: _discord,
    ReceiverKind.email: _email,
    ReceiverKind.webhook: _webhook,
}
