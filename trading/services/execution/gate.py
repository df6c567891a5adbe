"""What a send must pass in the transaction that authorises it: the levels, then the lease, both share-locked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from django.db import connection
from psycopg.errors import LockNotAvailable, QueryCanceled

from nautilus_site.common.services.leases import DEPLOYMENT, Held
from trading.domain.execution import LeaseView
from trading.domain.values import Level
from trading.services.controls.states import READ_WITHIN_MS, KillUnreadable, highest_level
from trading.services.scopes import GLOBAL

# One round trip of several statements, each with a snapshot of its own: the levels are read behind the lock of the
# global row, which every raise updates, so a raise that committed is seen and one that did not has to wait for us.
# Waiting for the levels, and reading them, may take a quarter of a second and no longer; the lease waits as ever. It
# is read by the database's clock, and nobody takes it over before this transaction is over.
_GATE: Final = f"""
SET LOCAL lock_timeout = {READ_WITHIN_MS};
SET LOCAL statement_timeout = {READ_WITHIN_MS};
SELECT level FROM trading_tradingstate WHERE scope = '{GLOBAL}' FOR SHARE;
SELECT scope, greatest(level, auto_level) FROM trading_tradingstate WHERE scope = ANY(%(scopes)s::text[]);
SET LOCAL statement_timeout TO DEFAULT;
SET LOCAL lock_timeout TO DEFAULT;
SELECT extract(epoch FROM lease.until - clock_timestamp()),
       NOT EXISTS (SELECT 1 FROM common_lease AS deployed
                    WHERE deployed.name = '{DEPLOYMENT}' AND deployed.build <> %(build)s::text)
  FROM common_lease AS lease
 WHERE lease.name = %(lease)s AND lease.fence = %(fence)s AND lease.holder = %(holder)s
   FOR SHARE OF lease
"""  # noqa: S608  only our own constants are put in


def gate_read(scopes: Sequence[str], held: Held) -> tuple[Level, str, LeaseView]:
    """The highest level over the scopes, the scope it comes from, and the lease. Call it inside a transaction.

    A missing global row means nobody has ever allowed trading.

    Raises
    ------
    KillUnreadable : reading the levels took longer than a quarter of a second.
    """
    started = time.monotonic()
    parameters: dict[str, Any] = {
        "scopes": list(scopes),
        "lease": held.name,
        "fence": held.fence,
        "holder": held.holder,
        "build": held.build,
    }
    connection.ensure_connection()
    answers: list[list[tuple[Any, ...]]] = []
    with connection.wrap_database_errors, psycopg.ClientCursor(connection.connection) as cursor:
        try:
            cursor.execute(_GATE, parameters)
        except (LockNotAvailable, QueryCanceled) as error:
            raise KillUnreadable.late() from error
        more: bool | None = True
        while more:
            if cursor.description is not None:
                answers.append(cursor.fetchall())
            more = cursor.nextset()
    _, levels, leases = answers
    if time.monotonic() - started > READ_WITHIN_MS / 1000:
        raise KillUnreadable.late()
    level, scope = highest_level({name: Level(number) for name, number in levels})
    if not leases:
        return level, scope, LeaseView(left_ns=0)
    left_s, build_fits = leases[0]
    return level, scope, LeaseView(int(left_s * 1_000_000_000), not held.build or build_fits)
