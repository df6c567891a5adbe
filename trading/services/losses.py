"""What every scope has lost, mark to market, written down every two seconds for the rails to go by."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from django.db import transaction
from django.db.models import Max, Sum

from nautilus_site.common.clock import now
from trading.domain.clock import datetime_to_ns, ns_to_datetime
from trading.domain.losses import Tally, TradeResult, drawdown_ppm, fold, value
from trading.domain.values import Side
from trading.models import Account, EquitySnapshot, Fill, LossMeasure, Strategy, StrategyInstance
from trading.services.scopes import GLOBAL
from universe.models import Quote

ZERO = Decimal(0)
_BATCH = 5_000


def losses_measure() -> list[LossMeasure]:
    """Measure every account, everything together, and every strategy that has traded."""
    prices = _prices()
    rows = [_strategy(strategy, prices) for strategy in _traded()]
    accounts = [row for row in map(_account, Account.objects.filter(is_active=True)) if row is not None]
    rows += accounts
    if accounts:
        rows.append(_everything(accounts))
    return rows


@transaction.atomic
def _account(account: Account) -> LossMeasure | None:
    """An account by its equity, whose day start and peak leave deposits and withdrawals out."""
    latest = EquitySnapshot.objects.filter(account=account).order_by("-at").first()
    if latest is None or account.day_start_equity is None or account.day_started_on is None:
        return None
    # What came in or went out since the mark is in day start and peak already.
    equity = latest.equity + account.transferred - latest.transferred
    peak = max(account.peak_equity or equity, equity)
    row, _ = LossMeasure.objects.update_or_create(
        scope=f"account:{account.name}",
        defaults={
            "day": account.day_started_on,
            "value": equity,
            "day_start": account.day_start_equity,
            "peak": peak,
            "drawdown_ppm": drawdown_ppm(equity, peak, peak),
            "measured_at": latest.at,
        },
    )
    return row


@transaction.atomic
def _everything(accounts: list[LossMeasure]) -> LossMeasure:
    """All accounts together: as fresh as the stalest, and below a peak all of them would have had at once."""
    total = sum((row.value for row in accounts), ZERO)
    peak = sum((row.peak for row in accounts), ZERO)
    measured = [row.measured_at for row in accounts]
    row, _ = LossMeasure.objects.update_or_create(
        scope=GLOBAL,
        defaults={
            "day": max(row.day for row in accounts),
            "value": total,
            "day_start": sum((row.day_start for row in accounts), ZERO),
            "peak": peak,
            "drawdown_ppm": drawdown_ppm(total, peak, peak),
            "measured_at": min(at for at in measured if at is not None) if all(measured) else None,
        },
    )
    return row


@transaction.atomic
def _strategy(strategy: Strategy, prices: Mapping[int, Decimal | None]) -> LossMeasure:
    scope, moment = f"strategy:{strategy.name}", now()
    LossMeasure.objects.bulk_create([LossMeasure(scope=scope, day=moment.date())], ignore_conflicts=True)
    row = LossMeasure.objects.select_for_update(no_key=True).get(pk=scope)
    if row.day != moment.date():
        row.day, row.day_start, row.streak = moment.date(), row.value, 0
    before = _tally(row)
    while True:
        trades = _fills(strategy, before.cursor)
        tally = fold(before, trades)
        if len(trades) < _BATCH:
            break
        before = tally
    row.cursor, row.cash, row.streak = tally.cursor, tally.cash, tally.streak
    row.holdings = {str(key): str(amount) for key, amount in tally.holdings.items()}
    row.last_order, row.last_result = tally.order, tally.result
    row.last_loss_at = None if tally.last_loss_ns is None else ns_to_datetime(tally.last_loss_ns)
    worth = value(tally, prices)
    if worth is None:
        row.measured_at = None
    else:
        row.value, row.peak, row.measured_at = worth, max(row.peak, worth), moment
        row.drawdown_ppm = drawdown_ppm(worth, row.peak, _capital(strategy))
    row.save()
    return row


def _tally(row: LossMeasure) -> Tally:
    return Tally(
        cursor=row.cursor,
        cash=row.cash,
        holdings={int(key): Decimal(text) for key, text in row.holdings.items()},
        streak=row.streak,
        last_loss_ns=None if row.last_loss_at is None else datetime_to_ns(row.last_loss_at),
        order=row.last_order,
        result=row.last_result,
    )


def _fills(strategy: Strategy, after: int) -> list[TradeResult]:
    rows = (
        Fill.objects.filter(order__strategy=strategy, pk__gt=after)
        .select_related("instrument")
        .order_by("pk")[:_BATCH]
    )
    return [
        TradeResult(
            fill=fill.pk,
            order=fill.order_id or 0,
            instrument=fill.instrument_id,
            side=Side(fill.side),
            quantity=fill.quantity,
            quote=fill.quote_quantity,
            commission=ZERO if fill.commission_asset == fill.instrument.base_asset else fill.commission_quote,
            kept=fill.commission if fill.commission_asset == fill.instrument.base_asset else ZERO,
            realized=fill.realized,
            # When we learned of it: a pause after a loss is counted in wall time.
            at_ns=datetime_to_ns(fill.recorded_at),
        )
        for fill in rows
    ]


def _traded() -> list[Strategy]:
    """Strategies with a fill, or with a measure of earlier ones."""
    known = LossMeasure.objects.filter(scope__startswith="strategy:").values_list("scope", flat=True)
    names = {scope.partition(":")[2] for scope in known}
    last = Fill.objects.filter(order__strategy__isnull=False).aggregate(latest=Max("pk"))["latest"]
    return [
        strategy
        for strategy in Strategy.objects.order_by("pk")
        if strategy.name in names
        or (last is not None and Fill.objects.filter(order__strategy=strategy).exists())
    ]


def _capital(strategy: Strategy) -> Decimal:
    granted = StrategyInstance.objects.filter(strategy=strategy).aggregate(total=Sum("allocation"))["total"]
    return granted or ZERO


def _prices() -> dict[int, Decimal | None]:
    found: dict[int, Decimal | None] = {}
    for pk, bid, ask, mark in Quote.objects.values_list("instrument_id", "bid", "ask", "mark_price"):
        found[pk] = mark or ((bid + ask) / 2 if bid and ask else None)
    return found
