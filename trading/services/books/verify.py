"""The books rebuilt from their facts and compared with what is kept beside them. Differences are told, never edited.

Positions and their owners' parts are folded from fills and transfers, balances are summed from the ledger; from the
newest intact snapshot on, or from the beginning. Read under the locks of the books, so that nothing is half booked.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Sum

from trading import metrics
from trading.domain.errors import InvariantViolation
from trading.domain.portfolio import Position as Held
from trading.domain.subaccounts import NETTING, Book, fold_book
from trading.domain.values import decimal_text, from_units
from trading.models import (
    Account,
    Balance,
    BookSnapshot,
    LedgerEntry,
    Position,
    SubBalance,
    SubPosition,
)
from trading.selectors.books import snapshot_is_intact
from trading.services.books.history import fills_after, transfers_after
from trading.services.books.snapshots import book_start, snapshot_newest

log = structlog.get_logger(__name__)
ZERO = Decimal(0)
_BASELINE = {"content__baseline": True}


@dataclass(slots=True)
class Verified:
    """What one verification looked at and found."""

    account: str
    snapshot: int | None = None
    corrupt_snapshots: int = 0
    positions: int = 0
    entries: int = 0
    seconds: float = 0.0
    differences: list[dict[str, Any]] = field(default_factory=list)

    def differ(self, what: str, kept: Decimal, rebuilt: Decimal) -> None:
        """Note a figure where what is kept is not what the facts give."""
        if kept != rebuilt:
            self.differences.append(
                {"what": what, "kept": decimal_text(kept), "rebuilt": decimal_text(rebuilt)}
            )

    def members(self) -> dict[str, Any]:
        """As a command or a report shows it."""
        return {
            "account": self.account,
            "ok": not self.differences,
            "snapshot": self.snapshot,
            "corrupt_snapshots": self.corrupt_snapshots,
            "positions": self.positions,
            "ledger_entries": self.entries,
            "seconds": round(self.seconds, 3),
            "differences": self.differences,
        }


@transaction.atomic
def books_verify(account: Account, *, full: bool = False) -> Verified:
    """Rebuild an account's books and compare. `full` starts from the beginning and trusts no snapshot.

    Books older than their division among owners begin at the snapshot that was taken of them then.
    """
    started = time.perf_counter()
    found = Verified(account.name)
    positions = list(
        Position.objects.select_for_update(of=("self",), no_key=True)
        .select_related("instrument")
        .filter(account=account)
        .order_by("instrument_id", "position_side")
    )
    balances = {
        row.asset: row.amount
        for row in Balance.objects.raw(
            'SELECT * FROM trading_balance WHERE account_id = %s ORDER BY asset COLLATE "C" FOR NO KEY UPDATE',
            [account.pk],
        )
    }
    found.corrupt_snapshots = sum(
        not snapshot_is_intact(row)
        for row in BookSnapshot.objects.filter(account=account).order_by("-pk")[:20]
    )
    _ledger(account, balances, full, found)
    for position in positions:
        _position(position, full, found)
    if full:
        _funding(account, positions, found)
    found.positions = len(positions)
    found.seconds = time.perf_counter() - started
    for entry in found.differences:
        log.error("books_differ", account=account.name, **entry)
        invariant = "I8_ledger" if entry["what"].startswith(("balance", "ledger")) else "I7_position"
        metrics.INVARIANT_VIOLATIONS.labels(invariant=invariant).inc()
    return found


def books_check(account: Account, *, full: bool = False) -> None:
    """Verify, and stop on a difference: what is kept is not what was booked, so nothing kept may be believed.

    Raises
    ------
    InvariantViolation : I7 or I8 does not hold.
    """
    found = books_verify(account, full=full)
    if found.differences:
        first = found.differences[0]
        raise InvariantViolation(
            f"the books of {account.name} differ from their facts in {len(found.differences)} places, first "
            f"{first['what']}: kept {first['kept']}, rebuilt {first['rebuilt']}"
        )


def _ledger(account: Account, balances: dict[str, Decimal], full: bool, found: Verified) -> None:
    """Balances and their owners' parts against the sums of their entries; every transaction against zero."""
    start = snapshot_newest(account) if not full else None
    found.snapshot = start.pk if start is not None else None
    after = start.last_ledger_id if start is not None else 0
    entries = LedgerEntry.objects.filter(account=account, pk__gt=after)
    own = entries.filter(owner="account").order_by()
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    subs: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    if start is not None:
        sums.update({asset: Decimal(text) for asset, text in start.content["balances"].items()})
        for key, text in start.content["owners"].items():
            owner, _, asset = key.rpartition(":")
            subs[owner, asset] = Decimal(text)
    for owner, asset, total in own.values_list("sub", "asset").annotate(total=Sum("amount")):
        sums[asset] += total
        subs[owner, asset] += total
    found.entries = entries.count()
    for asset in sorted({*sums, *balances}):
        found.differ(f"balance {asset}", balances.get(asset, ZERO), sums[asset])
    kept = {(row.owner, row.asset): row.amount for row in SubBalance.objects.filter(account=account)}
    for owner, asset in sorted({*subs, *kept}):
        found.differ(
            f"balance {asset} of {owner or 'people'}", kept.get((owner, asset), ZERO), subs[owner, asset]
        )
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for (_, asset), amount in kept.items():
        totals[asset] += amount
    for asset in sorted({*totals, *balances}):
        found.differ(f"balance {asset} of all owners", totals[asset], balances.get(asset, ZERO))
    uneven = (
        entries.order_by().values("transaction", "asset").annotate(total=Sum("amount")).exclude(total=0)[:20]
    )
    for row in uneven:
        found.differ(f"ledger {row['transaction']} {row['asset']}", row["total"], ZERO)


