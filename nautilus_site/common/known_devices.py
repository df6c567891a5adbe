"""Browsers that an account was logged in from before: what others guess for it does not lock these out.

A device holds a signed cookie for each account that was used there. It opens nothing: it says by whose count wrong
passwords from there go.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, HttpResponse

from nautilus_site.common.middleware import Middleware
from nautilus_site.common.models import User

LIFE: Final = timedelta(days=90)
"""Counted from the last log-in there."""
_SALT: Final = "nautilus_site.common.known_devices"


def known_device(request: HttpRequest, username: str) -> str:
    """The name of the device the request comes from, if this account was used there. Empty: it was not."""
    mark = _mark(username)
    try:
        said = TimestampSigner(salt=_SALT).unsign(request.COOKIES.get(_cookie(mark), ""), max_age=LIFE)
    except BadSignature:
        return ""
    whose, _, device = said.partition(".")
    return device if hmac.compare_digest(whose, mark) else ""


def device_remember(request: HttpRequest, user: User) -> None:
    """Have the answer to this request make its device one the account is known on, for as long as from now."""
    device = known_device(request, user.username) or secrets.token_hex(16)
    request.device_to_remember = (user.username, device)  # type: ignore[attr-defined]


class KnownDeviceMiddleware(Middleware):
    """Gives a device its cookie with the answer to the log-in."""

    def before(self, request: HttpRequest) -> None:
        """Nothing is asked of a request but by who counts its guesses."""

    def after(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        username, device = getattr(request, "device_to_remember", (None, None))
        if username is not None:
            mark = _mark(username)
            response.set_cookie(
                _cookie(mark),
                TimestampSigner(salt=_SALT).sign(f"{mark}.{device}"),
                max_age=LIFE,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Strict",
            )
        return response


def _mark(username: str) -> str:
    """The account in the cookie: whoever reads it learns no name."""
    return hmac.new(settings.SECRET_KEY.encode(), f"{_SALT}:{username}".encode(), hashlib.sha256).hexdigest()[
        :24
    ]


def _cookie(mark: str) -> str:
    return f"{settings.DEVICE_COOKIE_PREFIX}{mark}"
