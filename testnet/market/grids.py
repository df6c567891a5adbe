"""Grids of background levels behind the touch, anchored to absolute prices."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

from testnet.book import BookSide
from testnet.instruments import Instrument

LEVEL_CHANGES_PER_S = 60.0  # of one side
MAX_CHANGING_S = 0.1  # a longer step brings no more changes than this: it bounds the work in compressed time
_NOISE = 0.6  # standard deviation of the log of a level's size


class Zone(NamedTuple):
    """A grid of levels: spacing and reach in basis points, its share of the depth and of all changes.

    `is_round` puts levels at multiples of the spacing, otherwise they lie anywhere in their cells.
    """

    spacing_bps: float
    reach_bps: float
    share: float
    changes: float
    is_round: bool


# Every grid begins at the touch, so that density falls with distance. Grids are anchored to absolute
# prices: their levels stay put while the price moves, and queues there grow old.
ZONES = (
    Zone(0.2, 10.0, 0.30, 0.70, False),
    Zone(1.0, 25.0, 0.30, 0.20, False),
    Zone(5.0, 100.0, 0.30, 0.08, True),
    Zone(25.0, 500.0, 0.10, 0.02, True),
)


class Grid:
    """One zone on one side: which of its cells hold a level, at which price, with how many steps."""

    __slots__ = ("_cells", "_far", "_instrument", "_is_full", "_near", "_rng", "_sign", "_spacing", "_zone")

    def __init__(self, zone: Zone, sign: int, price: int, instrument: Instrument, rng: random.Random) -> None:
        self._zone = zone
        self._sign = sign
        self._instrument = instrument
        self._rng = rng
        self._spacing = round_ticks(price * zone.spacing_bps / 1e4)
        self._cells: dict[int, tuple[int, int]] = {}
        self._near = self._far = 0
        self._is_full = False

    def keep(self, side: BookSide, best: int, depth: float, fill: float, seconds: float) -> None:
        """Quote what belongs behind a best price.

        Parameters
        ----------
        depth : amount in quote currency per basis point, of all grids together.
        fill : chance that a missing level is put back now.
        seconds : market time since the last call; levels change now and then.
        """
        near, far = self._span(best)
        if (near, far) != (self._near, self._far):
            self._shift(side, near, far, best)
        if not self._is_full:
            self._fill(side, depth, fill)
        count = LEVEL_CHANGES_PER_S * min(seconds, MAX_CHANGING_S) * self._zone.changes
        whole = int(count) + (self._rng.random() < count - int(count))
        for _ in range(whole):
            self._change(side, depth)

    def _span(self, best: int) -> tuple[int, int]:
        """First and last cell wholly behind a best price, counted outwards."""
        near = best // self._spacing - self._sign
        if self._zone.is_round and self._sign > 0 and best % self._spacing:
            near += 1  # such a cell's level is its lowest price, which is behind the best already
        count = max(1, round(best * self._zone.reach_bps / 1e4 / self._spacing))
        far = near - self._sign * (count - 1)
        return near, max(far, 0) if self._sign > 0 else far

    def _shift(self, side: BookSide, near: int, far: int, best: int) -> None:
        """Forget cells that are no longer behind the touch and within reach."""
        low, high = min(near, far), max(near, far)
        for cell in [cell for cell in self._cells if not low <= cell <= high]:
            price, steps = self._cells.pop(cell)
            # What stood where the touch stands now has become part of it.
            if price != best:
                self._cut(side, price, steps)
        self._near, self._far, self._is_full = near, far, False

    def _fill(self, side: BookSide, depth: float, chance: float) -> None:
        self._is_full = True
        for cell in range(min(self._near, self._far), max(self._near, self._far) + 1):
            if cell in self._cells:
                continue
            if chance >= 1.0 or self._rng.random() < chance:
                self._add(side, cell, depth)
            else:
                self._is_full = False

    def _change(self, side: BookSide, depth: float) -> None:
        """Cancel one level (it will be quoted again, elsewhere in its cell) or redraw its size."""
        cell = self._near - self._sign * int(self._rng.random() * (abs(self._near - self._far) + 1))
        found = self._cells.get(cell)
        if found is None:
            return
        del self._cells[cell]
        self._cut(side, *found)
        if self._rng.random() < 0.5:
            self._is_full = False
        else:
            self._add(side, cell, depth, found[0])

    def _add(self, side: BookSide, cell: int, depth: float, price: int | None = None) -> None:
        if price is None:
            offset = 0 if self._zone.is_round else int(self._rng.random() * self._spacing)
            price = max(1, cell * self._spacing + offset)
        noise = self._rng.lognormvariate(-_NOISE * _NOISE / 2, _NOISE)
        width_bps = self._spacing * 1e4 / price
        steps = steps_of(self._instrument, price, depth * self._zone.share * width_bps * noise)
        side.add(price, steps)
        self._cells[cell] = (price, steps)

    @staticmethod
    def _cut(side: BookSide, price: int, steps: int) -> None:
        # Grids may share a price: take only this one's part.
        level = side.levels.get(price)
        if level is not None and level.background:
            side.cut_background(price, max(0, level.background - steps))


def steps_of(instrument: Instrument, price: int, notional: float) -> int:
    """Steps worth about an amount of quote currency at a price in ticks, at least one."""
    return max(1, round(notional * 1e8 / (price * instrument.quote_per)))


def round_ticks(ticks: float) -> int:
    """The nearest 1, 2 or 5 times a power of ten, at least 1."""
    if ticks <= 1:
        return 1
    power = 10 ** math.floor(math.log10(ticks))
    return int(power * min((1, 2, 5, 10), key=lambda m: abs(ticks / power - m)))
