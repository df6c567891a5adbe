"""Who may decide about a request: the one answer that deciding, the inbox and handing over go by."""

from __future__ import annotations

from typing import Final

from nautilus_site.common.errors import ApplicationError, Forbidden
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.roles import ROLE_PERMISSIONS, permissions_of, permits
from nautilus_site.common.services.appliers import applier_for
from nautilus_site.common.services.break_glass import break_glass_over

DECIDING: Final = "change.decide"
ROLES: Final = tuple(role for role, held in ROLE_PERMISSIONS.items() if permits(held, DECIDING))


def has_duty(person: User) -> bool:
    """Whether a person may decide about anything at all, as their row is now."""
    return (
        person.is_active and permits(permissions_of(person.role), DECIDING) and not break_glass_over(person)
    )


def deciders() -> list[User]:
    """Everybody who has the duty now, by name, each with their absence."""
    rows = User.objects.filter(role__in=ROLES, is_active=True).select_related("absence__stand_in")
    return [person for person in rows.order_by("username") if has_duty(person)]


def decider_check(request: ChangeRequest, decider: User) -> None:
    """Refuse who may not decide; `decider` as the row is now.

    Raises
    ------
    Forbidden : SELF_APPROVAL, ROLE_REQUIRED, OWN_OBJECT.  ApplicationError : UNKNOWN_CHANGE.
    """
    if decider.pk == request.requester_id:
        raise Forbidden("SELF_APPROVAL", "a request is decided by somebody else than its requester")
    if not has_duty(decider):
        raise Forbidden("ROLE_REQUIRED", "your role may not decide this request")
    if barred := _barred(request, decider):
        raise Forbidden("OWN_OBJECT", f"somebody else decides: {barred}")


def decider_refused(request: ChangeRequest, person: User, *, on_duty: bool | None = None) -> str:
    """Why a person may not decide about a request, in words about them; empty: they may, as things are now.

    Parameters
    ----------
    on_duty : what `has_duty` says of them, for who asks about many requests; None: it is looked at here.
    """
    if person.pk == request.requester_id:
        return f"{person} asked for it"
    if not person.is_active:
        return f"{person} is switched off"
    if not (has_duty(person) if on_duty is None else on_duty):
        return f"{person} has no role that decides"
    try:
        return _barred(request, person)
    except ApplicationError as error:  # a kind nobody has registered is nobody's to decide
        return error.message


def _barred(request: ChangeRequest, person: User) -> str:
    return applier_for(request.kind).barred(request.target, request.payload, person)
