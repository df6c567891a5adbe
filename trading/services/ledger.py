"""Double entry: every asset of a transaction sums to zero between the account and the venue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import F

from nautilus_site.common.clock import now
from trading.domain.errors import InvariantViolation
from trading.models import Account, Balance, Fill, LedgerEntry


@dataclass(frozen=True, slots=True)
class Line:
    """What an asset of the account changes by, and why."""

    asset: str
    amount: Decimal
    kind: str


def ledger_post(
    *,
    account: Account,
    transaction: str,
    lines: Iterable[Line],
    at: datetime | None = None,
    fill: Fill | None = None,
) -> None:
    """Book a transaction: each line for the account and its counter line for the venue; balances follow.

    Call inside a transaction that holds the balance rows. Booking the same transaction twice violates a constraint.
    """
    moment = at or now()
    entries = []
    for line in lines:
        if line.amount == 0:
            continue
        for owner, amount in (("account", line.amount), ("venue", -line.amount)):
            entries.append(
                LedgerEntry(
                    account=account,
                    transaction=transaction,
                    owner=owner,
                    asset=line.asset,
                    amount=amount,
                    kind=line.kind,
                    fill=fill,
                    at=moment,
                )
            )
        changed = Balance.objects.filter(account=account, asset=line.asset).update(
            amount=F("amount") + line.amount
        )
        if not changed:
            Balance.objects.create(account=account, asset=line.asset, amount=line.amount)
    if sum((entry.amount for entry in entries), Decimal(0)) != 0:
        raise InvariantViolation(f"ledger transaction {transaction} does not sum to zero")
    LedgerEntry.objects.bulk_create(entries)
