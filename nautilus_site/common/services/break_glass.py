"""The sealed way back in: for when nobody is left who may let people in, or decide that they are let in.

Two people keep a half each. Opened with both halves and both passwords, once, it makes the first an admin and the
second a risk officer for an hour: each still needs the other, so neither raises risk alone. It is no superuser, which
there is none of. Opening and closing are audited, told as critical, and shown as a figure.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, Forbidden, NotFound
from nautilus_site.common.models import BreakGlass, Role, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from nautilus_site.common.services.turns import wait_for_turn

LIFE = timedelta(minutes=60)
MOST_FAILURES = 10
_REFUSED = Forbidden(
    "BREAK_GLASS_REFUSED", "halves and passwords do not belong to the two who keep this seal"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What one of the two gives to open it."""

    half: str
    password: str


@transaction.atomic
def break_glass_seal(*, first: str, second: str) -> tuple[str, str]:
    """Seal it for two people; an earlier seal ends. Returns their halves, which are shown once and kept nowhere.

    Raises
    ------
    NotFound : USER_NOT_FOUND, or off, or without a password.  ApplicationError : SAME_PERSON.
    Conflict : BREAK_GLASS_OPEN, it is closed first.
    """
    people = [_person(first), _person(second)]
    if people[0].pk == people[1].pk:
        raise ApplicationError("SAME_PERSON", "two people keep a half each")
    standing = _standing()
    if standing is not None and standing.opened_at is not None:
        raise Conflict("BREAK_GLASS_OPEN", "it is open: close it first")
    if standing is not None:
        standing.ended_at = now()
        standing.save(update_fields=["ended_at"])
    halves = (secrets.token_urlsafe(24), secrets.token_urlsafe(24))
    row = BreakGlass.objects.create(
        first=people[0],
        second=people[1],
        first_hash=make_password(halves[0]),
        second_hash=make_password(halves[1]),
        sealed_at=now(),
    )
    _told(row, "sealed", "sealed anew" if standing else "sealed")
    return halves


def break_glass_open(*, first: Kept, second: Kept, reason: str) -> BreakGlass:
    """Give the first the role of an admin and the second that of a risk officer, for an hour.

    Raises
    ------
    ApplicationError : REASON_REQUIRED.  NotFound : NOT_SEALED.
    Forbidden : BREAK_GLASS_REFUSED, which never says what was wrong; ten of them end the seal.
    Conflict : BREAK_GLASS_OPEN.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    row = _open(first, second, reason.strip())
    if row is None:
        raise _REFUSED
    return row


@transaction.atomic
def _open(first: Kept, second: Kept, reason: str) -> BreakGlass | None:
    row = _standing()
    if row is None:
        raise NotFound("NOT_SEALED", "nothing is sealed, so nothing can be opened")
    if row.opened_at is not None:
        raise Conflict("BREAK_GLASS_OPEN", "it is open already")
    given = ((row.first, row.first_hash, first), (row.second, row.second_hash, second))
    # All four are looked at, whichever is wrong.
    right = [
        check_password(kept.half, digest) & person.check_password(kept.password) & person.is_active
        for person, digest, kept in given
    ]
    if not all(right):
        row.failures += 1
        row.ended_at = now() if row.failures >= MOST_FAILURES else None
        row.save(update_fields=["failures", "ended_at"])
        _told(row, "refused", f"attempt {row.failures}")
        return None
    row.opened_at, row.reason = now(), reason
    row.ends_at = row.opened_at + LIFE
    row.first_was, row.second_was = row.first.role, row.second.role
    row.save()
    for person, role in ((row.first, Role.ADMIN), (row.second, Role.RISK_OFFICER)):
        _become(person, role)
    _told(row, "opened", reason)
    return row


@transaction.atomic
def break_glass_close(*, reason: str) -> BreakGlass:
    """End what was opened, before its hour is over or at its end; both have the role they had.

    Raises
    ------
    Conflict : NOT_OPEN.
    """
    row = _standing()
    if row is None or row.opened_at is None:
        raise Conflict("NOT_OPEN", "it is not open")
    return _closed(row, reason)


@transaction.atomic
def break_glass_expire() -> bool:
    """Close it once its hour is over. Whether it was."""
    over = BreakGlass.objects.filter(ended_at=None, ends_at__lte=now())
    if not over.exists():  # looked at each few seconds, it takes nobody's turn for nothing
        return False
    row = _standing()
    if row is None or row.ends_at is None or row.ends_at > now():
        return False
    _closed(row, "the hour is over")
    return True


def break_glass_over(person: User) -> bool:
    """Whether the hour of this person is over and nobody has closed it yet: until then they may nothing."""
    rows = BreakGlass.objects.filter(ended_at=None, ends_at__lte=now()).values_list("first_id", "second_id")
    return any(person.pk in pair for pair in rows)


def break_glass_admits(person: User) -> bool:
    """Whether it stands open for this person: the halves of two people are then the second factor of both."""
    rows = BreakGlass.objects.filter(ended_at=None, ends_at__gt=now()).values_list("first_id", "second_id")
    return any(person.pk in pair for pair in rows)


def _closed(row: BreakGlass, reason: str) -> BreakGlass:
    row.ended_at = now()
    row.save(update_fields=["ended_at"])
    for person, given, before in (
        (row.first, Role.ADMIN, row.first_was),
        (row.second, Role.RISK_OFFICER, row.second_was),
    ):
        if person.role == given:  # else an approved change has given them another one meanwhile
            _become(person, before)
    _told(row, "closed", reason)
    return row


def _become(person: User, role: str) -> None:
    person.role, person.is_staff = role, role != Role.VIEWER
    person.save(update_fields=["role", "is_staff"])


def _standing() -> BreakGlass | None:
    # Roles change one at a time with what other people change: an approval holds the roles it goes by.
    wait_for_turn()
    rows = BreakGlass.objects.select_for_update(of=("self",), no_key=True).select_related("first", "second")
    return rows.filter(ended_at=None).first()


def _person(username: str) -> User:
    person = User.objects.filter(username=username, is_active=True).first()
    if person is None or not person.has_usable_password():
        raise NotFound("USER_NOT_FOUND", f"no active user {username!r} with a password")
    return person


def _told(row: BreakGlass, what: str, reason: str) -> None:
    audit_record(
        action=f"break_glass.{what}",
        target="break_glass",
        actor=f"{row.first} and {row.second}"[:150],
        reason=reason,
        after={
            "opened_at": row.opened_at,
            "ends_at": row.ends_at,
            "roles": [row.first.role, row.second.role],
        },
    )
    publish(
        "approvals",
        {"id": str(row.pk), "kind": "break_glass", "target": f"{row.first} and {row.second}", "state": what},
    )
