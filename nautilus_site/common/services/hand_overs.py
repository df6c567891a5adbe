"""Putting a request into somebody's hands. It says who should look; who may decide stays what it was.

What was handed over is a fact; whose it is now is found out whenever somebody asks. So whoever is away, switched off or
in another role by now holds nothing up: the request is everybody's again at that moment, and says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, Forbidden
from nautilus_site.common.models import ChangeHandOver, ChangeRequest, User
from nautilus_site.common.selectors.absences import absence_of, minute_text
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import people_locked, request_locked_pending
from nautilus_site.common.services.deciders import decider_check, decider_refused
from nautilus_site.common.services.outbox import publish
from nautilus_site.common.services.powers import person_may

HANDING: Final = "change.request"
MOST: Final = 50
_TOLD: Final = 300


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest hand-over of a request that waits, and what it comes to now."""

    hand_over: ChangeHandOver
    holder: User | None
    """Whose it is to decide first; None: everybody's again."""
    why: str
    """Why that is not the person who was named; empty: it is."""


def hand_over_standing(request: ChangeRequest, rows: Sequence[ChangeHandOver]) -> Standing | None:
    """Whose a request is; None where nobody was named, or it was given back.

    Parameters
    ----------
    rows : all hand-overs of the request, oldest first, with their people and the absences of these.
    """
    newest = rows[-1] if rows else None
    if newest is None or newest.receiver is None:
        return None
    named = newest.receiver
    if refused := decider_refused(request, named):
        return Standing(newest, None, refused)
    absence = absence_of(named)
    if absence is None:
        return Standing(newest, named, "")
    away = f"{named} is away until {minute_text(absence.until)}"
    stand_in = absence.stand_in
    if stand_in is None:
        return Standing(newest, None, away)
    if refused := decider_refused(request, stand_in):
        return Standing(newest, None, f"{away}, and {refused}")
    if absence_of(stand_in) is not None:
        return Standing(newest, None, f"{away}, and so is {stand_in}, who stands in")
    return Standing(newest, stand_in, f"{away}; {stand_in} stands in")


def handed_members(request: ChangeRequest) -> dict[str, Any] | None:
    """Who should decide a request that waits, as pages and the API tell it; None: anybody who may."""
    standing = hand_over_standing(request, list(request.hand_overs.all()))
    if standing is None:
        return None
    row = standing.hand_over
    assert row.receiver is not None, "what was given back is nobody's"
    return {
        "by": row.giver.username,
        "to": row.receiver.username,
        "at": row.at,
        "note": row.note,
        "holder": standing.holder.username if standing.holder else None,
        "why": standing.why,
    }


@transaction.atomic
def change_request_hand_over(
    *, request_id: Any, giver: User, receiver: str | None, note: str = ""
) -> ChangeHandOver:
    """Name who should decide about a request that waits, or give it back to everybody.

    Parameters
    ----------
    giver : who may decide about it, or asked for it.
    receiver : user name of another who may decide about it; one's own takes it on. None: back to everybody.

    Raises
    ------
    NotFound : APPROVAL_NOT_FOUND.  Forbidden : as deciding; ROLE_REQUIRED.
    Conflict : APPROVAL_CLOSED, APPROVAL_EXPIRED, TOO_MANY_HAND_OVERS; ALREADY_THEIRS; PERSON_AWAY.
    ApplicationError : INVALID_RECEIVER, INVALID_NOTE.
    """
    note = note.strip()
    if len(note) > ChangeHandOver.LONGEST:
        raise ApplicationError("INVALID_NOTE", f"expected at most {ChangeHandOver.LONGEST} characters")
    request = request_locked_pending(request_id)
    if request.expires_at <= now():
        raise Conflict("APPROVAL_EXPIRED", "the request expired before it was handed over")
    named = None if receiver is None else User.objects.filter(username=receiver).first()
    giver, *others = people_locked(giver, *([named] if named is not None and named.pk != giver.pk else []))
    _check_giver(request, giver)
    named = others[0] if others else giver if named is not None else None
    if receiver is not None:
        _check_receiver(request, named, receiver)
    rows = list(hand_overs_of([request]))
    before = rows[-1].receiver if rows else None
    if before == named:
        raise Conflict("ALREADY_THEIRS", f"it is {named}'s already" if named else "it is everybody's already")
    if len(rows) >= MOST:
        raise Conflict("TOO_MANY_HAND_OVERS", f"a request is handed over {MOST} times at most: talk")
    row = ChangeHandOver.objects.create(request=request, giver=giver, receiver=named, note=note, at=now())
    audit_record(
        action="change_request.handed_over" if named else "change_request.given_back",
        target=f"{request.kind}:{request.target}",
        actor=giver,
        reason=note,
        before={"in_hands_of": before.username if before else None},
        after={"in_hands_of": named.username if named else None},
    )
    hand_over_tell(row, to=named)
    return row


def hand_over_tell(row: ChangeHandOver, *, to: User | None, stands_in_for: User | None = None) -> None:
    """Tell screens and, by notifications, the person whose request it is now."""
    publish(
        "approvals",
        {
            "id": str(row.request_id),
            "kind": row.request.kind,
            "target": row.request.target,
            "state": "handed",
            "by": row.giver.username,
            "to": to.username if to else None,
            "stands_in_for": stands_in_for.username if stands_in_for else None,
            "hand_over": row.pk,
            "text": row.note[:_TOLD],
        },
    )


def hand_overs_of(requests: Any) -> Any:
    """The hand-overs of these requests, oldest first, with everybody `hand_over_standing` looks at."""
    return (
        ChangeHandOver.objects.filter(request__in=requests)
        .select_related("giver", "receiver__absence__stand_in__absence")
        .order_by("id")
    )


def _check_giver(request: ChangeRequest, giver: User) -> None:
    """Whoever asked for it may still hand it over while they may ask for anything."""
    if giver.pk != request.requester_id:
        decider_check(request, giver)
    elif not (giver.is_active and person_may(giver, HANDING)):
        raise Forbidden("ROLE_REQUIRED", "your role may neither ask for changes nor decide about them")


def _check_receiver(request: ChangeRequest, named: User | None, receiver: str) -> None:
    if named is None:
        raise ApplicationError("INVALID_RECEIVER", f"nobody called {receiver[:40]!r} may decide it")
    if refused := decider_refused(request, named):
        raise ApplicationError("INVALID_RECEIVER", f"{named} may not decide it: {refused}")
    absence = absence_of(named)
    if absence is not None:
        instead = f"; {absence.stand_in} stands in" if absence.stand_in else ""
        raise Conflict("PERSON_AWAY", f"{named} is away until {minute_text(absence.until)}{instead}")
