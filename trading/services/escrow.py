"""The cap over everything, divided into parts: topped up when an order needs it, given back when it lies idle.

Locks: an order holds its own part and then asks for the escrow row; other parts are only ever touched where nobody
holds them (SKIP LOCKED), so no order waits for another account's order.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from django.db import connection, transaction
from django.db.models import F

from trading.models import ExposureBucket, ExposureEscrow, RiskLimit
from trading.services.exposure import part_of_global
from trading.services.scopes import GLOBAL

_LIMIT: Final = "exposure_global"
_SHARE: Final = 20
"""A part asks for a twentieth of the cap at a time, so that it asks rarely."""

_RECLAIM: Final = """
WITH idle AS (
    SELECT scope, cap - used AS amount FROM trading_exposurebucket
     WHERE scope LIKE 'global:%%' AND scope <> %s AND cap > used
     ORDER BY scope FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE trading_exposurebucket AS b SET cap = b.used FROM idle WHERE b.scope = idle.scope
    RETURNING idle.amount
)
SELECT coalesce(sum(amount), 0) FROM taken
"""


def escrow_ensure(account: str, amount: Decimal) -> bool:
    """Make room for an amount in the account's part; False when there is none anywhere. Its bucket is locked by us."""
    scope = part_of_global(account)
    cap, used = ExposureBucket.objects.values_list("cap", "used").get(pk=scope)
    if amount <= cap - used:
        return True
    escrow = _locked()
    needed = amount - max(cap - used, Decimal(0))
    if used > cap:
        needed = amount + (used - cap)
    if escrow.cap - escrow.granted < needed:
        escrow.granted -= _reclaim(scope)
        _lower(escrow)
    free = escrow.cap - escrow.granted
    if free < needed:
        escrow.save(update_fields=["granted", "cap", "cap_target"])
        return False
    given = max(needed, min(free, escrow.cap / _SHARE))
    escrow.granted += given
    escrow.save(update_fields=["granted", "cap", "cap_target"])
    part = ExposureBucket.objects.get(pk=scope)
    part.cap += given
    part.overrun = max(part.used - part.cap, Decimal(0))
    part.save(update_fields=["cap", "overrun"])
    return True


@transaction.atomic
def escrow_settle() -> None:
    """Take back what lies idle beyond two helpings, and let a lowered cap take effect as far as it can."""
    parts = list(
        ExposureBucket.objects.select_for_update(skip_locked=True, no_key=True)
        .filter(scope__startswith=f"{GLOBAL}:", cap__gt=F("used"))
        .order_by("scope")
    )
    escrow = _locked()
    keep = Decimal(0) if escrow.cap_target is not None else 2 * escrow.cap / _SHARE
    for part in parts:
        idle = part.cap - part.used - keep
        if idle > 0:
            part.cap -= idle
            part.save(update_fields=["cap"])
            escrow.granted -= idle
    _lower(escrow)
    escrow.save(update_fields=["granted", "cap", "cap_target"])


def escrow_cap_set(cap: Decimal) -> bool:
    """Follow the limit. True when more is in use than the new cap: it applies as use falls, and only then."""
    escrow = _locked()
    if cap >= escrow.granted:
        escrow.cap, escrow.cap_target = cap, None
    else:
        escrow.granted -= _reclaim("")
        escrow.cap_target = cap
        _lower(escrow)
    escrow.save(update_fields=["granted", "cap", "cap_target"])
    return escrow.cap_target is not None


def _lower(escrow: ExposureEscrow) -> None:
    if escrow.cap_target is None:
        return
    escrow.cap = max(escrow.cap_target, escrow.granted)
    if escrow.cap == escrow.cap_target:
        escrow.cap_target = None


def _reclaim(own: str) -> Decimal:
    with connection.cursor() as cursor:
        cursor.execute(_RECLAIM, [own])
        return Decimal(cursor.fetchone()[0])


def _locked() -> ExposureEscrow:
    rows = ExposureEscrow.objects.select_for_update(no_key=True)
    found = rows.filter(pk=GLOBAL).first()
    if found is None:
        ExposureEscrow.objects.bulk_create(
            [ExposureEscrow(scope=GLOBAL, cap=_limit())], ignore_conflicts=True
        )
        found = rows.get(pk=GLOBAL)
    return found


def _limit() -> Decimal:
    return Decimal(RiskLimit.objects.get(name=_LIMIT, scope=GLOBAL).value)
