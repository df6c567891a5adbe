"""What a session is good for: everything, setting up a second factor, or nothing any more."""

from __future__ import annotations

from enum import Enum
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.deprecation import MiddlewareMixin

from nautilus_site.common.api.authentication import bearer_token
from nautilus_site.common.api.problems import plain_problem
from nautilus_site.common.models import User
from nautilus_site.common.services.break_glass import break_glass_admits
from nautilus_site.common.services.second_factors import second_factor_confirmed
from nautilus_site.common.services.sessions import session_is_idle
from nautilus_site.common.sessions import SECOND_FACTOR, authentication_age_s

PROBES = frozenset({"/livez", "/readyz", "/version", "/metrics", "/favicon.ico"})
"""They ask nothing of a session, and answer while Postgres is away."""
OPEN = frozenset(
    {settings.SECOND_FACTOR_URL, settings.LOGIN_URL, settings.CODE_URL}
    | {f"/accounts/{name}/" for name in ("password", "welcome", "logout", "logout/everywhere")}
)
"""All that a session reaches whose person has yet to set up a second factor."""
FOR_MACHINES = ("/api/", "/state/")


class Standing(Enum):
    """What a session is good for."""

    FULL = "everything its person may"
    TO_ENROL = "setting up a second factor"
    ENDED = "nothing"


def standing_of(user: User, session: Any) -> Standing:
    """What this person's session is good for at this moment. Asking counts as using it."""
    age_s = authentication_age_s(session)
    # Django counts from when a session was last written; what ends it here is the age of its log-in.
    if (age_s is not None and age_s > settings.SESSION_COOKIE_AGE) or session_is_idle(session):
        return Standing.ENDED
    if session.get(SECOND_FACTOR):
        return Standing.FULL
    has_one = second_factor_confirmed(user) is not None
    if not (has_one or settings.REQUIRE_SECOND_FACTOR) or break_glass_admits(user):
        return Standing.FULL
    # With one: opened past the log-in page, which asks for it; or by break-glass, whose hour is over.
    return Standing.ENDED if has_one else Standing.TO_ENROL


class AdmissionMiddleware(MiddlewareMixin):
    """Ends sessions that are over, and keeps those without a second factor to where one is set up.

    What a token may do is not its business: with one, the session is looked past.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if request.path in PROBES or settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return None
        user = request.user
        if not isinstance(user, User):
            return None
        standing = standing_of(user, request.session)
        if standing is Standing.FULL or (standing is Standing.TO_ENROL and request.path in OPEN):
            return None
        request.user = AnonymousUser()
        if standing is Standing.ENDED:
            request.session.flush()
            return None
        if not request.path.startswith(FOR_MACHINES):
            return HttpResponseRedirect(settings.SECOND_FACTOR_URL)
        if bearer_token(request.headers.get("Authorization", "")) is not None:
            return None
        return plain_problem(
            request,
            "SECOND_FACTOR_REQUIRED",
            "set up a second factor first: until then nothing else is open to you",
            403,
            {"enrol": settings.SECOND_FACTOR_URL},
        )
