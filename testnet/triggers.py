"""Prices at which waiting orders begin to work: fixed levels, and levels that trail the market."""

from __future__ import annotations

from bisect import insort
from dataclasses import asdict, dataclass
from typing import Any

PARTS = 10_000


@dataclass(slots=True)
class Trigger:
    """One waiting order; every price is an integer in the unit of its book.

    `rises` fires at or above the level, otherwise at or below it. With `trailing` (parts per 10,000) the
    level follows the lowest price seen (rising) or the highest (falling); `activation` delays the tracking
    until the market is at or beyond that price. `price` and `activation` are 0 where unused.
    """

    key: int
    rises: bool
    price: int = 0
    trailing: int = 0
    activation: int = 0
    activates_above: bool = False
    # The lowest or highest price since tracking began, 0 before.
    extreme: int = 0
    arrival: int = 0

    @property
    def level(self) -> int:
        """Where it fires, in 1/10,000 of a price unit; 0 for one that does not track yet."""
        if not self.trailing:
            return self.price * PARTS
        return self.extreme * (PARTS + self.trailing if self.rises else PARTS - self.trailing)

    def is_met(self, price: int) -> bool:
        """True when this price fires it."""
        level = self.level
        return level > 0 and (price * PARTS >= level if self.rises else price * PARTS <= level)

    def follow(self, price: int) -> bool:
        """Track a price; True when that moved the level of a trailing trigger."""
        if not self.trailing:
            return False
        if self.extreme == 0:
            if self.activation and not (
                price >= self.activation if self.activates_above else price <= self.activation
            ):
                return False
            self.extreme = price
            return True
        if price < self.extreme if self.rises else price > self.extreme:
            self.extreme = price
            return True
        return False


class TriggerBook:
    """The triggers of one symbol against one price series (its last trades, or its mark price).

    `seen` is the price before the first that `due` is told of, 0 when none is known.
    """

    __slots__ = ("_arrivals", "_by_key", "_falling", "_rising", "_seen", "_trailing", "moved")

    def __init__(self, seen: int = 0) -> None:
        self._by_key: dict[int, Trigger] = {}
        # (level, arrival, key): the next to fire is first.
        self._rising: list[tuple[int, int, int]] = []
        self._falling: list[tuple[int, int, int]] = []
        self._trailing: dict[int, Trigger] = {}
        self._arrivals = 0
        self._seen = seen
        # What the last price moved: the new extreme of each trailing trigger it touched.
        self.moved: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def add(self, trigger: Trigger) -> None:
        """Arm a trigger; it takes its turn behind those already there.

        Raises
        ------
        ValueError : the key is armed already, or neither a price nor a distance below 10,000 is given.
        """
        if trigger.key in self._by_key:
            raise ValueError(f"trigger {trigger.key} is armed already")
        if trigger.price <= 0 and not 0 < trigger.trailing < PARTS:
            raise ValueError(f"trigger {trigger.key}: expected a price, or a distance of 1 to {PARTS - 1}")
        self._arrivals += 1
        trigger.arrival = self._arrivals
        self._put(trigger)

    def _put(self, trigger: Trigger) -> None:
        self._by_key[trigger.key] = trigger
        if trigger.trailing:
            self._trailing[trigger.key] = trigger
        elif trigger.rises:
            insort(self._rising, (trigger.price, trigger.arrival, trigger.key))
        else:
            insort(self._falling, (-trigger.price, trigger.arrival, trigger.key))

    def remove(self, key: int) -> bool:
        """Disarm; False when there was nothing to disarm."""
        trigger = self._by_key.pop(key, None)
        if trigger is None:
            return False
        if trigger.trailing:
            del self._trailing[key]
        elif trigger.rises:
            self._rising.remove((trigger.price, trigger.arrival, key))
        else:
            self._falling.remove((-trigger.price, trigger.arrival, key))
        return True

    def due(self, price: int) -> list[int]:
        """Disarm and return the keys this price fires: nearest to the price before it first, then oldest."""
        seen, self._seen = self._seen or price, price
        fired: list[Trigger] = []
        while self._rising and self._rising[0][0] <= price:
            fired.append(self._by_key[self._rising.pop(0)[2]])
        while self._falling and -self._falling[0][0] >= price:
            fired.append(self._by_key[self._falling.pop(0)[2]])
        if self._trailing or self.moved:
            self.moved = {}
            for trigger in list(self._trailing.values()):
                if trigger.follow(price):
                    self.moved[trigger.key] = trigger.extreme
                if trigger.is_met(price):
                    del self._trailing[trigger.key]
                    fired.append(trigger)
        if len(fired) > 1:
            fired.sort(key=lambda trigger: (abs(trigger.level - seen * PARTS), trigger.arrival))
        for trigger in fired:
            del self._by_key[trigger.key]
        return [trigger.key for trigger in fired]

    def extremes(self) -> dict[int, int]:
        """What the trailing triggers have seen, by key."""
        return {key: trigger.extreme for key, trigger in self._trailing.items()}

    def state(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        triggers = sorted(self._by_key.values(), key=lambda trigger: trigger.arrival)
        return {
            "arrivals": self._arrivals,
            "seen": self._seen,
            "triggers": [asdict(trigger) for trigger in triggers],
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> TriggerBook:
        """The book `state()` described, after it went through JSON."""
        book = cls()
        book._arrivals, book._seen = state["arrivals"], state["seen"]
        for row in state["triggers"]:
            book._put(Trigger(**row))
        return book
