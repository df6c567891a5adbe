"""Ending browser sessions: one's own, or anybody's for those who answer for people. It only takes power away."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.sessions.models import Session
from django.db import transaction

from nautilus_site.common.errors import ApplicationError, Forbidden, NotFound
from nautilus_site.common.models import User
from nautilus_site.common.roles import permits
from nautilus_site.common.selectors.sessions import OpenSession, session_open, sessions_open
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.powers import permissions_now, person_may
from nautilus_site.common.services.sessions import sessions_end

ENDING = "sessions.end"


@transaction.atomic
def session_end(*, digest: str, actor: User, held: frozenset[str] | None = None) -> OpenSession:
    """End one session. Its next request is a stranger's; its live pages end with their next look, within five seconds.

    `held` is what the actor's credentials allow, where that is less than all they may.

    Raises
    ------
    NotFound : SESSION_NOT_FOUND, also for one of somebody else.
    """
    held = permissions_now(actor) if held is None else held
    whose = None if permits(held, ENDING) else actor
    found = session_open(digest, whose)
    if found is None:
        raise NotFound("SESSION_NOT_FOUND", "no such session")
    _end([found])
    audit_record(
        action="session.ended",
        target=f"user:{found.user.username}",
        actor=actor,
        before={"opened_at": found.opened_at, "address": found.address},
    )
    return found


@transaction.atomic
def sessions_end_of(*, username: str, actor: User, reason: str = "") -> int:
    """End every session of a person, also what no list shows. Their tokens stay. Returns how many there were.

    Raises
    ------
    Forbidden : PERMISSION_DENIED.  NotFound : USER_NOT_FOUND.
    ApplicationError : REASON_REQUIRED, for those of somebody else.
    """
    own = username == actor.username
    if not own and not person_may(actor, ENDING):
        raise Forbidden(
            "PERMISSION_DENIED", f"you lack the permission {ENDING}", extra={"permission": ENDING}
        )
    person = User.objects.filter(username=username).first()
    if person is None:
        raise NotFound("USER_NOT_FOUND", f"no user {username!r}")
    if not own and not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    found = sessions_open(person)
    sessions_end(user=person)
    _end(found)
    audit_record(
        action="session.all_ended",
        target=f"user:{username}",
        actor=actor,
        reason=reason.strip(),
        before={"sessions": len(found)},
    )
    return len(found)


def _end(rows: Sequence[OpenSession]) -> None:
    Session.objects.filter(session_key__in=[row.key for row in rows]).delete()
