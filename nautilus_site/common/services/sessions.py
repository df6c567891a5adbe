"""Ending the sessions of a person, and knowing which of them nobody uses."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from nautilus_site.common.clock import now
from nautilus_site.common.models import SessionUse, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.sessions import AUTHENTICATED_AT

GRAIN = timedelta(minutes=1)
"""How often a use is written down at most, so that a session may end this much early.

For an idle time of less than four minutes a quarter of it, or what is used all the time would end.
"""


def sessions_end(*, user: User) -> None:
    """End every session of a person; sockets and streams notice at their next look, within five seconds.

    The object given has the new epoch afterwards, so that a session can be kept with `update_session_auth_hash`.
    """
    User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)
    user.refresh_from_db(fields=["session_epoch"])


@transaction.atomic
def own_sessions_end(*, user: User) -> None:
    """Log oneself out everywhere."""
    sessions_end(user=user)
    audit_record(action="session.all_ended", target=f"user:{user.username}", actor=user)


def session_is_idle(session: Any) -> bool:
    """Whether a session has not been used for `SESSION_IDLE`. One that is not counts as used now.

    Asked at every request and every look of a live stream: one read, and one write a minute. Kept in Postgres and not
    in the broker, which may lose what it holds: then everybody would be logged out at the worst moment.
    """
    if settings.SESSION_IDLE is None:
        return False
    moment, digest = now(), _digest(session.session_key or "")
    used_at = SessionUse.objects.filter(digest=digest).values_list("at", flat=True).first()
    stamp = session.get(AUTHENTICATED_AT)
    began_at = datetime.fromtimestamp(stamp, UTC) if isinstance(stamp, int | float) else None
    last = max((at for at in (used_at, began_at) if at is not None), default=None)
    if last is None or moment - last > settings.SESSION_IDLE:
        return True
    if used_at is None or moment - used_at >= min(GRAIN, settings.SESSION_IDLE / 4):
        _use(digest, moment)
    return False


def session_used(session: Any) -> None:
    """Note that a session is used now, under the key it has got: a new key has no use of its own.

    For whoever gives a session another key without a log-in; the age of the log-in alone would end it.
    """
    if settings.SESSION_IDLE is not None:
        _use(_digest(session.session_key or ""), now())


# Two requests of one session do not wait for each other: the later stamp stands.
_USE = """
INSERT INTO common_sessionuse (digest, at) VALUES (%(digest)s, %(at)s)
ON CONFLICT (digest) DO UPDATE SET at = excluded.at WHERE common_sessionuse.at < excluded.at
"""


def _use(digest: str, moment: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_USE, {"digest": digest, "at": moment})


def session_uses_prune() -> int:
    """Forget sessions that are over by their age. Returns how many."""
    over = now() - timedelta(seconds=settings.SESSION_COOKIE_AGE)
    return SessionUse.objects.filter(at__lt=over).delete()[0]


def _digest(session_key: str) -> str:
    return hashlib.sha256(session_key.encode()).hexdigest()
