"""One interval's pair of net returns: the same interval, the same symbols, each per capital, weighted alike.

Champion and canary trade every symbol in every interval side by side, so there is nothing to draw lots for; what has
to be alike is the weight of the symbols. The canary's capital lies where the champion's lay when it began; later the
allocator may move the champion's. Its return is therefore taken symbol by symbol and weighted by the canary's capital.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from mlregistry.domain.canary import CanaryRules
from mlregistry.models import Canary, CanaryObservation
from trading.domain.values import decimal_text
from trading.models import StrategyInstance
from trading.services.canaries import Pair, pairs_of

SHORTEST_S = 60.0
"""An interval that capital ends sooner is not counted: rounding and the spread would be all there is to it."""


def canary_mark(canary: Canary, moment: datetime, places: Mapping[str, Pair]) -> None:
    """Begin an interval: what both have made, and with how much, where both have capital."""
    canary.mark_at = moment
    canary.marks = {
        place: [decimal_text(value) for value in (pair.own, pair.own_capital, pair.other, pair.other_capital)]
        for place, pair in places.items()
        if pair.own_capital > 0 and pair.other_capital > 0
    }


def canary_observe(canary: Canary, rules: CanaryRules, moment: datetime) -> bool:
    """Take one pair when an interval is over, and say so; the first begins once both decide.

    An interval is over after `interval_s`, or as soon as somebody's capital was moved: each pair is earned on what was
    there all along.
    """
    places = pairs_of(follower=canary.follower, canary=canary.strategy)
    if places is None:
        return False
    if canary.mark_at is None or not canary.marks:
        if _both_decide(canary):
            canary_mark(canary, moment, places)
        return False
    before = {place: Pair(*map(Decimal, values)) for place, values in canary.marks.items()}
    elapsed_s = (moment - canary.mark_at).total_seconds()
    moved = _capital(before) != _capital(places)
    if elapsed_s < rules.interval_s and not moved:
        return False
    if moved and elapsed_s < min(SHORTEST_S, rules.interval_s):
        canary_mark(canary, moment, places)
        return False
    own, other = paired_returns(before, places)
    CanaryObservation.objects.create(
        canary=canary,
        number=canary.observations.count() + 1,
        from_at=canary.mark_at,
        to_at=moment,
        canary_return=own,
        champion_return=other,
    )
    canary_mark(canary, moment, places)
    return True


def paired_returns(before: Mapping[str, Pair], after: Mapping[str, Pair]) -> tuple[float, float]:
    """Return both net returns over an interval, the champion's symbols weighted by the canary's capital in them.

    A place that is gone since has made nothing more.
    """
    capital = sum((pair.own_capital for pair in before.values()), Decimal(0))
    own = other = Decimal(0)
    for place, begun in before.items():
        ended = after.get(place, begun)
        own += ended.own - begun.own
        other += (ended.other - begun.other) / begun.other_capital * begun.own_capital
    return float(own / capital), float(other / capital)


def _capital(places: Mapping[str, Pair]) -> dict[str, tuple[Decimal, Decimal]]:
    return {
        place: (pair.own_capital, pair.other_capital)
        for place, pair in places.items()
        if pair.own_capital > 0 and pair.other_capital > 0
    }


def _both_decide(canary: Canary) -> bool:
    return all(
        StrategyInstance.objects.filter(strategy=strategy, last_bar_at__isnull=False).exists()
        for strategy in (canary.strategy, canary.follower)
    )
