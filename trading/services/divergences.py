"""Differences between our books and the venue that a reconciliation found: opened, seen again, confirmed, closed.

What a confirmed one does: its symbols may only reduce, people are called, and after a bounded number of runs
that could not explain it they are halted. The row stays open until the difference is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import structlog

from nautilus_site.common.clock import now
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from trading import metrics
from trading.domain.evidence import halts, is_confirmed
from trading.domain.ports import BalanceReport
from trading.domain.values import Level
from trading.models import Account, Divergence, LedgerEntry, TradingState
from trading.services.controls.states import kill_raise

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Report:
    """What one run found and did."""

    fills_booked: int = 0
    orders_settled: int = 0
    orders_adopted: int = 0
    resolved: int = 0
    late_landings: int = 0
    income_booked: int = 0
    divergences: list[dict[str, Any]] = field(default_factory=list)
    every_symbol: bool = True
    balances_compared: bool = False
    filters_synced: bool = False
    deep_symbols: int = 0
    statement: str = ""
    checked: set[str] = field(default_factory=set)
    symbols: set[str] = field(default_factory=set)

    @property
    def repairs(self) -> int:
        return (
            self.fills_booked
            + self.orders_settled
            + self.orders_adopted
            + self.late_landings
            + self.income_booked
        )

    def members(self) -> dict[str, Any]:
        """As it is stored with the run and shown."""
        return {
            "fills_booked": self.fills_booked,
            "orders_settled": self.orders_settled,
            "orders_adopted": self.orders_adopted,
            "resolved": self.resolved,
            "late_landings": self.late_landings,
            "income_booked": self.income_booked,
            "divergences": self.divergences,
            "every_symbol": self.every_symbol,
            "balances_compared": self.balances_compared,
            "symbols": sorted(self.symbols),
            "deep_symbols": self.deep_symbols,
            **({"statement": self.statement} if self.statement else {}),
        }


def balance_totals(balances: list[BalanceReport]) -> dict[str, Decimal]:
    """Free plus locked, by asset."""
    return {b.asset: b.free + b.locked for b in balances}


def last_ledger_entry(account: Account) -> int | None:
    """The newest entry of an account: comparing it tells whether something was booked meanwhile."""
    return LedgerEntry.objects.filter(account=account).order_by("-pk").values_list("pk", flat=True).first()


def divergence_open(
    account: Account,
    report: Report,
    kind: str,
    subject: str,
    ours: Any,
    theirs: Any,
    *,
    symbols: Sequence[str] = (),
    evidence: Mapping[str, Any] | None = None,
    doubted: bool = False,
) -> Divergence:
    """Tell of a difference; a known one is counted once more, and confirmed once the evidence is complete.

    Parameters
    ----------
    symbols : what may only reduce once it is confirmed; nothing named means the whole account.
    evidence : of another kind than the reading itself; empty while there is none yet.
    """
    moment = now()
    row = Divergence.objects.filter(account=account, kind=kind, subject=subject, resolved_at=None).first()
    if row is None:
        row = Divergence(
            account=account,
            kind=kind,
            subject=subject,
            ours=ours,
            theirs=theirs,
            first_seen_at=moment,
            same_since=moment,
            sightings=0,
        )
    elif not _same(row, ours, theirs):
        row.same_since = moment
    row.sightings += 1
    row.ours, row.theirs, row.last_seen_at, row.doubted = ours, theirs, moment, doubted
    row.evidence = dict(evidence or {})
    row.scopes = [f"symbol:{symbol}" for symbol in symbols] or [f"account:{account.name}"]
    row.save()
    report.divergences.append({"kind": kind, "subject": subject, "ours": ours, "theirs": theirs})
    log.warning("divergence", account=account.name, kind=kind, subject=subject, ours=ours, theirs=theirs)
    _judge(row, moment)
    return row


def _same(row: Divergence, ours: Any, theirs: Any) -> bool:
    """Whether the difference is what it was: amounts may both move by trades, as long as it does not."""
    try:
        before = Decimal(str(row.theirs)) - Decimal(str(row.ours))
        after = Decimal(str(theirs)) - Decimal(str(ours))
    except (TypeError, InvalidOperation, ValueError):
        return bool(row.ours == ours and row.theirs == theirs)
    return before == after


def _judge(row: Divergence, moment: datetime) -> None:
    same_for_s = (moment - (row.same_since or moment)).total_seconds()
    if row.confirmed_at is not None:
        row.attempts += 1
        row.save(update_fields=["attempts"])
        _escalate(row)
        return
    if row.doubted:
        if row.sightings > 1 and same_for_s >= 5 and not row.escalated_to:
            row.escalated_to = "ALARM"
            row.save(update_fields=["escalated_to"])
            _call_people(row, "the venue's answer cannot be believed; nothing was changed")
        return
    if is_confirmed(
        same_for_s=same_for_s,
        reads=row.sightings,
        second_evidence=bool(row.evidence),
        doubted=row.doubted,
    ):
        row.confirmed_at = moment
        row.save(update_fields=["confirmed_at"])
        audit_record(
            action="divergence.confirmed",
            target=f"{row.account.name}:{row.kind}:{row.subject}",
            actor="reconciliation",
            after={"ours": row.ours, "theirs": row.theirs, "evidence": row.evidence},
        )
        _call_people(row, "two readings and a second kind of evidence agree")
        _escalate(row)


def _escalate(row: Divergence) -> None:
    """Let what the difference touches only reduce; halt it when the attempts at an explanation are used up."""
    level = Level.HALT_NEW if halts(row.attempts) else Level.REDUCING
    if row.escalated_to == level.name:
        return
    known = dict(TradingState.objects.filter(scope__in=row.scopes).values_list("scope", "level"))
    for scope in row.scopes:
        if known.get(scope, Level.ACTIVE) < level:
            kill_raise(
                scope=scope,
                level=level,
                reason=f"unexplained {row.kind} {row.subject}: ours {row.ours}, theirs {row.theirs}"[:500],
                actor="reconciliation",
            )
    if row.escalated_to:
        _call_people(row, f"unexplained after {row.attempts} attempts: {', '.join(row.scopes)} halted")
    row.escalated_to = level.name
    row.save(update_fields=["escalated_to"])


def _call_people(row: Divergence, why: str) -> None:
    metrics.INCIDENTS.labels(kind="divergence").inc()
    publish(
        "incidents",
        {
            "kind": "divergence",
            "severity": "page",
            "account": row.account.name,
            "title": f"{row.kind} {row.subject}",
            "detail": why,
            "ours": row.ours,
            "theirs": row.theirs,
            "divergence_id": row.pk,
        },
    )
    log.error("divergence_page", account=row.account.name, kind=row.kind, subject=row.subject, why=why)


def divergence_close(row: Divergence, how: str) -> None:
    """Close an open difference and say how it went away."""
    row.resolved_at, row.resolution = now(), how[:200]
    row.save(update_fields=["resolved_at", "resolution"])


def unseen_resolve(account: Account, report: Report) -> None:
    """Close what this run looked for and did not see again; what it did not look for stays open."""
    seen = {(entry["kind"], entry["subject"]) for entry in report.divergences}
    for row in Divergence.objects.filter(account=account, resolved_at=None, kind__in=report.checked):
        if (row.kind, row.subject) in seen:
            continue
        symbol = row.subject.partition(":")[0]
        if row.kind in _BY_SYMBOL and symbol not in report.symbols:
            continue
        divergence_close(row, "equal again" if row.kind in _BY_AMOUNT else "not seen again")


_BY_SYMBOL = frozenset({"MISSING_FILL", "FILL_MISMATCH", "STATUS_BEHIND"})
_BY_AMOUNT = frozenset({"BALANCE_MISMATCH", "POSITION_MISMATCH", "ACCOUNT_EMPTY"})


def reconciled(account: Account) -> bool:
    """Whether nothing stands against calling the account reconciled: no confirmed difference, no doubted answer."""
    rows = Divergence.objects.filter(account=account, resolved_at=None)
    return not rows.filter(confirmed_at__isnull=False).exists() and not rows.filter(doubted=True).exists()
