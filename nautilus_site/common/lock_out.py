"""Wrong passwords and codes, counted by account, by address, and for known devices by device: ten in 15 minutes each.

The count is django-axes' own table. Two of its ways are not ours: it writes down what was posted, which holds what
people took for their password, and it counts a guess after it was judged, so that many at once are all judged. Here a
guess is taken out of what is left before anything is judged, and given back when it was right.
"""

from __future__ import annotations

import hashlib
import hmac
from ipaddress import ip_address
from typing import Any, Final

from axes.backends import AxesStandaloneBackend
from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username
from axes.models import AccessAttempt
from axes.signals import user_locked_out
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import F, Q, Sum
from django.http import HttpRequest

from nautilus_site.common.clock import now
from nautilus_site.common.known_devices import known_device
from nautilus_site.common.models import User

DEVICE: Final = "known device "
"""How the user agent of what a known device guesses begins; a browser that calls itself so is taken for none."""
_COUNT = """
INSERT INTO axes_accessattempt (username, ip_address, user_agent, path_info, attempt_time, failures_since_start,
                                http_accept, get_data, post_data)
VALUES (%(username)s, %(address)s::inet, %(agent)s, %(path)s, %(at)s, 1, '', '', '')
ON CONFLICT (username, ip_address, user_agent) DO UPDATE
   SET failures_since_start = CASE WHEN axes_accessattempt.attempt_time < %(since)s THEN 1
                                   ELSE axes_accessattempt.failures_since_start + 1 END,
       attempt_time = excluded.attempt_time, path_info = excluded.path_info
RETURNING id
"""


def account_name(request: HttpRequest | None, credentials: dict[str, Any] | None) -> str:
    """The account that is guessed for. A name nobody has is not kept but as a digest: it may be a password."""
    name = str((credentials or {}).get("username") or "")
    known: dict[str, str] = getattr(request, "account_names", {})
    if name not in known:
        exists = "\x00" not in name and User.objects.filter(username=name).exists()
        known[name] = name if exists else _nobody(name)
        if request is not None:
            request.account_names = known  # type: ignore[attr-defined]  # asked for several times in a request
    return known[name]


def _nobody(name: str) -> str:
    return "nobody " + hmac.new(settings.SECRET_KEY.encode(), name.encode(), hashlib.sha256).hexdigest()[:16]


class LockOutHandler(AxesDatabaseHandler):
    """Takes guesses, and says when none is left."""

    def is_allowed(self, request: Any, credentials: dict[str, Any] | None = None) -> bool:
        """Take a guess. False: none is left, and this one is judged by nobody and counts for nothing.

        Of many at once no more are let through than are left: the count each reads holds itself and all before it.
        """
        request.guess = None
        if self.get_failures(request, credentials) >= settings.AXES_FAILURE_LIMIT:
            return False
        moment = now()
        with connection.cursor() as cursor:
            cursor.execute(
                _COUNT,
                {
                    "username": get_client_username(request, credentials),
                    "address": _address(request),
                    "agent": _agent(request, credentials),
                    "path": request.path[:255],
                    "at": moment,
                    "since": moment - settings.AXES_COOLOFF_TIME,
                },
            )
            request.guess = int(cursor.fetchone()[0])
        if self.get_failures(request, credentials) > settings.AXES_FAILURE_LIMIT:
            guess_give_back(request)
            return False
        return True

    def get_failures(self, request: Any, credentials: dict[str, Any] | None = None) -> int:
        """The larger of what was guessed for this account and from this address; on a known device, from there."""
        recent = AccessAttempt.objects.filter(attempt_time__gte=now() - settings.AXES_COOLOFF_TIME)
        username, agent = get_client_username(request, credentials), _agent(request, credentials)
        if agent.startswith(DEVICE):
            return _sum(recent.filter(user_agent=agent))
        address = _address(request)
        here = Q(ip_address__isnull=True) if address is None else Q(ip_address=address)
        others = recent.exclude(user_agent__startswith=DEVICE)
        return max(_sum(others.filter(username=username)), _sum(others.filter(here)))

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: Any = None, **_: Any
    ) -> None:
        """The guess that was taken stays taken. With the last one, and after it, the answer is that none is left."""
        if request is None:
            return
        request.axes_failures_since_start = self.get_failures(request, credentials)
        refused = getattr(request, "guess", None) is None
        if not refused and request.axes_failures_since_start < settings.AXES_FAILURE_LIMIT:
            return
        request.axes_locked_out, request.axes_credentials = True, credentials
        if not refused:  # told once, not with every knock at the locked door
            user_locked_out.send(
                "axes",
                request=request,
                username=get_client_username(request, credentials),
                ip_address=request.axes_ip_address,
            )

    def user_logged_in(self, sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
        """A known device starts again from nothing. Nobody else does: what others guessed is not forgiven by this."""
        super().user_logged_in(sender, request, user, **kwargs)
        guess_give_back(request)
        agent = _agent(request, {"username": user.get_username()})
        if agent.startswith(DEVICE):
            AccessAttempt.objects.filter(user_agent=agent).delete()


class LockOutBackend(AxesStandaloneBackend, ModelBackend):
    """Judges a password if a guess is left, and asks nobody else about one that is wrong."""

    def authenticate(self, request: Any, username: Any = None, password: Any = None, **kwargs: Any) -> Any:
        AxesStandaloneBackend.authenticate(self, request, username=username, password=password, **kwargs)
        user = ModelBackend.authenticate(self, request, username=username, password=password)
        if user is None:
            raise PermissionDenied
        guess_give_back(request)
        return user


def guess_give_back(request: Any) -> None:
    """What was taken was right, or one too many."""
    guess = getattr(request, "guess", None)
    if guess is not None:
        taken = AccessAttempt.objects.filter(pk=guess)
        if not taken.filter(failures_since_start__lte=1).delete()[0]:
            taken.update(failures_since_start=F("failures_since_start") - 1)
        request.guess = None


def _sum(attempts: Any) -> int:
    return attempts.aggregate(n=Sum("failures_since_start"))["n"] or 0


def _agent(request: Any, credentials: dict[str, Any] | None) -> str:
    device = known_device(request, get_client_username(request, credentials))
    if device:
        return DEVICE + device
    agent = request.META.get("HTTP_USER_AGENT", "")[:255].replace("\x00", "")
    return "" if agent.startswith(DEVICE) else agent


def _address(request: Any) -> str | None:
    """The caller's address; None for what is none, and all of those are one place."""
    try:
        return str(ip_address(request.axes_ip_address))
    except ValueError:
        return None
