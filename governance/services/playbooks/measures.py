"""What playbooks judge by: one function each over rows of a scope, higher is worse, and the scopes each is taken of.

Whatever a breaker measures already is read by the same function. A figure that rests on nothing has no samples.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from statistics import fmean

from django.conf import settings
from django.db.models import Avg, Count, F, Q

from governance.domain.playbooks import entropy_bits, mean_correlation, peg_deviation
from governance.domain.regimes import regime_probabilities
from trading.domain.breakers import Reading
from trading.domain.orders import OrderStatus
from trading.domain.risk.reasons import WAITING
from trading.models import (
    Account,
    Balance,
    Bracket,
    Decision,
    LossMeasure,
    Order,
    Position,
    StrategyInstance,
    SymbolAllowance,
)
from trading.selectors.brackets import unprotected_seconds
from trading.selectors.marks import marks_read
from trading.selectors.portfolio import worth_by_account
from trading.selectors.positions import position_is_dust, position_notional
from trading.services.breakers.measures import MEASURES as BREAKER_MEASURES
from universe.models import Bar, Quote

Measure = Callable[[str, datetime, datetime], Reading]
_CROSSED = Q(type="LIMIT_MAKER") | Q(venue_type="LIMIT_MAKER") | Q(time_in_force="GTX")
_WOULD_TAKE = ("-2010", "-5022", "VENUE_FILTER")
STABLE_COINS = ("USDC", "FDUSD", "TUSD", "DAI", "USDP")
_MINUTE = "1m"


def rejects(scope: str, since: datetime, moment: datetime) -> Reading:
    """Orders of the account that our rails denied or the venue refused in the window.

    A post-only order that came too late to rest is a quote's daily life, and not counted. Neither is what was
    denied because trading is stopped or waits for prices, clock or books: a stop would be its own reason to go on.
    """
    orders = (
        Order.objects.filter(account__name=_name(scope), created_at__gt=since)
        .exclude(_CROSSED, code__in=_WOULD_TAKE)
        .exclude(status=OrderStatus.DENIED, code__in=WAITING)
    )
    told = orders.aggregate(
        denied=Count("pk", filter=Q(status=OrderStatus.DENIED)),
        refused=Count("pk", filter=Q(status=OrderStatus.REJECTED)),
    )
    return Reading(
        float(told["denied"] + told["refused"]),
        detail=f"{told['denied']} orders denied by our rails, {told['refused']} refused by the venue",
    )


def venue_lag(scope: str, since: datetime, moment: datetime) -> Reading:
    """Mean time from sending an order to its acknowledgement, milliseconds."""
    orders = Order.objects.filter(
        account__venue__name=_name(scope), sent_at__gt=since, acknowledged_at__isnull=False
    )
    told = orders.aggregate(mean=Avg(F("acknowledged_at") - F("sent_at")), count=Count("pk"))
    took = told["mean"].total_seconds() * 1000 if told["mean"] is not None else 0.0
    return Reading(
        took, told["count"], f"{told['count']} orders, acknowledged after {took:.0f} ms on average"
    )


def entropy_change(scope: str, since: datetime, moment: datetime) -> Reading:
    """Mean entropy of the strategy's regime probabilities, the newer half of the window less the older, bits."""
    entropies = entropies_of(scope, since)
    half = len(entropies) // 2
    if not half:
        return Reading(0.0, 0, "no regime probabilities were decided by")
    change = fmean(entropies[half:]) - fmean(entropies[:half])
    return Reading(
        change, len(entropies), f"entropy changed by {change:+.2f} bits over {len(entropies)} decisions"
    )


def entropies_of(scope: str, since: datetime) -> list[float]:
    """How unsure each decision of a strategy since then was of the regime, bits, oldest first."""
    rows = Decision.objects.filter(instance__strategy__name=_name(scope), decided_at__gt=since)
    entropies = []
    for features in rows.order_by("pk").values_list("features", flat=True):
        told = list(regime_probabilities(features).values())
        total = sum(told)
        if told and total > 0:
            entropies.append(entropy_bits(p / total for p in told))
    return entropies


def correlation(scope: str, since: datetime, moment: datetime) -> Reading:
    """Mean correlation of the one-minute returns of what may be traded, over the newest bars all of them have."""
    symbols: dict[str, int] = {}
    for pk, symbol in SymbolAllowance.objects.order_by("instrument__market", "instrument_id").values_list(
        "instrument_id", "instrument__symbol"
    ):
        symbols.setdefault(symbol, pk)
    columns: dict[int, dict[datetime, float]] = {}
    for pk in symbols.values():
        bars = Bar.objects.filter(instrument_id=pk, interval=_MINUTE).order_by("-open_time")[:61]
        columns[pk] = {bar.open_time: float(bar.close) for bar in bars}
    filled = [column for column in columns.values() if column]
    common = sorted(set.intersection(*(set(column) for column in filled))) if len(filled) > 1 else []
    if len(common) < 3:
        return Reading(0.0, 0, "fewer than two symbols with bars in common")
    try:
        value = mean_correlation([[column[at] for column in filled] for at in common])
    except ValueError:
        return Reading(0.0, 0, "fewer than two symbols moved")
    return Reading(value, len(common) - 1, f"mean correlation {value:.2f} of {len(filled)} symbols")


