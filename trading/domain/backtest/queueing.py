"""When a resting order fills: three beliefs about the queue, from generous to strict and a model between."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

POWER: Final = 3.0
"""Exponent of the power law that shares cancels between the front and the back of a queue."""


class FillModel(StrEnum):
    """touch : filled by any trade at its price.  through : only when price trades beyond it.
    queue : when the displayed size ahead of it at arrival has been traded or cancelled away.
    """

    touch = "touch"
    through = "through"
    queue = "queue"


@dataclass(slots=True)
class Resting:
    """One of our orders in the venue's book.

    Attributes
    ----------
    side : +1 bid, -1 ask.  ticks, left : price and what is left of it in steps.
    decided_ns, live_ns : when we wanted it, when it reached the book.
    ahead : steps in front of it; None while its level is not the best and so not displayed.
    shown : displayed size of its level, the trades since the last top already taken off.
    reserved : quote units it holds of the caps.  traded : whether any of it has filled.
    """

    side: int
    ticks: int
    left: int
    decided_ns: int
    live_ns: int
    ahead: int | None = None
    shown: int = 0
    reserved: int = 0
    traded: bool = False

    def join(self, best: int, displayed: int) -> None:
        """Take a place: at the back of the best level, alone in front of it, or unseen behind it."""
        better = self.side * (self.ticks - best)
        if better > 0:
            self.ahead, self.shown = 0, 0
        elif better == 0:
            self.ahead, self.shown = displayed, displayed

    def see_top(self, best: int, displayed: int) -> None:
        """Take a new top of its own side into account: what vanished without a trade was cancelled."""
        if self.ticks != best:
            return
        if self.ahead is None:
            # The level comes to light: everybody in it may have been there first.
            self.ahead, self.shown = displayed, displayed
            return
        cancelled = self.shown - displayed
        if cancelled > 0:
            self.ahead = _after_cancels(self.ahead, self.shown, cancelled)
        self.shown = displayed

    def see_trade(self, price: int, steps: int, model: FillModel) -> int:
        """Return how many of its steps a trade on its side of the book fills."""
        beyond = self.side * (self.ticks - price)
        if beyond > 0:
            return self.left
        if beyond < 0 or model is FillModel.through:
            return 0
        if model is FillModel.touch:
            return self.left
        if self.ahead is None:
            return 0
        reached = steps - self.ahead
        self.ahead = max(0, self.ahead - steps)
        self.shown = max(0, self.shown - steps)
        return min(self.left, max(0, reached))

    def crossed_by(self, opposite: int, model: FillModel) -> bool:
        """Tell whether the other side's best price shows that it must have been filled."""
        beyond = self.side * (self.ticks - opposite)
        return beyond > 0 or (beyond == 0 and model is not FillModel.through)


def _after_cancels(ahead: int, shown: int, cancelled: int) -> int:
    # The share of cancels behind us grows with the queue behind us: back^n / (back^n + front^n), as in
    # hftbacktest's power-law queue model. Rounded up: never better placed than the model says.
    back = max(0, shown - ahead)
    weight_back, weight_front = float(back) ** POWER, float(ahead) ** POWER
    behind = weight_back / (weight_back + weight_front) if back or ahead else 1.0
    front = ahead - (1.0 - behind) * cancelled + min(back - behind * cancelled, 0.0)
    return max(0, math.ceil(front - 1e-9))
