"""Where a browser session was opened and when it was last used, so that people can tell theirs from a stranger's."""

from __future__ import annotations

import hashlib
import time
from typing import Any, Final

import structlog
from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.core.cache import cache
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin
from redis.exceptions import RedisError

from nautilus_site.common.addresses import request_address
from nautilus_site.common.models import User

log = structlog.get_logger(__name__)
OPENED: Final = "opened"
"""Session key: `at` (epoch seconds), `address` and `agent` of the latest log-in."""
GRAIN_S: Final = 30.0
"""How often a use is noted at most, by each process."""
_MOST: Final = 5_000
_noted: dict[str, float] = {}


def session_digest(key: str) -> str:
    """How others may know a session: its key is as good as the log-in."""
    return hashlib.sha256(key.encode()).hexdigest()


@receiver(user_logged_in, dispatch_uid="common.remember_place")
def remember_place(sender: Any, request: Any, user: User, **_: Any) -> None:
    """Write the place into the session with its log-in."""
    if request is not None and hasattr(request, "session"):
        agent = request.META.get("HTTP_USER_AGENT", "").replace("\x00", "")
        request.session[OPENED] = {
            "at": time.time(),
            "address": request_address(request),
            "agent": agent[:200],
        }


class SessionSeenMiddleware(MiddlewareMixin):
    """Notes the use of a session whose person was asked for. In the broker: it only informs, and is written often."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        known = (vars(request).get(name) for name in ("_cached_user", "_acached_user", "user"))
        # By type: one that nobody asked for is a promise, which is not to be redeemed for this.
        person = next((each for each in known if type(each) is User), None)
        key = getattr(getattr(request, "session", None), "session_key", None)
        if person is not None and key:
            seen_note(session_digest(key))
        return response


def seen_note(digest: str) -> None:
    """Note that a session is used now."""
    moment = time.time()
    if moment - _noted.get(digest, 0.0) < GRAIN_S:
        return
    if len(_noted) >= _MOST:
        _noted.clear()
    _noted[digest] = moment
    try:
        cache.set(_name(digest), moment, timeout=settings.SESSION_COOKIE_AGE)
    except RedisError as error:
        log.warning("session_use_not_noted", error=type(error).__name__)


def seen_at(digests: list[str]) -> dict[str, float]:
    """When each was used last, in epoch seconds; one nobody knows of is left out."""
    try:
        found = cache.get_many([_name(digest) for digest in digests])
    except RedisError as error:
        log.warning("session_uses_not_read", error=type(error).__name__)
        return {}
    return {name.rpartition(":")[2]: float(at) for name, at in found.items()}


def _name(digest: str) -> str:
    return f"session-seen:{digest}"