def _position(position: Position, full: bool, found: Verified) -> None:
    """A position and its owners' parts against the fold of their fills and transfers."""
    domain = position.instrument.to_domain()
    begins = (
        BookSnapshot.objects.filter(account_id=position.account_id, **_BASELINE).order_by("-pk").first()
        if full
        else None
    )
    if full and begins is None:
        start, after, last_transfer = Book(), 0, 0
    else:
        start, after, last_transfer = book_start(position, only=begins)
    book = fold_book(
        fills_after(position, domain, after), transfers_after(position, last_transfer), domain, start
    )
    name = f"position {position.instrument.symbol} {position.position_side}"
    _compare(name, position, book.position, found)
    parts = {part.owner: part for part in SubPosition.objects.filter(position=position)}
    for owner in sorted({*parts, *book.owners} - {NETTING}):
        kept = parts.get(owner) or SubPosition(position=position, owner=owner)
        _compare(f"{name} of {owner or 'people'}", kept, book.owners.get(owner, Held()), found)
    shared = sum((part.quantity for part in parts.values()), ZERO)
    found.differ(f"{name} of all owners", shared, position.quantity)
    paid = sum((part.funding for part in parts.values()), ZERO)
    found.differ(f"{name} funding of all owners", paid, position.funding)


def _funding(account: Account, positions: list[Position], found: Verified) -> None:
    """Funding of each symbol, both sides together, against its ledger entries."""
    booked = dict(
        LedgerEntry.objects.filter(account=account, owner="account", kind=LedgerEntry.Kind.FUNDING)
        .order_by()
        .values_list("instrument_id")
        .annotate(total=Sum("amount"))
    )
    kept: defaultdict[int, Decimal] = defaultdict(Decimal)
    symbols = {}
    for position in positions:
        kept[position.instrument_id] += position.funding
        symbols[position.instrument_id] = position.instrument.symbol
    for pk, symbol in sorted(symbols.items()):
        found.differ(f"position {symbol} funding", kept[pk], -booked.get(pk, ZERO))


def _compare(name: str, kept: Position | SubPosition, rebuilt: Held, found: Verified) -> None:
    for column, units in (
        ("quantity", rebuilt.quantity),
        ("cost", rebuilt.cost),
        ("realized", rebuilt.realized),
        ("commission", rebuilt.fees),
    ):
        found.differ(f"{name} {column}", Decimal(getattr(kept, column)), from_units(units))
