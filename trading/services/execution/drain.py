"""Draining a shard's reserved orders: one holder at a time, a few threads' worth of waiting, nothing sent twice."""

from __future__ import annotations

import os
import socket
import time

import structlog

from nautilus_site.common.clock import now
from nautilus_site.common.services.leases import Held, lease_acquire, lease_release, lease_renew
from trading.domain.errors import VenueError
from trading.domain.orders import OrderStatus
from trading.models import Account, Order
from trading.services.execution.authorise import RECV_WINDOW_MS, LeaseLost, order_authorise
from trading.services.execution.release import order_release
from trading.services.execution.send import order_send
from trading.services.venues import execution_venue

log = structlog.get_logger(__name__)

TAKEOVER_GRACE_S = RECV_WINDOW_MS / 1000 + 0.5
RENEW_AFTER_S = 2.0
LONGEST_DRAIN_S = 60.0


def orders_drain(*, account_id: int, shard: int) -> int:
    """Send everything that is reserved on a shard. Returns how many were sent; 0 when another drain is at it."""
    if not _reserved(account_id, shard).exists():
        return 0
    account = Account.objects.select_related("venue").get(pk=account_id)
    held = lease_acquire(
        name=f"shard:{account.name}:{shard}",
        holder=f"{socket.gethostname()}:{os.getpid()}:{time.monotonic_ns()}",
        grace_s=TAKEOVER_GRACE_S,
    )
    if held is None:
        return 0
    if held.taken_over:
        log.warning("shard_taken_over", shard=held.name, fence=held.fence)
    try:
        sent = _drain(account, shard, held)
    finally:
        lease_release(held)
    # A hint that came while we held the lease found it held and went away; look once more without it.
    if sent and _reserved(account_id, shard).exists():
        return sent + orders_drain(account_id=account_id, shard=shard)
    return sent


def _drain(account: Account, shard: int, held: Held) -> int:
    venue = execution_venue(account)
    sent = 0
    started = renewed = time.monotonic()
    while time.monotonic() - started < LONGEST_DRAIN_S:
        order_id = _reserved(account.pk, shard).order_by("pk").values_list("pk", flat=True).first()
        if order_id is None:
            return sent
        if time.monotonic() - renewed > RENEW_AFTER_S:
            if not lease_renew(held):
                return sent
            renewed = time.monotonic()
        try:
            venue_time_ms = venue.server_time_ms()
            authorised = order_authorise(order_id=order_id, held=held, venue_time_ms=venue_time_ms)
        except LeaseLost:
            log.warning("lease_lost", shard=held.name, fence=held.fence)
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
    return sent


def _reserved(account_id: int, shard: int):  # type: ignore[no-untyped-def]
    return Order.objects.filter(account_id=account_id, shard=shard, status=OrderStatus.RESERVED)


def _release_expired(account_id: int, shard: int) -> None:
    for pk in _reserved(account_id, shard).filter(expires_at__lte=now()).values_list("pk", flat=True):
        order_release(order_id=pk, code="DECISION_EXPIRED", message="the venue could not be reached in time")
