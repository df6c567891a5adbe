"""Who opened a live stream, and whether they may still watch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.cookies import SimpleCookie
from importlib import import_module
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from nautilus_site.common.admission import Standing, standing_of
from nautilus_site.common.api.authentication import MAXIMUM_TOKEN_LENGTH, bearer_token
from nautilus_site.common.live.database import Gathered
from nautilus_site.common.models import User
from nautilus_site.common.roles import permits
from nautilus_site.common.services.outbox import TOPICS
from nautilus_site.common.services.powers import permissions_now
from nautilus_site.common.services.tokens import token_user


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a stream was opened with; kept so that it can be checked again while the stream is open."""

    token: str | None = None
    session_key: str | None = None
    address: str = ""

    def __repr__(self) -> str:
        return f"Credentials({'token' if self.token is not None else 'session'})"


@dataclass(frozen=True, slots=True)
class Watcher:
    """An authenticated reader of live topics."""

    user_id: int
    username: str
    permissions: frozenset[str]

    def may_watch(self, topic: str) -> bool:
        """`read`, or for a narrowed token `read:TOPIC`."""
        return permits(self.permissions, f"read:{topic}")


def credentials_from(authorization: str, cookie: str, *, address: str) -> Credentials:
    """A bearer token if there is one, with the address it comes from, else the session cookie."""
    token = bearer_token(authorization)
    if token is not None:
        return Credentials(token=token, address=address)
    morsel = SimpleCookie(cookie).get(settings.SESSION_COOKIE_NAME) if cookie else None
    return Credentials(session_key=morsel.value if morsel else None)


def watcher_of(credentials: Credentials) -> Watcher | None:
    """The reader these credentials stand for at this moment; None when they are not (or no longer) good.

    An open stream asks every five seconds, and so keeps its session in use.
    """
    scopes: Iterable[str] = ()
    user: Any = None
    if credentials.token is not None:
        known = 0 < len(credentials.token) <= MAXIMUM_TOKEN_LENGTH
        found = token_user(credentials.token, address=credentials.address) if known else None
        if found is None:
            return None
        user, scopes = found[0], found[1].scopes
    elif credentials.session_key:
        request = HttpRequest()
        request.session = import_module(settings.SESSION_ENGINE).SessionStore(credentials.session_key)
        user = get_user(request)
        if isinstance(user, User) and standing_of(user, request.session) is not Standing.FULL:
            return None
    if not isinstance(user, User) or not user.is_active:
        return None
    watcher = Watcher(user.pk, user.username, permissions_now(user, scopes))
    return watcher if any(watcher.may_watch(topic) for topic in TOPICS) else None


def watchers_of(asked: Sequence[Credentials]) -> list[Watcher | None]:
    """The readers of many credentials; the same ones are looked up once."""
    found = {credentials: watcher_of(credentials) for credentials in dict.fromkeys(asked)}
    return [found[credentials] for credentials in asked]


_reads: WeakKeyDictionary[asyncio.AbstractEventLoop, Gathered[Credentials, Watcher | None]] = (
    WeakKeyDictionary()
)


async def watcher_now(credentials: Credentials) -> Watcher | None:
    """`watcher_of` for a stream: what many ask at the same time is answered over one connection."""
    return await _reads.setdefault(asyncio.get_running_loop(), Gathered(watchers_of)).ask(credentials)
