"""Changing what a person may do. Only as an approved change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, Role, User
from nautilus_site.common.roles import permissions_of
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import Applier, register_applier

USER_CHANGE = "user.change"
FIELDS = ("role", "is_active")


def user_snapshot(username: str) -> Mapping[str, Any]:
    """The governed part of a person."""
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NotFound("USER_NOT_FOUND", f"no user {username!r}")
    return {name: getattr(user, name) for name in FIELDS}


def user_change_clean(username: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """What differs from now, out of a known role and a yes or no for being active; anything else is refused.

    Raises
    ------
    ApplicationError : INVALID_CHANGE.  NotFound : USER_NOT_FOUND.  Conflict : NO_CHANGE.
    """
    if not payload or set(payload) - set(FIELDS):
        raise ApplicationError("INVALID_CHANGE", f"a user's {' and '.join(FIELDS)} can be changed")
    if "role" in payload and payload["role"] not in Role.values:
        raise ApplicationError("INVALID_CHANGE", f"role: expected one of {', '.join(Role.values)}")
    if "is_active" in payload and not isinstance(payload["is_active"], bool):
        raise ApplicationError("INVALID_CHANGE", "is_active: expected true or false")
    now_has = user_snapshot(username)
    changed = {name: value for name, value in payload.items() if value != now_has[name]}
    if not changed:
        raise Conflict("NO_CHANGE", f"{username} is that already")
    return changed


def user_change_effect(username: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the person may do afterwards that they may not now, and the other way round."""
    user = User.objects.get(username=username)
    before = permissions_of(user.role) if user.is_active else frozenset()
    after = (
        permissions_of(payload.get("role", user.role))
        if payload.get("is_active", user.is_active)
        else frozenset()
    )
    live = user.api_tokens.filter(revoked_at=None, expires_at__gt=now()).count()
    return {
        "may_then": sorted(after - before) or "nothing more",
        "no_longer": sorted(before - after) or "nothing less",
        "live_tokens": live,
    }


@transaction.atomic
def user_change(request: ChangeRequest, approver: User) -> None:
    """Carry out an approved change. Open sessions and sockets notice at their next request or check."""
    user = User.objects.select_for_update().get(username=request.target)
    if user.pk == approver.pk:
        raise ApplicationError("SELF_APPROVAL", "nobody approves a change of their own powers", status=403)
    before = {name: getattr(user, name) for name in request.payload}
    for name, value in request.payload.items():
        setattr(user, name, value)
    user.is_staff = user.role != Role.VIEWER
    user.save(update_fields=[*request.payload, "is_staff"])
    audit_record(
        action="user.changed",
        target=f"user:{user.username}",
        actor=approver,
        reason=request.reason,
        before=before,
        after=request.payload,
    )


register_applier(
    USER_CHANGE,
    Applier(
        snapshot=user_snapshot,
        apply=user_change,
        effect=user_change_effect,
        clean=user_change_clean,
        requester_roles=frozenset({Role.ADMIN}),
    ),
)
