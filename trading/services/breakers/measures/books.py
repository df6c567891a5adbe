"""Measures of an account's books: what it is worth, and whether they agree with the venue."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import F, Max

from trading.domain.breakers import Reading
from trading.models import Account, BreakerSample, Divergence, EquitySnapshot

# Equity is written every two seconds; what is older is no judgement of now.
FRESH = timedelta(seconds=60)
CONFIRMED = 2


def divergences(scope: str, since: datetime, moment: datetime) -> Reading:
    """Differences to the venue that were seen twice and are still open."""
    found = Divergence.objects.filter(
        account__name=_name(scope), resolved_at=None, sightings__gte=CONFIRMED
    ).order_by("pk")
    subjects = [f"{row.kind} {row.subject}" for row in found[:3]]
    count = found.count()
    return Reading(float(count), 1, f"{count} unexplained differences: {', '.join(subjects)}")


def drawdown(scope: str, since: datetime, moment: datetime) -> Reading:
    """How far equity is below its peak, per cent."""
    account = Account.objects.get(name=_name(scope))
    return _below(account, account.peak_equity, moment, "its peak")


def daily_loss(scope: str, since: datetime, moment: datetime) -> Reading:
    """How far equity is below that at the start of the day, per cent; nothing before the day has begun."""
    account = Account.objects.get(name=_name(scope))
    start = account.day_start_equity if account.day_started_on == moment.date() else None
    return _below(account, start, moment, "the start of the day")


def pnl_velocity(scope: str, since: datetime, moment: datetime) -> Reading:
    """How far equity is below its highest of the window, per cent; what came in or went out since is left out."""
    account = Account.objects.get(name=_name(scope))
    rows = EquitySnapshot.objects.filter(account=account, at__gt=since).order_by()
    result = rows.aggregate(top=Max(F("equity") - F("transferred")))["top"]
    highest = None if result is None else result + account.transferred
    reading = _below(account, highest, moment, f"its highest of {(moment - since).total_seconds():.0f} s")
    return Reading(reading.value, min(rows.count(), 1000) if reading.samples else 0, reading.detail)


def margin_ratio(scope: str, since: datetime, moment: datetime) -> Reading:
    """The last measured maintenance margin, per cent of what the margin account is worth."""
    row = BreakerSample.objects.filter(name="margin_ratio", scope=scope, at__gt=since).order_by("-at").first()
    if row is None:
        return Reading(0.0, 0, "not measured in the window")
    return Reading(row.value, detail=f"maintenance margin is {row.value:.1f} % of the margin balance")


def margin_calls(scope: str, since: datetime, moment: datetime) -> Reading:
    """Margin calls of the venue in the window."""
    count = BreakerSample.objects.filter(name="margin_call", scope=scope, at__gt=since).count()
    return Reading(float(count), max(count, 1), f"the venue has sent {count} margin calls")


def _below(account: Account, from_: Decimal | None, moment: datetime, what: str) -> Reading:
    latest = EquitySnapshot.objects.filter(account=account).order_by("-at").first()
    if latest is None or from_ is None or from_ <= 0 or moment - latest.at > FRESH:
        return Reading(0.0, 0, "equity is not known")
    # A transfer moves day start and peak when it is booked, and the equity marked before it has to follow.
    equity = latest.equity + account.transferred - latest.transferred
    loss = float(100 * (from_ - equity) / from_)
    return Reading(max(loss, 0.0), detail=f"equity is {loss:.2f} % below {what}")


def _name(scope: str) -> str:
    return scope.partition(":")[2]
