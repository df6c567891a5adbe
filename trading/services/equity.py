"""What accounts are worth, written down at intervals and told to the screens."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Max

from nautilus_site.common.clock import now
from nautilus_site.common.services.outbox import publish
from trading.domain.values import decimal_text
from trading.models import Account, Balance, EquitySnapshot, Position
from trading.selectors.marks import marks_read
from trading.selectors.portfolio import worth_by_account
from universe.models import Quote

KEEP_FINE = timedelta(days=7)


@transaction.atomic
def equity_mark() -> list[EquitySnapshot]:
    """Write one snapshot per open account whose holdings all have a price; keep day start and peak beside it."""
    accounts = list(
        Account.objects.filter(is_active=True, opened_at__isnull=False).select_related("venue").order_by("pk")
    )
    worths = worth_by_account(
        accounts,
        Balance.objects.filter(account__in=accounts),
        Position.objects.filter(account__in=accounts).select_related("instrument"),
        marks_read(),
    )
    moment = now()
    market_at = Quote.objects.aggregate(latest=Max("market_time"))["latest"]
    marked = []
    for account in accounts:
        worth = worths[account.pk]
        if worth.unpriced:
            continue  # a sum with a hole in it would look like a loss
        snapshot = EquitySnapshot.objects.create(
            account=account,
            at=moment,
            market_at=market_at,
            equity=worth.equity,
            cash=worth.cash,
            market_value=worth.market_value,
            unrealized=worth.unrealized,
            realized=worth.realized,
            commission=worth.fees,
        )
        _day_and_peak(account, worth.equity)
        publish(
            "equity",
            {
                "account": account.name,
                "equity": _text(worth.equity),
                "cash": _text(worth.cash),
                "market_value": _text(worth.market_value),
                "exposure_gross": _text(worth.exposure_gross),
                "unrealized_pnl": _text(worth.unrealized),
                "realized_pnl": _text(worth.realized),
                "fees": _text(worth.fees),
                "day_start_equity": _text(account.day_start_equity or worth.equity),
                "peak_equity": _text(account.peak_equity or worth.equity),
                "at": moment.isoformat(),
                "market_at": market_at.isoformat() if market_at else None,
            },
        )
        marked.append(snapshot)
    return marked


def _text(amount: Decimal) -> str:
    return decimal_text(amount.quantize(Decimal("1E-8")))


def _day_and_peak(account: Account, equity: Decimal) -> None:
    changed = []
    today = now().date()
    if account.day_started_on != today or account.day_start_equity is None:
        account.day_started_on, account.day_start_equity = today, equity
        changed += ["day_started_on", "day_start_equity"]
    if account.peak_equity is None or equity > account.peak_equity:
        account.peak_equity = equity
        changed.append("peak_equity")
    if changed:
        account.save(update_fields=changed)


def equity_prune() -> int:
    """Thin snapshots older than a week to the first of each minute. Returns how many were deleted."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM trading_equitysnapshot AS s USING trading_equitysnapshot AS first
             WHERE s.at < %s AND first.account_id = s.account_id AND first.id < s.id
               AND date_trunc('minute', first.at) = date_trunc('minute', s.at)
            """,
            [now() - KEEP_FINE],
        )
        return int(cursor.rowcount)
