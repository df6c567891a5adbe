"""The relay: numbers events in commit order, pushes and mirrors them, and seals the audit trail.

One at a time, by lease. Everything it does can be done again: numbers are in Postgres, the mirror knows its
last line, watchers fetch what a lost push would have told them.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from nautilus_site.common.clock import now
from nautilus_site.common.daemons.audit_head import AuditHead
from nautilus_site.common.daemons.mirror import EventMirror
from nautilus_site.common.live.groups import push_async
from nautilus_site.common.metrics import EVENTS_RELAYED, RELAY_LAG
from nautilus_site.common.models import AuditSeal, OutboxEvent
from nautilus_site.common.services.audit_chain import audit_seal
from nautilus_site.common.services.audit_signed_heads import SignedHeads
from nautilus_site.common.services.audit_signing import SigningKeyUnusable, signer_made
from nautilus_site.common.services.break_glass import break_glass_expire
from nautilus_site.common.services.change_requests import change_requests_expire
from nautilus_site.common.services.event_numbering import (
    BATCH,
    FenceLost,
    NumberedEvent,
    events_number,
    events_prune,
)
from nautilus_site.common.services.idempotency import idempotency_prune
from nautilus_site.common.services.leases import Held, lease_acquire, lease_release, lease_renew
from nautilus_site.common.services.outbox import WAKE_CHANNEL
from nautilus_site.common.services.sessions import session_uses_prune
from nautilus_site.common.services.watches import watches_run

log = structlog.get_logger(__name__)

LEASE = "relay"
POLL_S = 0.5
RENEW_S = 2.0
HOUSEKEEPING_S = 1.0
WATCH_S = 5.0
PRUNE_S = 60.0
STAND_BY_S = 1.0
SIGN_S, SIGN_AGAIN_S = 3600.0, 60.0
BACK_OFF_S, BACK_OFF_MAX_S = 0.1, 5.0
PUSH_TIMEOUT_S = 2.0


class Relay:
    """`run()` until `stop()`; survives restarts of Postgres and of the broker."""

    def __init__(self, home: Path, *, holder: str | None = None) -> None:
        self.holder = holder or f"{socket.gethostname()}:{os.getpid()}"
        self.mirror = EventMirror(home / "events")
        self.head = AuditHead(home / "audit")
        self.signed = SignedHeads(home / "audit")
        self._unsigned: AuditSeal | None = None
        self._signs_next(0.0)
        self._stopping = threading.Event()
        self._mirror_open = False
        self._notes_missing = True  # how the process before this one ended is not known
        self._held: Held | None = None

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        back_off_s = BACK_OFF_S
        with asyncio.Runner() as loop:
            while not self._stopping.is_set():
                try:
                    if not self._lead():
                        self._stopping.wait(STAND_BY_S)
                        continue
                    back_off_s = BACK_OFF_S
                    self._work(loop)
                except FenceLost:
                    self._held = None
                    log.warning("relay_lease_lost")
                except (OperationalError, InterfaceError, DatabaseError, psycopg.Error) as error:
                    log.warning("relay_database_unavailable", error=type(error).__name__, retry_s=back_off_s)
                    connection.close()
                    self._stopping.wait(back_off_s)
                    back_off_s = min(back_off_s * 2, BACK_OFF_MAX_S)
        self._release()
        self.mirror.close()

    def _lead(self) -> bool:
        """Go on under the lease we hold (a connection was lost, not the lease), or try to take it."""
        if self._held is None or not lease_renew(self._held):
            self._held = lease_acquire(name=LEASE, holder=self.holder)
            if self._held is not None:
                self._notes_missing = True  # somebody else may have sealed, and not have noted it
                self._signs_next(0.0)
                log.info("relay_started", fence=self._held.fence)
        return self._held is not None

    def _work(self, loop: asyncio.Runner) -> None:
        held = self._held
        assert held is not None
        with psycopg.connect(**_dsn(), autocommit=True) as listener:
            listener.execute(f"LISTEN {WAKE_CHANNEL}")
            renewed_at = tidied_at = watched_at = pruned_at = time.monotonic()
            while not self._stopping.is_set():
                moment = time.monotonic()
                if moment - renewed_at >= RENEW_S:
                    if not lease_renew(held):
                        raise FenceLost(held.name)
                    renewed_at = moment
                batch = events_number(held)
                self._publish(batch, loop)
                if moment - tidied_at >= HOUSEKEEPING_S:
                    tidied_at = moment
                    self._tidy(held)
                if moment - watched_at >= WATCH_S:
                    watched_at = moment
                    watches_run()
                if moment - pruned_at >= PRUNE_S:
                    pruned_at = moment
                    events_prune(held, mirrored_to=self.mirror.last_id)
                    idempotency_prune()
                    session_uses_prune()
                if len(batch) < BATCH:
                    for _ in listener.notifies(timeout=POLL_S, stop_after=1):
                        break

    def _publish(self, batch: list[NumberedEvent], loop: asyncio.Runner) -> None:
        if batch:
            events = [
                {"id": number, "topic": topic, "at": at.isoformat(), "data": data}
                for number, topic, at, data in batch
            ]
            with suppress(TimeoutError):
                loop.run(asyncio.wait_for(push_async(events), PUSH_TIMEOUT_S))
            EVENTS_RELAYED.inc(len(batch))
            RELAY_LAG.set(max(0.0, (now() - min(at for _, _, at, _ in batch)).total_seconds()))
        self._mirror(batch)

    def _mirror(self, batch: list[NumberedEvent]) -> None:
        """Disk trouble delays the mirror, never the events; it goes on where the file ends."""
        try:
            if not self._mirror_open:
                self.mirror.open()
                self._mirror_open = True
                self._mirror_missing()
            elif batch and batch[0][0] != self.mirror.last_id + 1:
                self._mirror_missing()
            self.mirror.append(batch)
        except OSError as error:
            self._mirror_open = False
            log.warning("relay_mirror_failed", error=str(error))

    def _mirror_missing(self) -> None:
        """Write what was numbered and not mirrored: a crash in between, a full disk, a new home."""
        while True:
            rows = OutboxEvent.objects.filter(event_id__gt=self.mirror.last_id).order_by("event_id")[:BATCH]
            page: list[NumberedEvent] = [(row.event_id or 0, row.topic, row.at, row.data) for row in rows]
            self.mirror.append(page)
            if len(page) < BATCH:
                return

    def _tidy(self, held: Held) -> None:
        self._seal(held)
        self._sign()
        change_requests_expire()
        break_glass_expire()
        try:
            self.mirror.sync()
        except OSError as error:
            log.warning("relay_mirror_failed", error=str(error))

    def _seal(self, held: Held) -> None:
        """Seal what waits, and note it outside the database; after a start or a failure also what was left out."""
        behind, self._notes_missing = (
            self._notes_missing,
            True,
        )  # until it is noted: whatever happens in between
        if behind and not AuditSeal.objects.exists():
            with suppress(OSError):
                self.head.begin()
        seal = audit_seal(held)
        if seal is not None:
            self._unsigned = seal
            log.info("audit_sealed", seal=seal.pk, entries=len(seal.entry_ids), head=seal.hash)
        try:
            if behind:
                caught_up = self.head.catch_up(seal)
                if caught_up:
                    log.info("audit_head_caught_up", seals=caught_up)
            elif seal is not None:
                self.head.note(seal)
            self._notes_missing = False
        except OSError as error:
            log.error("audit_head_not_written", error=str(error))

    def _sign(self) -> None:
        """Sign the newest seal outside the database: the first after a start, then once an hour."""
        if self._unsigned is None or (time.monotonic() < self._sign_after and now() < self._sign_by):
            return
        self._signs_next(SIGN_AGAIN_S)  # until it is signed
        try:
            head = self.signed.sign(self._unsigned, signer_made(self.signed.folder))
        except (OSError, SigningKeyUnusable) as error:
            log.error("audit_head_not_signed", error=str(error))
            return
        self._unsigned = None
        self._signs_next(SIGN_S)
        log.info("audit_head_signed", seal=head.seal, entries=head.entries, head=head.hash)

    def _signs_next(self, seconds: float) -> None:
        """By either clock: one stands still while a machine sleeps, the other may be put back."""
        self._sign_after, self._sign_by = time.monotonic() + seconds, now() + timedelta(seconds=seconds)

    def _release(self) -> None:
        if self._held is not None:
            with suppress(OperationalError, InterfaceError, DatabaseError):
                lease_release(self._held)
            self._held = None


def _dsn() -> dict[str, Any]:
    """Django's connection parameters, for a connection of our own."""
    parameters = connection.get_connection_params()
    return {
        key: value
        for key, value in parameters.items()
        if key in ("dbname", "user", "password", "host", "port", "sslmode", "sslrootcert")
    }
