"""Deposits and withdrawals: booked once from what the venue tells, and taken out of what counts as a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.services.audit import audit_record
from trading.domain.clock import ms_to_ns, ns_to_datetime
from trading.domain.values import decimal_of, decimal_text
from trading.models import Account, LedgerEntry
from trading.services.capital import capital_moved, transfer_value
from trading.services.exposure import balances_locked
from trading.services.ledger import Line, ledger_post


@transaction.atomic
def transfer_book(*, account: Account, event: Mapping[str, Any]) -> bool:
    """Book a `balanceUpdate` of the user stream. False when it is booked already, or part of the opening.

    Day start and peak of equity move with it: a deposit is no profit and a withdrawal no loss. A transfer is
    named by its clear time, asset and amount, so a message told twice is booked once.

    Raises
    ------
    KeyError, ValueError : the message cannot be read.
    """
    asset, amount, cleared_ms = str(event["a"]), decimal_of(str(event["d"])), int(event["T"])
    told_at = ns_to_datetime(ms_to_ns(int(event["E"])))
    locked = (
        Account.objects.select_for_update(of=("self",), no_key=True)
        .select_related("venue")
        .get(pk=account.pk)
    )
    if locked.opened_at is None or told_at < locked.opened_at:
        return False  # the opening balances hold it
    name = f"transfer:{cleared_ms}:{asset}:{decimal_text(amount)}"
    if amount == 0 or LedgerEntry.objects.filter(account=locked, transaction=name).exists():
        return False
    balances_locked(locked, {asset})
    ledger_post(
        account=locked, transaction=name, lines=[Line(asset, amount, LedgerEntry.Kind.TRANSFER)], at=now()
    )
    value = transfer_value(locked, asset, amount)
    capital_moved(locked, value)
    audit_record(
        action="account.transfer",
        target=locked.name,
        actor="user stream",
        after={"asset": asset, "amount": decimal_text(amount), "value": decimal_text(value)},
    )
    return True
