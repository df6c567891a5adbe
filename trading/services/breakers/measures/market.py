"""Measures of prices and streams."""

from __future__ import annotations

import itertools
import math
import statistics
from datetime import datetime

from django.conf import settings
from django.db.models import Max

from trading.domain.breakers import Reading
from trading.models import SymbolAllowance
from universe.models import Bar, Quote, StreamState

RETURNS = 60
LEAST_DEVIATION = 0.0005
"""Of one-minute returns. Beside an hour that stood almost still any ordinary move would be a jump."""


def data_age(scope: str, since: datetime, moment: datetime) -> Reading:
    """Seconds since the newest price of any symbol that may be traded at the venue arrived."""
    if not settings.WALL_TIME_RAILS:
        return Reading(0.0, detail="judged by market time alone in this replay")
    traded = SymbolAllowance.objects.filter(instrument__venue__name=_name(scope)).values("instrument_id")
    newest = Quote.objects.filter(instrument_id__in=traded).aggregate(at=Max("received_at"))["at"]
    if newest is None:
        return Reading(0.0, 0, "no price was received yet")
    age = (moment - newest).total_seconds()
    return Reading(age, detail=f"the newest price arrived {age:.1f} s ago")


def user_stream_gap(scope: str, since: datetime, moment: datetime) -> Reading:
    """Seconds since the account's user stream was last heard."""
    state = StreamState.objects.filter(name=f"user:{_name(scope)}").first()
    if state is None or state.last_message_at is None:
        return Reading(0.0, 0, "the user stream was never connected")
    gap = (moment - state.last_message_at).total_seconds()
    return Reading(gap, detail=f"the user stream was last heard {gap:.1f} s ago")


def spread(scope: str, since: datetime, moment: datetime) -> Reading:
    """The widest spread of the symbol at any venue that trades it, bps of the mid."""
    widest, where = 0.0, 0
    for bid, ask in Quote.objects.filter(instrument__symbol=_name(scope)).values_list("bid", "ask"):
        if bid and ask:
            where += 1
            widest = max(widest, float((ask - bid) / ((ask + bid) / 2)) * 10_000)
    # An empty side is not a wide spread; the price rails deny there.
    return Reading(widest, where, f"the spread of {_name(scope)} is {widest:.1f} bps")


def volatility_jump(scope: str, since: datetime, moment: datetime) -> Reading:
    """The last one-minute return in standard deviations of the returns before it."""
    instrument_id = (
        Bar.objects.filter(instrument__symbol=_name(scope), interval="1m")
        .order_by("-open_time")
        .values_list("instrument_id", flat=True)
        .first()
    )
    if instrument_id is None:
        return Reading(0.0, 0, "no bars yet")
    closes = list(
        Bar.objects.filter(instrument_id=instrument_id, interval="1m")
        .order_by("-open_time")
        .values_list("close", flat=True)[: RETURNS + 2]
    )[::-1]
    returns = [math.log(float(b / a)) for a, b in itertools.pairwise(closes)]
    if len(returns) < 3:
        return Reading(0.0, 0, "too few bars")
    *before, last = returns
    value = abs(last) / max(statistics.stdev(before), LEAST_DEVIATION)
    return Reading(value, len(before), f"the last minute moved {last:+.2%}, {value:.1f} standard deviations")


def _name(scope: str) -> str:
    return scope.partition(":")[2]
