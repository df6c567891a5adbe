"""What accounts are worth, written down at intervals and told to the screens."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, Sum

from nautilus_site.common.clock import now
from nautilus_site.common.services.outbox import publish
from trading.domain.values import decimal_text
from trading.models import Account, Balance, EquitySnapshot, Position, StrategyInstance
from trading.selectors.marks import Marks, marks_read
from trading.selectors.portfolio import strategy_results, worth_by_account
from trading.services.strategies.results import results_mark
from universe.models import Quote

KEEP_FINE = timedelta(days=7)
_ZERO = Decimal(0)


@transaction.atomic
def equity_mark() -> list[EquitySnapshot]:
    """Write one snapshot per open account whose holdings all have a price; keep day start and peak beside it.

    A coin no market here has is no hole in the sum: it was never in one, and a gift must not switch off what watches
    equity.
    """
    # Locked as by whoever books a transfer: what is read here is from before it or from after it in every number.
    accounts = list(
        Account.objects.select_for_update(of=("self",), no_key=True)
        .filter(is_active=True, opened_at__isnull=False)
        .select_related("venue")
        .order_by("pk")
    )
    marks = marks_read()
    worths = worth_by_account(
        accounts,
        Balance.objects.filter(account__in=accounts),
        Position.objects.filter(account__in=accounts).select_related("instrument"),
        marks,
    )
    moment = now()
    market_at = Quote.objects.aggregate(latest=Max("market_time"))["latest"]
    marked: list[EquitySnapshot] = []
    values: dict[str, tuple[Decimal, Decimal]] = {}
    for account in accounts:
        worth = worths[account.pk]
        if worth.gaps:
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
            funding=worth.funding,
            transferred=account.transferred,
        )
        today = (market_at or moment).date()
        _day_and_peak(account, worth.equity, today)
        values[f"account:{account.name}"] = (worth.equity, _ZERO)
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
                "funding": _text(worth.funding),
                "day_start_equity": _text(account.day_start_equity or worth.equity),
                "peak_equity": _text(account.peak_equity or worth.equity),
                "at": moment.isoformat(),
                "market_at": market_at.isoformat() if market_at else None,
            },
        )
        marked.append(snapshot)
    if accounts and len(marked) == len(accounts):
        # Over all only while every account has a value: one that is missing would look like a loss.
        values["global"] = (sum((row.equity for row in marked), _ZERO), _ZERO)
    strategies = _strategies(marks)
    values |= {f"strategy:{name}": value for name, value in strategies.items()}
    results_mark(strategies, at=moment, market_at=market_at)
    _anchor(values, (market_at or moment).date(), moment)
    return marked


def _strategies(marks: Marks) -> dict[str, tuple[Decimal, Decimal]]:
    """What each strategy was granted and has made of it: name -> (equity, capital)."""
    grants = StrategyInstance.objects.order_by().values_list("strategy__name").annotate(Sum("allocation"))
    capital: dict[str, Decimal] = {name: total or _ZERO for name, total in grants}
    results = strategy_results(marks)
    return {name: (granted + results.get(name, _ZERO), granted) for name, granted in capital.items()}


# The day begins at 00:00 UTC of the market. A peak and a day start move with what was granted, never with a result.
_ANCHOR = """
INSERT INTO trading_equityanchor AS anchor
       (scope, equity, capital, day_started_on, day_start_equity, peak_equity, marked_at)
SELECT told.scope, told.equity, told.capital, %(today)s, told.equity, told.equity, %(at)s
  FROM unnest(%(scopes)s::text[], %(equities)s::numeric[], %(capitals)s::numeric[]) AS told (scope, equity, capital)
    ON CONFLICT (scope) DO UPDATE SET
       equity = EXCLUDED.equity,
       capital = EXCLUDED.capital,
       day_started_on = EXCLUDED.day_started_on,
       day_start_equity = CASE WHEN anchor.day_started_on = EXCLUDED.day_started_on
            THEN anchor.day_start_equity + EXCLUDED.capital - anchor.capital ELSE EXCLUDED.equity END,
       peak_equity = greatest(anchor.peak_equity + EXCLUDED.capital - anchor.capital, EXCLUDED.equity),
       marked_at = EXCLUDED.marked_at
"""


def _anchor(values: dict[str, tuple[Decimal, Decimal]], today: date, moment: datetime) -> None:
    if not values:
        return
    scopes = sorted(values)
    parameters: dict[str, Any] = {
        "today": today,
        "at": moment,
        "scopes": scopes,
        "equities": [values[scope][0] for scope in scopes],
        "capitals": [values[scope][1] for scope in scopes],
    }
    with connection.cursor() as cursor:
        cursor.execute(_ANCHOR, parameters)


def _text(amount: Decimal) -> str:
    return decimal_text(amount.quantize(Decimal("1E-8")))


def _day_and_peak(account: Account, equity: Decimal, today: date) -> None:
    changed = []
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
