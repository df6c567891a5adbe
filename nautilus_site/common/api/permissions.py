"""Default deny: a view says which permission each of its methods needs, or it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from rest_framework import exceptions
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from nautilus_site.common.errors import Forbidden
from nautilus_site.common.models import ApiToken
from nautilus_site.common.roles import PERMISSIONS, PERSON_ONLY, permits
from nautilus_site.common.services.powers import permissions_now
from nautilus_site.common.sessions import authentication_age_s

if TYPE_CHECKING:
    from rest_framework.views import APIView

log = structlog.get_logger(__name__)


class DeclaredPermission(BasePermission):
    """Reads `view.required = {"GET": "read", "POST": "orders.place"}`.

    Where what it takes depends on the body, `view.any_of = {"PUT": ("limits.tighten", "risk.propose")}` names all that
    it may be: who holds none of them is refused here, and the view asks for the one (`require_permission`).

    `view.person_only = {"POST"}` demands a recent browser log-in for methods whose permission does not
    already (`roles.PERSON_ONLY`); `view.session_only = {"POST"}` only that it is a person's and no token.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = request.user
        if not user or not user.is_authenticated:
            raise exceptions.NotAuthenticated
        method = "GET" if request.method in ("HEAD", "OPTIONS") else str(request.method)
        required: dict[str, str] = getattr(view, "required", {})
        permission = required.get(method)
        if permission is None:
            if required and not hasattr(view, method.lower()):
                return True  # no handler for this method: the view answers 405 itself
            log.error("api_permission_undeclared", view=type(view).__qualname__, method=method)
            raise Forbidden(
                "PERMISSION_UNDECLARED", "this operation is closed: no permission is declared for it"
            )
        require_permission(request, permission)
        alternatives = getattr(view, "any_of", {}).get(method, ())
        if alternatives and not any(permits(request_permissions(request), each) for each in alternatives):
            require_permission(request, alternatives[0])
        if permission in PERSON_ONLY or method in getattr(view, "person_only", ()):
            require_recent_login(request)
        elif method in getattr(view, "session_only", ()):
            require_session(request)
        return True


def require_permission(request: Any, permission: str) -> None:
    """Refuse with PERMISSION_DENIED, naming the permission, unless role and token scopes allow it.

    For views whose permission depends on the body: `require_permission(self.request, "change.request")`.
    """
    if permission not in PERMISSIONS:
        raise ValueError(f"unknown permission {permission!r}")
    if not permits(request_permissions(request), permission):
        raise Forbidden(
            "PERMISSION_DENIED",
            f"you lack the permission {permission} ({PERMISSIONS[permission]})",
            extra={"permission": permission},
        )


def request_permissions(request: Any) -> frozenset[str]:
    """Everything the caller may do with these credentials."""
    token = getattr(request, "auth", None)
    scopes = token.scopes if isinstance(token, ApiToken) else ()
    return permissions_now(request.user, scopes)


def require_session(request: Any) -> None:
    """Refuse tokens (SESSION_REQUIRED)."""
    if isinstance(getattr(request, "auth", None), ApiToken):
        raise Forbidden("SESSION_REQUIRED", "this is for people: log in with a browser session")


def require_recent_login(request: Any) -> None:
    """Refuse tokens (SESSION_REQUIRED) and sessions whose log-in is too old (STEP_UP_REQUIRED)."""
    require_session(request)
    age = authentication_age_s(getattr(request, "session", None))
    limit = settings.STEP_UP_MAX_AGE.total_seconds()
    if age is None or age > limit:
        raise Forbidden(
            "STEP_UP_REQUIRED",
            f"your log-in is older than {limit / 60:g} minutes: log in again and repeat the request",
            extra={"renew": settings.LOGIN_URL, "max_age_s": int(limit)},
        )