def data_age(scope: str, since: datetime, moment: datetime) -> Reading:
    """Seconds since the stalest price of the symbol arrived, over the venues that trade it."""
    if not settings.WALL_TIME_RAILS:
        return Reading(0.0, 0, "judged by market time alone in this replay")
    traded = SymbolAllowance.objects.filter(instrument__symbol=_name(scope)).values("instrument_id")
    times = list(Quote.objects.filter(instrument_id__in=traded).values_list("received_at", flat=True))
    if not times:
        return Reading(0.0, 0, "no price was received yet")
    age = (moment - min(times)).total_seconds()
    return Reading(age, detail=f"the stalest price arrived {age:.0f} s ago")


def depeg(scope: str, since: datetime, moment: datetime) -> Reading:
    """How far the worst stable coin was off its peg in each of its three newest closed minutes, per cent."""
    worst = Reading(0.0, 0, "no pair of stable coins is known")
    pairs = Bar.objects.filter(
        interval=_MINUTE, instrument__base_asset__in=STABLE_COINS, instrument__quote_asset="USDT"
    )
    for pk, symbol in pairs.order_by().values_list("instrument_id", "instrument__symbol").distinct():
        closes = [
            float(close)
            for close in Bar.objects.filter(instrument_id=pk, interval=_MINUTE, received_at__gt=since)
            .order_by("-open_time")
            .values_list("close", flat=True)[:3]
        ]
        if closes and (value := peg_deviation(closes)) >= worst.value:
            worst = Reading(value, len(closes), f"{symbol} was {value:.2f} % off for {len(closes)} minutes")
    return worst


def funding(scope: str, since: datetime, moment: datetime) -> Reading:
    """The size of the running funding rate of the symbol's contract, per cent."""
    quotes = Quote.objects.filter(instrument__symbol=_name(scope))
    rates = [rate for rate in quotes.values_list("funding_rate", flat=True) if rate is not None]
    if not rates:
        return Reading(0.0, 0, "no contract with a funding rate")
    rate = max(rates, key=abs)
    return Reading(abs(float(rate)) * 100, detail=f"funding is {rate * 100:+.3f} %")


def unprotected(scope: str, since: datetime, moment: datetime) -> Reading:
    """For how long a part of the symbol's position that should have a stop at the venue has had none, seconds."""
    brackets = Bracket.objects.filter(ended_at=None, instrument__symbol=_name(scope))
    longest = max((unprotected_seconds(bracket) for bracket in brackets), default=0.0)
    return Reading(longest, detail=f"without a stop for {longest:.0f} s")


def daily_loss(scope: str, since: datetime, moment: datetime) -> Reading:
    """What all accounts have lost since the day began, mark to market, USDT."""
    row = LossMeasure.objects.filter(scope="global").first()
    if row is None or row.measured_at is None:
        return Reading(0.0, 0, "the day's result was not measured yet")
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
    return Reading(highest, len(accounts), where)


def open_trades(scope: str, since: datetime, moment: datetime) -> Reading:
    """Positions that are open, crumbs left out."""
    marks = marks_read()
    held = [
        row
        for row in Position.objects.exclude(quantity=0).select_related("instrument")
        if not position_is_dust(row, marks.of(row.instrument_id))
    ]
    return Reading(float(len(held)), detail=f"{len(held)} positions are open")


MEASURES: dict[str, Measure] = {
    "drawdown": BREAKER_MEASURES["drawdown"],
    "venue_lag": venue_lag,
    "reject_spike": rejects,
    "entropy_spike": entropy_change,
    "corr_spike": correlation,
    "stale_data": data_age,
    "depeg": depeg,
    "funding_spike": funding,
    "unprotected_position": unprotected,
    "daily_loss": daily_loss,
    "position": position_size,
    "leverage": leverage,
    "open_trades": open_trades,
}


def scopes_of_kind(of: str) -> list[str]:
    """Every scope of a kind that is looked at now."""
    accounts = Account.objects.filter(is_active=True)
    names: set[str]
    if of == "account":
        names = set(accounts.values_list("name", flat=True))
    elif of == "venue":
        names = set(accounts.values_list("venue__name", flat=True))
    elif of == "symbol":
        names = set(SymbolAllowance.objects.values_list("instrument__symbol", flat=True))
    elif of == "strategy":
        enabled = StrategyInstance.objects.filter(strategy__is_enabled=True)
        names = set(enabled.values_list("strategy__name", flat=True))
    else:
        return ["global"]
    return [f"{of}:{name}" for name in sorted(names)]


def _name(scope: str) -> str:
    return scope.partition(":")[2]
