"""Draining a shard's reserved orders: one holder at a time, a few threads' worth of waiting, nothing sent twice."""

from __future__ import annotations

import os
import socket
import time
from functools import cache

import structlog
from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.services.leases import Held, lease_acquire, lease_release, lease_renew
from nautilus_site.common.tables import Table
from trading.domain.errors import VenueError
from trading.domain.execution import TAKEOVER_GRACE_NS
from trading.domain.orders import OrderStatus
from trading.models import Account, Order
from trading.services.deployment import build_identity, build_refused
from trading.services.execution.authorise import LeaseLost, order_authorise
from trading.services.execution.release import order_release
from trading.services.execution.send import order_send
from trading.services.venues import execution_venue
from universe.models import Venue

log = structlog.get_logger(__name__)
_ACCOUNTS, _VENUES = Table(Account), Table(Venue)

TAKEOVER_GRACE_S = TAKEOVER_GRACE_NS / 1e9
RENEW_AFTER_S = 2.0
LONGEST_DRAIN_S = 60.0
BATCH = 50
_RESERVED = """
SELECT id FROM trading_order WHERE account_id = %s AND shard = %s AND status = 'RESERVED' ORDER BY id LIMIT %s
"""


def orders_drain(*, account_id: int, shard: int) -> int:
    """Send everything that is reserved on a shard. Returns how many were sent; 0 when another drain is at it."""
    account, waiting = _look(account_id, shard)
    if account is None or not waiting:
        return 0
    sent = 0
    while waiting:
        held = lease_acquire(
            name=f"shard:{account.name}:{shard}",
            holder=f"{socket.gethostname()}:{os.getpid()}:{time.monotonic_ns()}",
            build=build_identity(),
            grace_s=TAKEOVER_GRACE_S,
        )
        if held is None:
            build_refused(f"shard:{account.name}:{shard}")
            return sent
        if held.taken_over:
            log.warning("shard_taken_over", shard=held.name, fence=held.fence)
        try:
            crash_point("lease")
            sent_now = _drain(account, shard, held, waiting)
        finally:
            lease_release(held)
        sent += sent_now
        # A hint that came while we held the lease found it held and went away; look once more without it.
        seen, waiting = set(waiting), _reserved(account_id, shard)
        if not sent_now and seen.issuperset(waiting):
            return sent
    return sent


@cache
def _look_sql() -> str:
    return f"""
SELECT ARRAY({_RESERVED}), {_ACCOUNTS.columns("a")}, {_VENUES.columns("v")}
  FROM trading_account AS a JOIN universe_venue AS v ON v.id = a.venue_id WHERE a.id = %s
"""  # noqa: S608  only names of our own columns


def _look(account_id: int, shard: int) -> tuple[Account | None, list[int]]:
    """The account with its venue, and the first of its orders to send, in one statement; an unknown one has none."""
    with connection.cursor() as cursor:
        cursor.execute(_look_sql(), [account_id, shard, BATCH, account_id])
        row = cursor.fetchone()
    if row is None:
        return None, []
    values, rest = _ACCOUNTS.split(row[1:])
    account = _ACCOUNTS.read(values)
    account.venue = _VENUES.read(rest)
    return account, list(row[0])


def _drain(account: Account, shard: int, held: Held, waiting: list[int]) -> int:
    try:
        venue = execution_venue(account)
    except ApplicationError as error:
        # Without a key nothing can be sent; the orders stay reserved until they expire.
        log.warning("account_without_key", account=account.name, error=error.message[:200])
        _release_expired(account.pk, shard)
        return 0
    sent = 0
    started = renewed = time.monotonic()
    while waiting:
        for order_id in waiting:
            if time.monotonic() - started > LONGEST_DRAIN_S:
                return sent
            if time.monotonic() - renewed > RENEW_AFTER_S:
                if not lease_renew(held):
                    return sent
                renewed = time.monotonic()
            crash_point("C2")
            try:
                venue_time_ms = venue.server_time_ms()
                authorised = order_authorise(order_id=order_id, held=held, venue_time_ms=venue_time_ms)
            except LeaseLost as lost:
                log.warning("lease_lost", shard=held.name, fence=held.fence, why=str(lost))
                return sent
            except VenueError as error:
                # Without the venue's clock nothing can be signed; the orders stay reserved until they expire.
                log.warning("venue_clock_not_read", error=str(error))
                _release_expired(account.pk, shard)
                return sent
            if authorised is None:
                continue
            order_send(authorised=authorised, venue=venue, venue_name=account.venue.name)
            sent += 1
        # While orders keep coming the lease is kept; a single one is followed by the look without it.
        waiting = _reserved(account.pk, shard) if len(waiting) > 1 else []
    return sent


def _reserved(account_id: int, shard: int) -> list[int]:
    """The next orders to send, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_RESERVED, [account_id, shard, BATCH])
        return [pk for (pk,) in cursor.fetchall()]


def _release_expired(account_id: int, shard: int) -> None:
    expired = Order.objects.filter(
        account_id=account_id, shard=shard, status=OrderStatus.RESERVED, expires_at__lte=now()
    )
    for pk in expired.values_list("pk", flat=True):
        order_release(order_id=pk, code="DECISION_EXPIRED", message="the venue could not be reached in time")
