"""Positions: signed steps and their exact signed cost, so that profit is never rounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from testnet.instruments import Instrument
from testnet.values import SCALE

BOTH, LONG, SHORT = "BOTH", "LONG", "SHORT"


class Change(NamedTuple):
    """What one trade did to a position, in quote units."""

    realized: int
    opened_quote: int
    closed_steps: int
    # The part of the isolated wallet that became free, negative never.
    released: int


@dataclass(slots=True)
class Position:
    """One side of one symbol; money in 1e-8 quote units.

    `cost` is what the open steps were bought for (negative: sold for), to the last unit.
    """

    instrument: Instrument
    side: str = BOTH
    steps: int = 0
    cost: int = 0
    isolated: int = 0
    # Commissions and profits since it was last flat, for the break-even price; and profits ever.
    fees: int = 0
    realized: int = 0
    accumulated: int = 0
    updated_ms: int = 0

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    def value(self, mark: int) -> int:
        """Signed notional at a price in units."""
        return self.steps * self.instrument.step * mark // SCALE

    def profit(self, mark: int) -> int:
        """Unrealised profit at a price in units."""
        return self.value(mark) - self.cost if self.steps else 0

    def entry_price(self) -> int:
        """Average entry in 1e-8 units, rounded down; 0 when flat."""
        return self._per_unit(self.cost)

    def break_even_price(self) -> int:
        """The price at which closing leaves nothing gained or lost, commissions paid so far included."""
        return max(0, self._per_unit(self.cost + self.fees - self.realized))

    def _per_unit(self, quote: int) -> int:
        if not self.steps:
            return 0
        return quote * SCALE // (self.steps * self.instrument.step)

    def trade(self, signed_steps: int, quote_per_step: int) -> Change:
        """Apply a trade; it closes first and opens with what is left.

        A partial close takes the floor of the proportional cost; the remainder stays, so nothing is lost.
        """
        realized = closed = released = 0
        if self.steps * signed_steps < 0:
            closed = min(abs(self.steps), abs(signed_steps))
            realized, released = self._close(closed, quote_per_step)
            signed_steps -= closed if signed_steps > 0 else -closed
        opened_quote = abs(signed_steps) * quote_per_step
        if signed_steps:
            self.cost += opened_quote if signed_steps > 0 else -opened_quote
            self.steps += signed_steps
        return Change(realized, opened_quote, closed, released)

    def _close(self, steps: int, quote_per_step: int) -> tuple[int, int]:
        size, direction = abs(self.steps), 1 if self.steps > 0 else -1
        part = abs(self.cost) * steps // size
        received = steps * quote_per_step
        realized = direction * (received - part)
        self.cost -= direction * part
        self.steps -= direction * steps
        if not self.steps:
            # All of it, so that the last unit of cost goes too.
            realized -= self.cost
            self.cost = 0
        released = self.isolated * steps // size if self.steps else self.isolated
        # A loss beyond the margin of the closed part is borne by the margin of the rest.
        excess = max(0, -realized - released)
        self.isolated = max(0, self.isolated - released - excess)
        if self.steps:
            self.realized += realized
        else:
            self.fees = self.realized = 0
        self.accumulated += realized
        return realized, released


def side_steps(side: str, steps: int) -> int:
    """Steps with the sign of a trade side."""
    return steps if side == "BUY" else -steps


def opens(side: str, position_side: str) -> bool:
    """True when an order of this side adds to a hedge position; in one-way mode any order may."""
    return position_side == BOTH or (side == "BUY") == (position_side == LONG)
