"""Being away: one's own word for a time, so that nobody waits for who does not look. It moves no power."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import Absence, ChangeHandOver, ChangeRequest, User
from nautilus_site.common.selectors.absences import absence_of, minute_text
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import people_locked
from nautilus_site.common.services.deciders import has_duty
from nautilus_site.common.services.hand_overs import hand_over_standing, hand_over_tell, hand_overs_of
from nautilus_site.common.services.outbox import publish

LONGEST: Final = timedelta(days=90)


@transaction.atomic
def absence_set(*, person: User, until: datetime, stand_in: str | None = None) -> Absence:
    """Say that one is away: what is handed to them is the stand-in's where they may decide it, else everybody's.

    Raises
    ------
    ApplicationError : INVALID_UNTIL, INVALID_STAND_IN.
    """
    moment = now()
    if not moment < until <= moment + LONGEST:
        raise ApplicationError("INVALID_UNTIL", f"expected a time from now on, {LONGEST.days} days at most")
    named = None if stand_in is None else User.objects.filter(username=stand_in).first()
    person, *others = people_locked(person, *([named] if named is not None and named.pk != person.pk else []))
    named = others[0] if others else None
    if stand_in is not None:
        _check_stand_in(person, named, stand_in)
    before = absence_of(person)
    row, _ = Absence.objects.update_or_create(
        user=person, defaults={"until": until, "stand_in": named, "said_at": moment}
    )
    audit_record(
        action="absence.set",
        target=f"user:{person.username}",
        actor=person,
        before=_members(before),
        after=_members(row),
    )
    _announce(person, "away")
    if named is not None and (before is None or before.stand_in_id != named.pk):
        _tell_stand_in(person, named)
    return row


@transaction.atomic
def absence_end(*, person: User) -> None:
    """Say that one is back.

    Raises
    ------
    Conflict : NOT_AWAY.
    """
    (person,) = people_locked(person)
    row = absence_of(person)
    if row is None:
        raise Conflict("NOT_AWAY", "you are not away")
    before = _members(row)
    row.delete()
    audit_record(
        action="absence.ended", target=f"user:{person.username}", actor=person, before=before, after=None
    )
    _announce(person, "back")


def _check_stand_in(person: User, named: User | None, stand_in: str) -> None:
    if not has_duty(person):
        raise ApplicationError(
            "INVALID_STAND_IN", "your role decides nothing, so nobody can stand in for you"
        )
    if stand_in == person.username:
        raise ApplicationError("INVALID_STAND_IN", "somebody else stands in for you")
    if named is None or not has_duty(named):
        raise ApplicationError("INVALID_STAND_IN", f"nobody called {stand_in[:40]!r} may decide requests")
    if (absence := absence_of(named)) is not None:
        raise ApplicationError("INVALID_STAND_IN", f"{named} is away until {minute_text(absence.until)}, too")


def _tell_stand_in(person: User, named: User) -> None:
    """What is in the hands of who goes is the stand-in's from now on: tell them of each, once."""
    pending = ChangeRequest.objects.filter(state=ChangeRequest.State.PENDING, expires_at__gt=now())
    held: dict[ChangeRequest, list[ChangeHandOver]] = {}
    for row in hand_overs_of(pending.filter(hand_overs__receiver=person)).select_related("request"):
        held.setdefault(row.request, []).append(row)
    for request, rows in held.items():
        standing = hand_over_standing(request, rows)
        if standing is not None and standing.hand_over.receiver == person and standing.holder == named:
            hand_over_tell(standing.hand_over, to=named, stands_in_for=person)


def _members(row: Absence | None) -> dict[str, object] | None:
    if row is None:
        return None
    return {"until": row.until, "stand_in": row.stand_in.username if row.stand_in else None}


def _announce(person: User, state: str) -> None:
    publish("approvals", {"kind": "absence", "target": person.username, "state": state})
