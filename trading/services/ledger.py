"""Double entry: every asset of a transaction sums to zero between the account and the venue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from nautilus_site.common.clock import now
from trading.domain.errors import InvariantViolation
from trading.models import Account, Balance, Fill, LedgerEntry

_FOLLOW = """
UPDATE trading_balance AS balance SET amount = balance.amount + change.amount
  FROM unnest(%(assets)s::text[], %(amounts)s::numeric[]) AS change (asset, amount)
 WHERE balance.account_id = %(account)s AND balance.asset = change.asset
RETURNING balance.asset
"""


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
    changes: dict[str, Decimal] = {}
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
        changes[line.asset] = changes.get(line.asset, Decimal(0)) + line.amount
    if sum((entry.amount for entry in entries), Decimal(0)) != 0:
        raise InvariantViolation(f"ledger transaction {transaction} does not sum to zero")
    _balances_follow(account, changes)
    LedgerEntry.objects.bulk_create(entries)


def _balances_follow(account: Account, changes: dict[str, Decimal]) -> None:
    if not changes:
        return
    parameters: dict[str, Any] = {
        "account": account.pk,
        "assets": list(changes),
        "amounts": list(changes.values()),
    }
    with connection.cursor() as cursor:
        cursor.execute(_FOLLOW, parameters)
        followed = {asset for (asset,) in cursor.fetchall()}
    for asset in changes.keys() - followed:
        Balance.objects.create(account=account, asset=asset, amount=changes[asset])
