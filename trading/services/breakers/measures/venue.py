"""Measures of a venue's answers, of the way to it, and of our own database."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F

from trading.domain.breakers import Reading
from trading.models import BreakerSample, Order, VenueCallWindow
from universe.models import VenueBackoff

BANNED = "418"


def error_rate(scope: str, since: datetime, moment: datetime) -> Reading:
    """Failed calls of the window, per cent."""
    rows = VenueCallWindow.objects.filter(venue=_name(scope), second__gt=int(since.timestamp()))
    counts = list(rows.values_list("calls", "errors"))
    calls, errors = sum(calls for calls, _ in counts), sum(errors for _, errors in counts)
    window = (moment - since).total_seconds()
    return Reading(
        100 * errors / calls if calls else 0.0,
        calls,
        f"{errors} errors in {calls} calls within {window:.0f} s",
    )


def rate_limit(scope: str, since: datetime, moment: datetime) -> Reading:
    """1 while a venue that answered 429 wants us to wait."""
    return _backoff(scope, moment, banned=False)


def ban(scope: str, since: datetime, moment: datetime) -> Reading:
    """1 while a venue has banned us (418), for as long as it said."""
    return _backoff(scope, moment, banned=True)


def overload(scope: str, since: datetime, moment: datetime) -> Reading:
    """Answers -1008 of the window."""
    return _codes("venue_overload", scope, since, "-1008 (overloaded)")


def key_rejected(scope: str, since: datetime, moment: datetime) -> Reading:
    """Answers -2015 of the window."""
    return _codes("key_rejected", scope, since, "-2015 (invalid key, address or permission)")


def ack_latency_p99(scope: str, since: datetime, moment: datetime) -> Reading:
    """99th percentile from sending an order to its acknowledgement, milliseconds."""
    times = Order.objects.filter(
        account__venue__name=_name(scope), sent_at__gt=since, acknowledged_at__isnull=False
    )
    took = [
        span.total_seconds() * 1000
        for span in times.annotate(took=F("acknowledged_at") - F("sent_at")).values_list("took", flat=True)
    ]
    return percentile_99(took, "ms to the venue's answer")


def clock_offset(scope: str, since: datetime, moment: datetime) -> Reading:
    """The smallest distance of our clock to the venue's in the window, milliseconds: one slow answer is no offset."""
    offsets = _values("clock_offset", scope, since)
    nearest = min(offsets, key=abs, default=0.0)
    return Reading(abs(nearest), len(offsets), f"the venue's clock is {nearest:+.0f} ms from ours")


def commit_latency_p99(scope: str, since: datetime, moment: datetime) -> Reading:
    """99th percentile of the measured commits, milliseconds."""
    return percentile_99(_values("commit_latency_p99", scope, since), "ms to commit")


def percentile_99(values: list[float], what: str) -> Reading:
    """The value that one in a hundred exceeds; the largest of fewer than a hundred."""
    if not values:
        return Reading(0.0, 0)
    ordered = sorted(values)
    value = ordered[min(len(ordered) - 1, -(-99 * len(ordered) // 100) - 1)]
    return Reading(value, len(values), f"{value:.0f} {what} at the 99th percentile of {len(values)}")


def _name(scope: str) -> str:
    return scope.partition(":")[2]


def _backoff(scope: str, moment: datetime, *, banned: bool) -> Reading:
    row = VenueBackoff.objects.filter(venue=_name(scope)).first()
    if row is None or row.blocked_until is None or row.blocked_until <= moment:
        return Reading(0.0)
    if (BANNED in row.reason) is not banned:
        return Reading(0.0)
    left = (row.blocked_until - moment).total_seconds()
    # A ban lasts as long as it was said; after a 429 we stay away for the rule's own time, if that is longer.
    return Reading(
        1.0, detail=f"{row.reason or 'rate limit'}: wait {left:.0f} s", for_s=left if banned else None
    )


def _codes(name: str, scope: str, since: datetime, words: str) -> Reading:
    count = BreakerSample.objects.filter(name=name, scope=scope, at__gt=since).count()
    return Reading(float(count), max(count, 1), f"the venue answered {words} {count} times")


def _values(name: str, scope: str, since: datetime) -> list[float]:
    rows = BreakerSample.objects.filter(name=name, scope=scope, at__gt=since)
    return list(rows.values_list("value", flat=True))
