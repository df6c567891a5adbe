"""Differences between our books and the venue's: told once, counted at each sighting, closed when gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import structlog

from nautilus_site.common.clock import now
from trading.domain.orders import OrderStatus
from trading.domain.ports import BalanceReport
from trading.domain.values import decimal_text
from trading.models import Account, Balance, Divergence, LedgerEntry, Order

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Report:
    """What one run found and did."""

    fills_booked: int = 0
    orders_settled: int = 0
    orders_adopted: int = 0
    resolved: int = 0
    late_landings: int = 0
    divergences: list[dict[str, Any]] = field(default_factory=list)
    every_symbol: bool = True

    @property
    def repairs(self) -> int:
        return self.fills_booked + self.orders_settled + self.orders_adopted + self.late_landings


def balance_totals(balances: list[BalanceReport]) -> dict[str, Decimal]:
    """Free plus locked, by asset."""
    return {b.asset: b.free + b.locked for b in balances}


def last_ledger_entry(account: Account) -> int | None:
    """The newest entry of an account: comparing it tells whether something was booked meanwhile."""
    return LedgerEntry.objects.filter(account=account).order_by("-pk").values_list("pk", flat=True).first()


def balances_compare(
    account: Account, theirs: list[BalanceReport], booked_to: int | None, report: Report
) -> None:
    """Every asset's ledger sum against what the venue holds. A difference is told, never booked away.

    Working orders are no excuse: both readings of the venue agreed and every trade up to them is booked. Only an
    order whose outcome is not known, or a fill booked since `booked_to`, puts the verdict off.
    """
    moment = now()
    totals = balance_totals(theirs)
    for entry in theirs:
        Balance.objects.update_or_create(
            account=account,
            asset=entry.asset,
            defaults={"venue_free": entry.free, "venue_locked": entry.locked, "venue_seen_at": moment},
        )
    settling = Order.objects.filter(
        account=account,
        status__in=(OrderStatus.SENDING, OrderStatus.UNKNOWN),
    ).exists()
    rows = list(Balance.objects.filter(account=account))
    settling = settling or last_ledger_entry(account) != booked_to
    for balance in rows:
        their_total = totals.get(balance.asset, Decimal(0))
        if balance.amount == their_total:
            divergence_close(account, "BALANCE_MISMATCH", balance.asset, "equal again")
        elif not settling:
            divergence_open(
                account,
                report,
                "BALANCE_MISMATCH",
                balance.asset,
                decimal_text(balance.amount.normalize()),
                decimal_text(their_total),
            )


def divergence_open(
    account: Account, report: Report, kind: str, subject: str, ours: Any, theirs: Any
) -> None:
    """Tell of a difference; a known one is counted once more."""
    moment = now()
    row = Divergence.objects.filter(account=account, kind=kind, subject=subject, resolved_at=None).first()
    if row is None:
        row = Divergence.objects.create(
            account=account,
            kind=kind,
            subject=subject,
            ours=ours,
            theirs=theirs,
            first_seen_at=moment,
            last_seen_at=moment,
        )
    else:
        row.sightings += 1
        row.ours, row.theirs, row.last_seen_at = ours, theirs, moment
        row.save()
    report.divergences.append({"kind": kind, "subject": subject, "ours": ours, "theirs": theirs})
    log.warning("divergence", account=account.name, kind=kind, subject=subject, ours=ours, theirs=theirs)


def divergence_close(account: Account, kind: str, subject: str, how: str) -> None:
    """Close an open difference and say how it went away."""
    Divergence.objects.filter(account=account, kind=kind, subject=subject, resolved_at=None).update(
        resolved_at=now(), resolution=how
    )


def unseen_resolve(account: Account, report: Report) -> None:
    """Close order and trade divergences that this run did not see again."""
    seen = {(entry["kind"], entry["subject"]) for entry in report.divergences}
    for row in Divergence.objects.filter(account=account, resolved_at=None).exclude(kind="BALANCE_MISMATCH"):
        if (row.kind, row.subject) not in seen:
            divergence_close(account, row.kind, row.subject, "not seen again")
