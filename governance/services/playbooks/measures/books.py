"""Measures of what accounts are worth and what they hold.

A result that was not written down lately is not measured. Without an open account there is nothing to lose yet.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from governance.services.playbooks.measures.unmeasured import check_fresh, name_of
from trading.domain.breakers import Reading
from trading.models import Account, Balance, EquitySnapshot, LossMeasure, Position
from trading.selectors.marks import marks_read
from trading.selectors.portfolio import worth_by_account
from trading.selectors.positions import position_is_dust, position_notional
from trading.services.breakers.measures import MEASURES as BREAKER_MEASURES


def drawdown(scope: str, since: datetime, moment: datetime) -> Reading:
    """How far equity is below its peak, per cent."""
    account = Account.objects.get(name=name_of(scope))
    if account.opened_at is None:
        return Reading(0.0, 0, "the account is not open yet")
    latest = EquitySnapshot.objects.filter(account=account).order_by("-at").values_list("at", flat=True)
    check_fresh("the account's equity", latest.first(), moment)
    return BREAKER_MEASURES["drawdown"](scope, since, moment)


def daily_loss(scope: str, since: datetime, moment: datetime) -> Reading:
    """What all accounts have lost since the day began, mark to market, USDT."""
    if not Account.objects.filter(is_active=True, opened_at__isnull=False).exists():
        return Reading(0.0, 0, "no account is open yet")
    row = LossMeasure.objects.filter(scope="global").first()
    check_fresh("the day's result", row.measured_at if row is not None else None, moment)
    assert row is not None
    lost = row.day_start - row.value
    return Reading(max(0.0, float(lost)), detail=f"{lost:,.2f} USDT lost since 00:00 UTC")


def position_size(scope: str, since: datetime, moment: datetime) -> Reading:
    """The largest position at the mark price, USDT."""
    marks, largest, where = marks_read(), Decimal(0), "nothing is held"
    for row in Position.objects.exclude(quantity=0).select_related("instrument", "account"):
        notional = abs(position_notional(row, marks.of(row.instrument_id)))
        if notional > largest:
            largest = notional
            where = f"{row.instrument.symbol} on {row.account.name}: {notional:,.2f} USDT"
    return Reading(float(largest), detail=where)


def leverage(scope: str, since: datetime, moment: datetime) -> Reading:
    """Gross exposure over equity of the account that uses most; an account without equity that holds is infinite."""
    accounts = list(Account.objects.filter(is_active=True, opened_at__isnull=False).select_related("venue"))
    worths = worth_by_account(
        accounts, Balance.objects.all(), Position.objects.select_related("instrument"), marks_read()
    )
    highest, where = 0.0, "nothing is held"
    for account in accounts:
        worth = worths[account.pk]
        if not worth.exposure_gross:
            continue
        times = float(worth.exposure_gross / worth.equity) if worth.equity > 0 else float("inf")
        if times > highest:
            highest, where = times, f"{account.name} holds {times:.2f} times its equity"
    return Reading(highest, int(bool(accounts)), where)


def open_trades(scope: str, since: datetime, moment: datetime) -> Reading:
    """Positions that are open, crumbs left out."""
    marks = marks_read()
    held = [
        row
        for row in Position.objects.exclude(quantity=0).select_related("instrument")
        if not position_is_dust(row, marks.of(row.instrument_id))
    ]
    return Reading(float(len(held)), detail=f"{len(held)} positions are open")
