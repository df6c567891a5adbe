"""What drives one symbol's price: the interface of generated and replayed feeds."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from testnet.clock import MarketClock
from testnet.engine import Engine


class Feed(Protocol):
    """Moves one symbol's market forward."""

    def advance(self, engine: Engine, start_ms: int, end_ms: int, common: float) -> None:
        """Trade and requote for market time (start, end]; never spans a minute boundary.

        `common` is the standard normal draw shared by all symbols for this step.
        """

    def close_minute(self, open_ms: int) -> None:
        """Note that the minute which opened here is over."""

    def open_minute(self, engine: Engine, open_ms: int) -> None:
        """Trade what belongs to the first instant of a minute."""

    def set_liquidity(self, factor: float) -> None:
        """Scale the size of new quotes."""

    def state(self) -> dict[str, Any]:
        """What a restart needs to continue."""

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""

    def truth(self) -> list[tuple[int, int]]:
        """(open time, regime index) per one-minute bar, ascending."""


@runtime_checkable
class TimedFeed(Protocol):
    """A feed whose trades have times of their own within a step."""

    def use_clock(self, clock: MarketClock) -> None:
        """Move this clock between the step's start and end, and leave it at its end."""
