"""The user stream's journal: stored as it came, once, and settled afterwards by a worker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import structlog
from django.db import DataError, IntegrityError, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.leases import lease_acquire, lease_release
from trading.adapters.binance.parse import parse_execution_report
from trading.domain.errors import DomainError
from trading.domain.values import decimal_of
from trading.models import Account, Balance, VenueEvent
from trading.services.adoption import report_settle
from trading.services.transfers import transfer_book

log = structlog.get_logger(__name__)


@transaction.atomic
def venue_event_store(*, account_id: int, event: Mapping[str, Any]) -> bool:
    """Journal one message and hint that it is there. False for a repeat."""
    text = json.dumps(event, sort_keys=True, separators=(",", ":"))
    _, created = VenueEvent.objects.get_or_create(
        account_id=account_id,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        defaults={"kind": str(event.get("e", "?"))[:32], "payload": dict(event), "received_at": now()},
    )
    if created:
        enqueue_on_commit("trading.tasks.venue_events_settle", queue="trading", account_id=account_id)
    return created


def venue_events_settle(*, account_id: int) -> int:
    """Settle what is journalled, in order of arrival. Returns how many; 0 when another worker is at it."""
    account = Account.objects.select_related("venue").get(pk=account_id)
    settled = 0
    while VenueEvent.objects.filter(account=account, settled_at=None).exists():
        held = lease_acquire(name=f"events:{account.name}", holder=f"settle:{now().isoformat()}")
        if held is None:
            return settled
        try:
            for event in VenueEvent.objects.filter(account=account, settled_at=None).order_by("pk")[:200]:
                _settle(account, event)
                settled += 1
        finally:
            lease_release(held)
    return settled


def _settle(account: Account, event: VenueEvent) -> None:
    error = ""
    crash_point("stream")
    try:
        if event.kind == "executionReport":
            report_settle(account=account, report=parse_execution_report(event.payload), source="stream")
        elif event.kind == "balanceUpdate":
            transfer_book(account=account, event=event.payload)
        elif event.kind == "outboundAccountPosition":
            _note_balances(account, event.payload)
    except (
        DomainError,
        LookupError,
        ValueError,
        TypeError,
        ArithmeticError,
        DataError,
        IntegrityError,
    ) as failure:
        # One message that cannot be settled must not hold up the rest; the sweep will tell what it meant.
        error = f"{type(failure).__name__}: {failure}"[:1000]
        log.error("venue_event_not_settled", event_id=event.pk, kind=event.kind, error=error)
    VenueEvent.objects.filter(pk=event.pk).update(settled_at=now(), error=error)


def _note_balances(account: Account, payload: Mapping[str, Any]) -> None:
    moment = now()
    for entry in payload["B"]:
        Balance.objects.update_or_create(
            account=account,
            asset=str(entry["a"]),
            defaults={
                "venue_free": decimal_of(str(entry["f"])),
                "venue_locked": decimal_of(str(entry["l"])),
                "venue_seen_at": moment,
            },
        )
