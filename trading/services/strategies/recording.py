"""Writing down what a step at a book saw and said, so that it can be decided again."""

from __future__ import annotations

from dataclasses import astuple
from datetime import timedelta
from typing import Any, Final

from nautilus_site.common.clock import now
from trading.domain.clock import ns_to_datetime
from trading.domain.strategies import Desired, Observation
from trading.models import ObservedStep, StrategyInstance
from trading.services.strategies.deciding import protection_members, quote_members

KEPT: Final = timedelta(hours=6)
"""Ten steps a second of one strategy are 216,000 rows in it."""
AT_ONCE: Final = 50_000
SEEN_NUMBERS: Final = ("bid", "ask", "bid_size", "ask_size", "position", "average_price", "unrealized")


def step_record(
    instance: StrategyInstance,
    seen: Observation,
    desired: Desired | None,
    *,
    digest: str,
    memory: tuple[Any] | None = None,
) -> None:
    """Keep one step.

    Parameters
    ----------
    memory : the state before it as plain data, where a chain of steps may be decided again from here; alone in a
        tuple, because the state of some strategies is None.
    """
    ObservedStep.objects.create(
        instance=instance,
        trigger=seen.trigger,
        seen_ns=seen.now_ns,
        bar_open_at=ns_to_datetime(seen.bar.open_ns) if seen.bar.close_ns else None,
        parameters_digest=digest,
        warm_from_at=instance.warm_from_at,
        seen={
            **{name: getattr(seen, name) for name in SEEN_NUMBERS},
            "listing_age_s": seen.listing_age_s,
            "funding": seen.funding,
            "fill_seen_id": instance.fill_seen_id,
            "fills": [list(fill) for fill in seen.fills],
            "quotes": [astuple(quote) for quote in seen.quotes],
            "slower": {interval: astuple(bar) for interval, bar in seen.slower.items()},
        },
        said=None
        if desired is None
        else {
            "target": desired.target,
            "confidence": desired.confidence,
            "reason": desired.reason,
            "quotes": quote_members(desired),
            "protection": protection_members(desired),
        },
        memory=memory,
        stepped_at=now(),
    )


def steps_prune() -> int:
    """Delete what is older than it is kept. Returns how many; a long backlog goes over several calls."""
    old = ObservedStep.objects.filter(stepped_at__lt=now() - KEPT).order_by("pk").values("pk")[:AT_ONCE]
    deleted, _ = ObservedStep.objects.filter(pk__in=old).delete()
    return deleted
