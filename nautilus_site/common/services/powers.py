"""What a person may do at this moment: what their role allows, and what break-glass gave them until its hour is over.

The one place that goes from a person to permissions; `roles.py` goes from a role to them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final

from nautilus_site.common.clock import now
from nautilus_site.common.models import BreakGlass, Role, User
from nautilus_site.common.roles import permissions_of, permits

ASKED_AGAIN_S: Final = 1.0
"""An admin's page asks for the powers of one person hundreds of times; a person is read anew for each request."""


def role_now(person: User) -> str:
    """The role that counts. Once the hour of break-glass is over it is the one of before, though nothing closed it yet.

    So what they could do before, a kill for one, they go on being able to.
    """
    if person.role not in (Role.ADMIN, Role.RISK_OFFICER):
        return str(person.role)  # no role that break-glass gives: nothing to ask for
    for row in _over_and_not_closed(person):
        for keeper, given, before in (
            (row.first_id, Role.ADMIN, row.first_was),
            (row.second_id, Role.RISK_OFFICER, row.second_was),
        ):
            if (person.pk, person.role) == (keeper, given):
                return before
    return str(person.role)


def _over_and_not_closed(person: User) -> list[BreakGlass]:
    asked = person.__dict__.get("_break_glass_over")
    if asked is None or time.monotonic() - asked[0] > ASKED_AGAIN_S:
        asked = (time.monotonic(), list(BreakGlass.objects.filter(ended_at=None, ends_at__lte=now())))
        person.__dict__["_break_glass_over"] = asked
    found: list[BreakGlass] = asked[1]
    return found


def permissions_now(person: Any, scopes: Iterable[str] = ()) -> frozenset[str]:
    """Everything a person may do, narrowed by a token's scopes. Strangers: nothing."""
    return permissions_of(role_now(person), scopes) if isinstance(person, User) else frozenset()


def person_may(person: Any, permission: str) -> bool:
    """Whether a person holds a permission, or the whole of which it is a part."""
    return permits(permissions_now(person), permission)
