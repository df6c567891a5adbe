"""Who may open a socket: known credentials, and for browsers a page of our own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

from nautilus_site.common.addresses import client_address
from nautilus_site.common.live.credentials import credentials_from, watcher_now

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
REFUSED = 4403
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class LiveHandshake:
    """ASGI middleware: puts `watcher` and `credentials` into the scope, or refuses before accepting.

    A cookie travels with any page's socket, so a socket with one must name our own origin. A bearer token
    does not, so with a token the header may be missing; if it is there it must match all the same.
    """

    def __init__(self, inner: Application) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        credentials = credentials_from(
            headers.get("authorization", ""),
            headers.get("cookie", ""),
            address=client_address((scope.get("client") or ("",))[0], headers.get("x-forwarded-for", "")),
        )
        watcher = None
        if origin_allowed(
            headers.get("origin"), headers.get("host", ""), may_be_missing=credentials.token is not None
        ):
            watcher = await watcher_now(credentials)
        if watcher is None:
            await receive()
            await send({"type": "websocket.close", "code": REFUSED, "reason": "not permitted"})
            return
        await self.inner({**scope, "watcher": watcher, "credentials": credentials}, receive, send)


def origin_allowed(origin: str | None, host: str, *, may_be_missing: bool) -> bool:
    """Whether the Origin header names the host the request was sent to, and that host is ours."""
    if not validate_host(_without_port(host), settings.ALLOWED_HOSTS):
        return False
    if origin is None:
        return may_be_missing
    try:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
            return False
        ours = urlsplit(f"{parts.scheme}://{host}")
        default = DEFAULT_PORTS[parts.scheme]
        return parts.hostname == ours.hostname and (parts.port or default) == (ours.port or default)
    except ValueError:
        return False


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name.lower() if colon and port.isdigit() else host.lower()
