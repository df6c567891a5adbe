"""Putting a position and balances back to what their facts say. Only reconciliation does so, and says it did."""

from __future__ import annotations

from decimal import Decimal

from django.db.models import Sum

from trading.domain.subaccounts import Book, fold_book
from trading.domain.values import from_units
from trading.models import Account, Balance, BookSnapshot, LedgerEntry, Position, SubBalance, SubPosition
from trading.services.books.history import fills_after, transfers_after
from trading.services.books.snapshots import book_start
from trading.services.execution.book_rows import parts_write

ZERO = Decimal(0)
_FOLDED = ("quantity", "cost", "realized", "commission", "last_trade_id")


def position_rebuild(position: Position) -> dict[str, tuple[Decimal, Decimal]]:
    """Fold a locked position and its owners' parts anew from all their facts. Returns column -> (before, after)."""
    domain = position.instrument.to_domain()
    begins = BookSnapshot.objects.filter(account_id=position.account_id, content__baseline=True)
    newest = begins.order_by("-pk").first()
    start, after, last_transfer = (Book(), 0, 0) if newest is None else book_start(position, only=newest)
    book = fold_book(
        fills_after(position, domain, after), transfers_after(position, last_transfer), domain, start
    )
    rebuilt = {
        "quantity": from_units(book.position.quantity),
        "cost": from_units(book.position.cost),
        "realized": from_units(book.position.realized),
        "commission": from_units(book.position.fees),
    }
    changed = {
        name: (getattr(position, name), value)
        for name, value in rebuilt.items()
        if getattr(position, name) != value
    }
    for name, value in rebuilt.items():
        setattr(position, name, value)
    position.last_trade_id = book.last_trade_id
    position.save(update_fields=_FOLDED)
    SubPosition.objects.filter(position=position).exclude(owner__in=list(book.owners)).update(
        quantity=ZERO, cost=ZERO, realized=ZERO, commission=ZERO
    )
    parts_write(position, book, {})
    return changed


def balances_rebuild(account: Account, assets: set[str]) -> dict[str, tuple[Decimal, Decimal]]:
    """Sum locked balances and their owners' parts anew from the ledger. Returns asset -> (before, after)."""
    own = LedgerEntry.objects.filter(account=account, owner="account", asset__in=assets).order_by()
    sums = dict(own.values_list("asset").annotate(total=Sum("amount")))
    changed = {}
    for balance in Balance.objects.filter(account=account, asset__in=assets).order_by("asset"):
        total = sums.get(balance.asset, ZERO)
        if balance.amount != total:
            changed[balance.asset] = (balance.amount, total)
            Balance.objects.filter(pk=balance.pk).update(amount=total)
    SubBalance.objects.filter(account=account, asset__in=assets).update(amount=ZERO)
    SubBalance.objects.bulk_create(
        [
            SubBalance(account=account, owner=owner, asset=asset, amount=total)
            for owner, asset, total in own.values_list("sub", "asset").annotate(total=Sum("amount"))
        ],
        update_conflicts=True,
        unique_fields=["account", "owner", "asset"],
        update_fields=["amount"],
    )
    return changed
