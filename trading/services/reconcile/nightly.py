"""S5: the day that is over, order by order and trade by trade against the venue, as a signed statement."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, Sum

from nautilus_site.common.clock import now
from trading.domain.values import decimal_text
from trading.models import Account, Balance, Divergence, Fill, LedgerEntry, Order, Position, Statement
from trading.services.reconcile.context import Run
from trading.services.statements import statement_sign

SETTLED_BY = time(0, 5)
"""After midnight (UTC): what happened in the last second of the day has been told by then."""


def nightly_due(account: Account, moment: datetime) -> bool:
    """Whether the day before has no statement of this account yet."""
    day = statement_day(moment)
    if (
        account.opened_at is None
        or account.opened_at.date() > day
        or moment.astimezone(UTC).time() < SETTLED_BY
    ):
        return False
    return not Statement.objects.filter(account=account, day=day).exists()


def statement_day(moment: datetime) -> date:
    """The last day that is over (UTC)."""
    return moment.astimezone(UTC).date() - timedelta(days=1)


def sweep_nightly(run: Run) -> None:
    """Write down what the run before it found to be so. By then every symbol's trades and orders were compared."""
    moment = now()
    day = statement_day(moment)
    content = statement_content(run, day, moment)
    agrees = not content["open_differences"] and not content["ledger_unbalanced"]
    row = statement_sign(account=run.account, day=day, content=content, agrees=agrees)
    run.report.statement = row.path


def statement_content(run: Run, day: date, moment: datetime) -> dict[str, Any]:
    """The statement's members; every amount as text."""
    account = run.account
    begins = datetime.combine(day, time.min, UTC)
    ends = begins + timedelta(days=1)
    fills = Fill.objects.filter(account=account, recorded_at__gte=begins, recorded_at__lt=ends)
    orders = Order.objects.filter(account=account, created_at__gte=begins, created_at__lt=ends)
    entries = LedgerEntry.objects.filter(account=account, owner="account")
    closing = dict(entries.filter(at__lt=ends).order_by().values_list("asset").annotate(total=Sum("amount")))
    movements = (
        entries.filter(at__gte=begins, at__lt=ends).order_by("asset", "kind").values("asset", "kind")
    ).annotate(total=Sum("amount"), lines=Count("id"))
    unbalanced = (
        LedgerEntry.objects.filter(account=account, at__gte=begins, at__lt=ends)
        .order_by()
        .values("transaction", "asset")
        .annotate(total=Sum("amount"))
        .exclude(total=0)
        .values_list("transaction", flat=True)[:20]
    )
    return {
        "account": account.name,
        "venue": account.venue.name,
        "environment": account.venue.environment,
        "day": day.isoformat(),
        "made_at": moment.isoformat(),
        "run": {"started_at": run.since.isoformat(), **_counts(run)},
        "orders": {
            row["status"]: row["n"]
            for row in orders.order_by("status").values("status").annotate(n=Count("id"))
        },
        "orders_adopted": orders.filter(origin=Order.Origin.EXTERNAL).count(),
        "fills": [
            {
                "symbol": row["instrument__symbol"],
                "fills": row["n"],
                "bought": _text(row["bought"]),
                "sold": _text(row["sold"]),
                "quote": _text(row["quote"]),
                "commission_quote": _text(row["fees"]),
                "realized": _text(row["realized"]),
            }
            for row in fills.order_by("instrument__symbol")
            .values("instrument__symbol")
            .annotate(
                n=Count("id"),
                bought=Sum("quantity", filter=Q(side="BUY")),
                sold=Sum("quantity", filter=Q(side="SELL")),
                quote=Sum("quote_quantity"),
                fees=Sum("commission_quote"),
                realized=Sum("realized"),
            )
        ],
        "movements": [
            {"asset": r["asset"], "kind": r["kind"], "lines": r["lines"], "total": _text(r["total"])}
            for r in movements
        ],
        "closing_balances": {asset: _text(total) for asset, total in sorted(closing.items()) if total},
        "balances_now": {
            b.asset: {"ours": _text(b.amount), "venue": _text(b.venue_free + b.venue_locked)}
            for b in Balance.objects.filter(account=account).order_by("asset")
            if b.amount or b.venue_free or b.venue_locked
        },
        "positions_now": {
            f"{p.instrument.symbol}:{p.position_side}": _text(p.quantity)
            for p in Position.objects.filter(account=account).select_related("instrument")
            if p.quantity
        },
        "ledger_unbalanced": sorted(set(unbalanced)),
        "open_differences": [
            {
                "kind": d.kind,
                "subject": d.subject,
                "ours": d.ours,
                "theirs": d.theirs,
                "since": d.first_seen_at.isoformat(),
                "sightings": d.sightings,
                "evidence": d.evidence,
            }
            for d in Divergence.objects.filter(account=account, resolved_at=None).order_by("pk")
        ],
    }


def _counts(run: Run) -> dict[str, Any]:
    told = run.report.members()
    return {
        name: told[name]
        for name in (
            "fills_booked",
            "orders_settled",
            "orders_adopted",
            "income_booked",
            "symbols",
            "deep_symbols",
        )
    }


def _text(amount: Decimal | None) -> str:
    return "0" if not amount else decimal_text(amount.normalize())
