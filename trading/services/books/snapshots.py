"""Snapshots of an account's books: taken at intervals, each with a hash, so that a rebuild folds only the tail.

What is stored is what the incremental books say at one moment, read under their locks together with the newest fill,
transfer and ledger entry: nothing booked is half in it. A snapshot whose hash is wrong is never used.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Max

from nautilus_site.common.clock import now
from trading.domain.portfolio import Position as Held
from trading.domain.subaccounts import Book
from trading.domain.values import decimal_text, to_units
from trading.models import (
    Account,
    Balance,
    BookSnapshot,
    Fill,
    LedgerEntry,
    Position,
    PositionTransfer,
    SubBalance,
    SubPosition,
)
from trading.selectors.books import snapshot_is_intact

log = structlog.get_logger(__name__)
EVERY = timedelta(minutes=10)
KEEP_ALL = timedelta(hours=6)
KEEP_DAILY = timedelta(days=30)


@transaction.atomic
def snapshot_take(account: Account) -> BookSnapshot:
    """Write an account's books down as they are now."""
    positions = list(
        Position.objects.select_for_update(of=("self",), no_key=True)
        .filter(account=account)
        .order_by("instrument_id", "position_side")
    )
    balances = list(
        Balance.objects.raw(
            'SELECT * FROM trading_balance WHERE account_id = %s ORDER BY asset COLLATE "C" FOR NO KEY UPDATE',
            [account.pk],
        )
    )
    parts: dict[int, dict[str, dict[str, str]]] = {}
    for part in SubPosition.objects.filter(position__account=account).order_by("owner"):
        parts.setdefault(part.position_id, {})[part.owner] = _held_text(part)
    content: dict[str, Any] = {
        "positions": {
            f"{row.instrument_id}:{row.position_side}": {
                **_held_text(row),
                "last_trade_id": row.last_trade_id,
                "splits": row.splits,
                "owners": parts.get(row.pk, {}),
            }
            for row in positions
        },
        "balances": {row.asset: decimal_text(row.amount) for row in balances},
        "owners": {
            f"{row.owner}:{row.asset}": decimal_text(row.amount)
            for row in SubBalance.objects.filter(account=account).order_by("owner", "asset")
        },
    }
    last = (
        Fill.objects.filter(account=account).aggregate(last=Max("pk"))["last"] or 0,
        PositionTransfer.objects.filter(position__account=account).aggregate(last=Max("pk"))["last"] or 0,
        LedgerEntry.objects.filter(account=account).aggregate(last=Max("pk"))["last"] or 0,
    )
    return BookSnapshot.objects.create(
        account=account,
        at=now(),
        last_fill_id=last[0],
        last_transfer_id=last[1],
        last_ledger_id=last[2],
        content=content,
        digest=snapshot_digest(content, last),
    )


def snapshot_digest(content: dict[str, Any], last: tuple[int, int, int]) -> str:
    """The hash over everything a snapshot says."""
    text = json.dumps([content, list(last)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def snapshot_newest(account: Account) -> BookSnapshot | None:
    """The newest intact snapshot; corrupt ones are told of and passed over."""
    for snapshot in BookSnapshot.objects.filter(account=account).order_by("-pk").iterator(chunk_size=1):
        if snapshot_is_intact(snapshot):
            return snapshot
        log.error("snapshot_corrupt", account=account.name, snapshot_id=snapshot.pk)
    return None


def snapshots_due() -> list[Account]:
    """Active, opened accounts whose newest snapshot is old and that have moved since."""
    due = []
    for account in Account.objects.filter(is_active=True, opened_at__isnull=False):
        newest = BookSnapshot.objects.filter(account=account).order_by("-pk").first()
        if newest is not None and now() - newest.at < EVERY:
            continue
        last = LedgerEntry.objects.filter(account=account).aggregate(last=Max("pk"))["last"] or 0
        if newest is None or last > newest.last_ledger_id:
            due.append(account)
    return due


def snapshots_prune() -> int:
    """Keep all of the last hours and the first of each day for a month. Returns how many were deleted."""
    deleted = 0
    kept: set[tuple[int, object]] = set()
    for row in (
        BookSnapshot.objects.filter(at__lt=now() - KEEP_ALL).order_by("pk").values("pk", "account_id", "at")
    ):
        day = (row["account_id"], row["at"].date())
        if row["at"] > now() - KEEP_DAILY and day not in kept:
            kept.add(day)
            continue
        deleted += BookSnapshot.objects.filter(pk=row["pk"]).delete()[0]
    return deleted


def book_start(
    position: Position, *, before_trade_id: int | None = None, only: BookSnapshot | None = None
) -> tuple[Book, int, int]:
    """The book of a position in the newest usable snapshot, with the last trade and transfer folded into it.

    Usable is one that is intact, knows no trade after `before_trade_id`, and holds every booked trade up to its last
    one: a trade that came late is in none of the snapshots taken before it. Without any: an empty book.
    """
    key = f"{position.instrument_id}:{position.position_side}"
    snapshots = BookSnapshot.objects.filter(account_id=position.account_id).order_by("-pk")
    if only is not None:
        snapshots = snapshots.filter(pk=only.pk)
    for snapshot in snapshots.iterator(chunk_size=4):
        told = snapshot.content.get("positions", {}).get(key)
        if told is None:
            continue
        last = int(told["last_trade_id"])
        if before_trade_id is not None and last >= before_trade_id:
            continue
        if not snapshot_is_intact(snapshot):
            log.error("snapshot_corrupt", account_id=position.account_id, snapshot_id=snapshot.pk)
            continue
        late = Fill.objects.filter(
            account_id=position.account_id,
            instrument_id=position.instrument_id,
            order__position_side=position.position_side,
            trade_id__lte=last,
            pk__gt=snapshot.last_fill_id,
        )
        if late.exists():
            continue
        return _book(told), last, snapshot.last_transfer_id
    return Book(), 0, 0


def _book(told: dict[str, Any]) -> Book:
    return Book(
        position=_held(told),
        owners={owner: _held(part) for owner, part in told["owners"].items()},
        taken={int(order): dict(taken) for order, taken in told["splits"].items()},
        last_trade_id=int(told["last_trade_id"]),
    )


def _held(told: dict[str, Any]) -> Held:
    return Held(*(to_units(Decimal(told[name])) for name in ("quantity", "cost", "realized", "commission")))


def _held_text(row: Position | SubPosition) -> dict[str, str]:
    return {
        name: decimal_text(getattr(row, name))
        for name in ("quantity", "cost", "realized", "commission", "funding")
    }
