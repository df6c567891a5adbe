"""Reading back what a step at a book saw and said, as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from trading.domain.parity import Said
from trading.domain.strategies import Execution, Observation, WorkingQuote
from trading.domain.strategies.base import Bar, Protection, Quotes
from trading.models import ObservedStep, StrategyInstance
from trading.services.strategies.recording import SEEN_NUMBERS


def observation_of(row: ObservedStep, instance: StrategyInstance, bar: Bar) -> Observation:
    """What the step saw, as it was shown."""
    kept = row.seen
    return Observation(
        symbol=instance.instrument.symbol,
        interval=instance.strategy.interval,
        bar=bar,
        now_ns=row.seen_ns,
        **{name: float(kept[name]) for name in SEEN_NUMBERS},
        fills=tuple(Execution(*fill) for fill in kept["fills"]),
        quotes=tuple(WorkingQuote(*quote) for quote in kept["quotes"]),
        listing_age_s=kept["listing_age_s"],
        funding=kept.get("funding"),  # absent in steps recorded before there was one
        slower={interval: Bar(*values) for interval, values in kept["slower"].items()},
        trigger=cast('Literal["bar", "book", "listing"]', row.trigger),
    )


def said_in(row: ObservedStep) -> Said | None:
    """What the step said."""
    said: Mapping[str, Any] | None = row.said
    if said is None:
        return None
    quotes, exits = said["quotes"], said["protection"]
    return Said(
        row.seen_ns,
        said["target"],
        said["confidence"],
        said["reason"],
        None if quotes is None else Quotes(**quotes),
        None if exits is None else Protection(**exits),
    )
