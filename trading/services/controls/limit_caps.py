"""Caps of exposure buckets, which follow the limits that govern them."""

from __future__ import annotations

from decimal import Decimal

from django.db import transaction

from trading.domain.values import Level
from trading.models import ExposureBucket, RiskLimit
from trading.services.controls.states import kill_raise
from trading.services.escrow import escrow_cap_set
from trading.services.scopes import GLOBAL


def caps_follow(limit: str, prefix: str) -> None:
    """Set the caps of every bucket a limit governs. One lowered below its use waits as the target of the cap.

    Parameters
    ----------
    prefix : what the scopes of its buckets begin with; `global` for the one bucket of everything.
    """
    default = RiskLimit.objects.get(name=limit, scope=GLOBAL).value
    if prefix == GLOBAL:
        if escrow_cap_set(default):
            _only_reduce(GLOBAL, limit)
        return
    own = {row.scope: row.value for row in RiskLimit.objects.filter(name=limit).exclude(scope=GLOBAL)}
    for bucket in (
        ExposureBucket.objects.select_for_update(no_key=True)
        .filter(scope__startswith=prefix)
        .order_by("scope")
    ):
        cap = min(default, own.get(_limit_scope(bucket.scope), default))
        if bucket.used <= cap:
            bucket.cap, bucket.cap_target = cap, None
        else:
            bucket.cap, bucket.cap_target = max(cap, min(bucket.cap, bucket.used)), cap
            _only_reduce(_limit_scope(bucket.scope), limit)
        bucket.overrun = max(bucket.used - bucket.cap, Decimal(0))
        bucket.save(update_fields=["cap", "cap_target", "overrun"])


def _only_reduce(scope: str, limit: str) -> None:
    """More is in use than the limit now allows: the scope only reduces until people let it go on."""
    transaction.on_commit(  # levels are locked before buckets, so afterwards
        lambda: kill_raise(
            scope=scope,
            level=Level.REDUCING,
            reason=f"{limit} was lowered below what is in use",
            actor="limits",
        )
    )


def _limit_scope(bucket_scope: str) -> str:
    """The limit scope that governs a bucket: `symbol:paper-spot:BTCUSDT` is governed by `symbol:BTCUSDT`."""
    parts = bucket_scope.split(":")
    return f"symbol:{parts[2]}" if parts[0] == "symbol" else bucket_scope
