"""Open browser sessions: whose, since when, used when last, from where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.db.models import CharField, Func, QuerySet
from django.utils.crypto import constant_time_compare

from nautilus_site.common.clock import now
from nautilus_site.common.models import User
from nautilus_site.common.session_places import OPENED, seen_at, session_digest

MOST: Final = 2_000
"""Sessions listed, those that end last first: of one person theirs, however many others there are."""
_DIGEST: Final = Func(
    "session_key",
    template="encode(sha256(convert_to(%(expressions)s, 'UTF8')), 'hex')",
    output_field=CharField(),
)
"""`session_digest` of a row's key, so that one is found among any number."""


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session somebody is logged in with. `key` opens it: it is shown to nobody, `digest` names it."""

    key: str
    digest: str
    user: User
    opened_at: datetime | None
    address: str
    agent: str
    ends_at: datetime


def sessions_open(person: User | None = None) -> list[OpenSession]:
    """Sessions that work at this moment, of one person or of everybody, newest first."""
    people = User.objects.filter(is_active=True)
    known = {str(user.pk): user for user in (people if person is None else people.filter(pk=person.pk))}
    found = list(islice(_opened(_running(), known), MOST))
    return sorted(found, key=lambda each: each.opened_at or datetime.min.replace(tzinfo=UTC), reverse=True)


def session_open(digest: str, person: User | None = None) -> OpenSession | None:
    """One session that works at this moment, of one person or of anybody; None for one there is not."""
    people = User.objects.filter(is_active=True)
    known = {str(user.pk): user for user in (people if person is None else people.filter(pk=person.pk))}
    rows = _running().annotate(digest=_DIGEST).filter(digest=digest)
    return next(_opened(rows, known), None)


def session_members(row: OpenSession, seen: dict[str, float], *, current: str) -> dict[str, Any]:
    """A session as people may see it. `current` is the digest of the one that asks."""
    at = seen.get(row.digest)
    return {
        "id": row.digest,
        "user": row.user.username,
        "opened_at": row.opened_at,
        "seen_at": datetime.fromtimestamp(at, UTC) if at is not None else None,
        "address": row.address,
        "agent": row.agent,
        "ends_at": row.ends_at,
        "current": row.digest == current,
    }


def sessions_listed(person: User | None, *, current_key: str | None) -> list[dict[str, Any]]:
    """Every open session of one person, or of everybody."""
    rows = sessions_open(person)
    seen = seen_at([row.digest for row in rows])
    current = session_digest(current_key) if current_key else ""
    return [session_members(row, seen, current=current) for row in rows]


def _running() -> QuerySet[Session]:
    return Session.objects.filter(expire_date__gt=now()).order_by("-expire_date")


def _opened(rows: QuerySet[Session], known: dict[str, User]) -> Iterator[OpenSession]:
    for row in rows.iterator():
        data = row.get_decoded()
        user = known.get(str(data.get(SESSION_KEY)))
        if user is None:
            continue
        if not constant_time_compare(str(data.get(HASH_SESSION_KEY)), user.get_session_auth_hash()):
            continue  # opened with an earlier password: it is over, though its row is still there
        opened = data.get(OPENED) or {}
        at = opened.get("at")
        yield OpenSession(
            key=row.session_key,
            digest=session_digest(row.session_key),
            user=user,
            opened_at=datetime.fromtimestamp(at, UTC) if at is not None else None,
            address=str(opened.get("address", "")),
            agent=str(opened.get("agent", "")),
            ends_at=row.expire_date,
        )
