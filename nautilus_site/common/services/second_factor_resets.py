"""Taking a second factor away from who has lost it. That lowers security: an admin asks, a risk officer approves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, Forbidden, NotFound
from nautilus_site.common.models import ChangeRequest, SecondFactor, User
from nautilus_site.common.services.appliers import Applier, Rows, register_applier
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.second_factors import second_factor_confirmed, second_factor_told
from nautilus_site.common.services.sessions import sessions_end
from nautilus_site.common.services.users import WHOEVER

USER_RESET_SECOND_FACTOR = "user.reset_second_factor"


def reset_snapshot(username: str) -> Mapping[str, Any]:
    """Which factor it is about: one confirmed since then is another one."""
    factor = second_factor_confirmed(_person(username))
    return {"confirmed_at": factor.confirmed_at if factor else None}


def reset_rows(username: str) -> Rows:
    return [
        User.objects.filter(username=username),
        SecondFactor.objects.filter(user__username=username),
    ]


def reset_clean(username: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Nothing beside the name.

    Raises
    ------
    ApplicationError : INVALID_CHANGE.  NotFound : USER_NOT_FOUND.  Conflict : NO_SECOND_FACTOR.
    """
    if payload:
        raise ApplicationError("INVALID_CHANGE", "a reset takes no payload")
    if second_factor_confirmed(_person(username)) is None:
        raise Conflict("NO_SECOND_FACTOR", f"{username} has no second factor")
    return {}


def reset_effect(username: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What holds until they have set up another one."""
    live = _person(username).api_tokens.filter(revoked_at=None, expires_at__gt=now()).count()
    return {
        "log_in": "by the password alone, until another factor is set up",
        "sessions": "all of the person's end",
        "live_tokens": live,
    }


def reset_bars(username: str, person: User) -> str:
    """Nobody takes part in the reset of their own."""
    return "it is about your own second factor" if person.username == username else ""


@transaction.atomic
def reset_apply(request: ChangeRequest, approver: User) -> None:
    """Forget an approved person's factor and recovery codes, and end their sessions."""
    user = User.objects.select_for_update(no_key=True).get(username=request.target)
    if user.pk in (approver.pk, request.requester_id):
        raise Forbidden("SELF_APPROVAL", "nobody takes part in the reset of their own second factor")
    SecondFactor.objects.filter(user=user).delete()
    sessions_end(user=user)
    audit_record(
        action="second_factor.reset", target=f"user:{user.username}", actor=approver, reason=request.reason
    )
    second_factor_told(user, "reset", by=[request.requester.username, approver.username])


def _person(username: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NotFound("USER_NOT_FOUND", f"no user {username!r}")
    return user


register_applier(
    USER_RESET_SECOND_FACTOR,
    Applier(
        snapshot=reset_snapshot,
        apply=reset_apply,
        effect=reset_effect,
        clean=reset_clean,
        bars=reset_bars,
        bars_asking=reset_bars,
        permission="users.manage",
        rows=reset_rows,
        target=WHOEVER,
    ),
)
