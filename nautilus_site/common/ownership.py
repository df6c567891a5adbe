"""The role that owns the tables, for as long as something needs it: migrating, and saying who may do what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection, transaction

from nautilus_site.common.privileges import differences, grant, not_owned, powers, trail_protect

_GUIDE = "docs/OPERATIONS_RUNBOOK.md, Two database roles"
# Which database it is stays as it was: the test suite has its own.
_WHO = ("USER", "PASSWORD", "HOST", "PORT")


class NotSeparate(Exception):
    """Owner and application are not the two roles they are said to be; the message says what to do."""


@contextmanager
def as_owner() -> Iterator[str | None]:
    """Connect the default database as the owner while the block runs.

    Yields the role of the application, None where one role does both.
    """
    owner, used = settings.DATABASE_OWNER, connection.settings_dict
    if not owner or owner["USER"] == used["USER"]:
        yield None
        return
    application = used["USER"] or _current_user()
    before = {name: used[name] for name in (*_WHO, "OPTIONS")}
    connection.close()
    used.update({name: owner[name] for name in _WHO}, OPTIONS=used["OPTIONS"] | owner["OPTIONS"])
    try:
        yield application
    finally:
        connection.close()
        used.update(before)


def ownership_check() -> None:
    """Make sure that the connected role may migrate what is there.

    Raises
    ------
    NotSeparate : tables belong to a role it is no member of.
    """
    with connection.cursor() as cursor:
        others = not_owned(cursor)
    if others:
        raise NotSeparate(
            f"{len(others)} tables, the first is {others[0]}, do not belong to {_current_user()}: set "
            f"DATABASE_OWNER_URL to the role that owns them, or give them to it ({_GUIDE})"
        )


@transaction.atomic
def privileges_apply(application: str | None) -> None:
    """Give the application what is declared and nothing else; connected as the owner. Safe to repeat.

    Raises
    ------
    NotSeparate : the application could make itself more than that.
    """
    with connection.cursor() as cursor:
        if application is None:
            trail_protect(cursor)
            return
        try:
            grant(cursor, application)
        except LookupError as unknown:
            raise NotSeparate(f"{unknown} ({_GUIDE})") from None
        if found := powers(cursor, application) or differences(cursor, application):
            raise NotSeparate(f"{'; '.join(found)} ({_GUIDE})")


def _current_user() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return str(cursor.fetchone()[0])
