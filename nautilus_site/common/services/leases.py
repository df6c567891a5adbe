"""Taking, renewing and giving back a lease, all by the database's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

LEASE_LIFE = timedelta(seconds=10)
DEPLOYMENT = "deployment"
"""The row that names the build in force; whoever presents another one gets no lease."""

_CREATE = """
INSERT INTO common_lease (name, fence, holder, build, until) VALUES (%s, 0, '', '', to_timestamp(0))
ON CONFLICT (name) DO NOTHING
"""
_TAKE = """
WITH old AS (SELECT holder FROM common_lease WHERE name = %(name)s FOR UPDATE)
UPDATE common_lease AS lease
   SET fence = lease.fence + 1, holder = %(holder)s, build = %(build)s, until = clock_timestamp() + %(life)s
  FROM old
 WHERE lease.name = %(name)s
   AND (old.holder = '' OR lease.until + make_interval(secs => %(grace)s) < clock_timestamp())
   AND (%(build)s = '' OR NOT EXISTS (
        SELECT 1 FROM common_lease AS deployed WHERE deployed.name = 'deployment' AND deployed.build <> %(build)s))
RETURNING lease.fence, old.holder
"""


@dataclass(frozen=True, slots=True)
class Held:
    """A lease in hand. `fence` goes into every write made under it."""

    name: str
    fence: int
    holder: str
    taken_over: bool
    """True when the previous holder did not give it back: it may still have a request under way."""
    build: str = ""


def lease_acquire(
    *, name: str, holder: str, build: str = "", life: timedelta = LEASE_LIFE, grace_s: float = 0.0
) -> Held | None:
    """Take the lease if it is free, or if it expired more than `grace_s` ago. None when somebody holds it.

    A lease that was given back has an empty holder and is free at once; one whose holder vanished is taken
    only after expiry plus the grace, which covers a signed request that the dead holder may have left in
    flight.
    """
    parameters: dict[str, Any] = {
        "name": name,
        "holder": holder,
        "build": build,
        "life": life,
        "grace": grace_s,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, parameters)
        row = cursor.fetchone()
        if row is None:
            # Held by somebody, or never used before: only the first time needs a row made.
            cursor.execute(_CREATE, [name])
            if not cursor.rowcount:
                return None
            cursor.execute(_TAKE, parameters)
            row = cursor.fetchone()
    if row is None:
        return None
    return Held(name=name, fence=row[0], holder=holder, taken_over=bool(row[1]), build=build)


def lease_is_newest(held: Held) -> bool:
    """Tell whether nobody has taken the lease since, share-locked until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM common_lease WHERE name = %s AND fence = %s FOR SHARE", [held.name, held.fence]
        )
        return cursor.fetchone() is not None


def deployment_announce(build: str) -> str:
    """Name the build in force from now on. Returns the one before it, or nothing."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT build FROM common_lease WHERE name = %s FOR UPDATE", [DEPLOYMENT])
        row = cursor.fetchone()
        cursor.execute(
            "INSERT INTO common_lease (name, fence, holder, build, until)"
            " VALUES (%s, 1, '', %s, clock_timestamp())"
            " ON CONFLICT (name) DO UPDATE SET build = excluded.build, fence = common_lease.fence + 1,"
            " until = clock_timestamp()",
            [DEPLOYMENT, build],
        )
    return str(row[0]) if row is not None else ""


def deployment_build() -> str:
    """The build in force, or nothing where none was announced."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT build FROM common_lease WHERE name = %s", [DEPLOYMENT])
        row = cursor.fetchone()
    return str(row[0]) if row is not None else ""


def lease_renew(held: Held, *, life: timedelta = LEASE_LIFE) -> bool:
    """Extend the lease. False when it has been taken by somebody else: stop acting at once."""
    parameters: list[Any] = [life, held.name, held.fence, held.holder]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE common_lease SET until = clock_timestamp() + %s"
            " WHERE name = %s AND fence = %s AND holder = %s",
            parameters,
        )
        return bool(cursor.rowcount == 1)


def lease_release(held: Held) -> None:
    """Give it back, so that the next one need not wait for its expiry."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE common_lease SET holder = '', until = clock_timestamp() WHERE name = %s AND fence = %s",
            [held.name, held.fence],
        )
