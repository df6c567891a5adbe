"""Measures of prices: how old, how far from a peg, what holding costs."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from governance.domain.playbooks import peg_deviation
from governance.selectors.playbook_scopes import instruments_looked_at
from governance.services.playbooks.measures.unmeasured import name_of
from trading.domain.breakers import Reading
from trading.models import SymbolAllowance
from universe.models import Bar, Quote, StreamState

STABLE_COINS = ("USDC", "FDUSD", "TUSD", "DAI", "USDP")
_MINUTE = "1m"
_MINUTES = 3


def data_age(scope: str, since: datetime, moment: datetime) -> Reading:
    """Seconds since the stalest price of the symbol arrived, over the venues that trade it or where it is held.

    A price that never came is as old as the permission to trade it, or as the connection it should have come over.
    """
    if not settings.WALL_TIME_RAILS:
        return Reading(0.0, 0, "judged by market time alone in this replay")
    ours = list(instruments_looked_at(name_of(scope)))
    told = dict(Quote.objects.filter(instrument_id__in=ours).values_list("instrument_id", "received_at"))
    never = _awaited_since([pk for pk in ours if pk not in told])
    if not told and not never:
        return Reading(0.0, 0, "no price was received yet")
    oldest = min([*told.values(), *never])
    age = (moment - oldest).total_seconds()
    if oldest in told.values():
        return Reading(age, detail=f"the stalest price arrived {age:.0f} s ago")
    return Reading(age, detail=f"no price has arrived for {age:.0f} s, and none before")


def _awaited_since(instruments: list[int]) -> list[datetime]:
    """Since when the first price of each is waited for; of one the venue does not trade now none is."""
    if not instruments:
        return []
    rows = SymbolAllowance.objects.filter(
        instrument_id__in=instruments, instrument__status="TRADING", account__is_active=True
    )
    found: dict[int, datetime] = {}
    for row in rows.select_related("instrument__venue").order_by("added_at"):
        stream = StreamState.objects.filter(name=f"market:{row.instrument.venue.name}").first()
        began = stream.connected_at if stream is not None else None
        found.setdefault(row.instrument_id, max(row.added_at, began or row.added_at))
    return list(found.values())


def depeg(scope: str, since: datetime, moment: datetime) -> Reading:
    """How far the worst stable coin was off its peg in each of its three newest closed minutes, per cent.

    A coin without three says nothing yet, and must not stand before one that does.
    """
    worst = Reading(0.0, 0, "no pair of stable coins has three closed minutes")
    pairs = Bar.objects.filter(
        interval=_MINUTE, instrument__base_asset__in=STABLE_COINS, instrument__quote_asset="USDT"
    )
    for pk, symbol in pairs.order_by().values_list("instrument_id", "instrument__symbol").distinct():
        closes = [
            float(close)
            for close in Bar.objects.filter(instrument_id=pk, interval=_MINUTE, received_at__gt=since)
            .order_by("-open_time")
            .values_list("close", flat=True)[:_MINUTES]
        ]
        if len(closes) == _MINUTES and (value := peg_deviation(closes)) >= worst.value:
            worst = Reading(value, len(closes), f"{symbol} was {value:.2f} % off for {len(closes)} minutes")
    return worst


def funding(scope: str, since: datetime, moment: datetime) -> Reading:
    """The size of the running funding rate of the symbol's contract, per cent."""
    quotes = Quote.objects.filter(instrument__symbol=name_of(scope))
    rates = [rate for rate in quotes.values_list("funding_rate", flat=True) if rate is not None]
    if not rates:
        return Reading(0.0, 0, "no contract with a funding rate")
    rate = max(rates, key=abs)
    return Reading(abs(float(rate)) * 100, detail=f"funding is {rate * 100:+.3f} %")
