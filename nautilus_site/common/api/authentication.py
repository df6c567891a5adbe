"""Who is calling: a bearer token, or a browser session with CSRF protection."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from nautilus_site.common.addresses import request_address
from nautilus_site.common.models import ApiToken, User
from nautilus_site.common.services.tokens import token_user

MAXIMUM_TOKEN_LENGTH = 256


class BearerTokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer TOKEN`. `request.auth` is then the ApiToken."""

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        text = bearer_token(request.META.get("HTTP_AUTHORIZATION", ""))
        if text is None:
            return None
        known = text and len(text) <= MAXIMUM_TOKEN_LENGTH
        found = token_user(text, address=request_address(request)) if known else None
        if found is None:
            raise exceptions.AuthenticationFailed(
                "the token is unknown, expired, revoked or not taken from here"
            )
        return found

    def authenticate_header(self, request: Request) -> str:
        return f'{self.keyword} realm="api"'


class SessionAuthentication(authentication.SessionAuthentication):
    """The browser's session; unsafe methods need the CSRF token."""

    def enforce_csrf(self, request: HttpRequest) -> None:
        try:
            super().enforce_csrf(request)  # type: ignore[arg-type]
        except exceptions.PermissionDenied as refused:
            raise exceptions.PermissionDenied(str(refused.detail), code="CSRF_FAILED") from None


def bearer_token(header: str) -> str | None:
    """The token of an Authorization header; empty when it is malformed, None when the scheme is another."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "bearer":
        return None
    token: Any = rest.strip()
    return token if token.isascii() and " " not in token else ""
