"""One count of what is used of a limit, charged before a call is sent, whoever in whatever process sends it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

LIMITS: Final[Mapping[str, tuple[tuple[str, int, int], ...]]] = {
    "spot": (("weight", 60, 6000), ("orders", 10, 100), ("orders", 86_400, 200_000)),
    "usdm": (("weight", 60, 2400), ("orders", 10, 300), ("orders", 60, 1200)),
}
"""(kind, seconds, limit) until the venue's own announcement is read."""

_SECONDS: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
_KINDS: Final = {"REQUEST_WEIGHT": "weight", "ORDERS": "orders"}


@dataclass(frozen=True, slots=True)
class Window:
    """A limit over fixed windows of wall time, which begin with the epoch as the venue's do.

    Attributes
    ----------
    kind : `weight`, of the address, or `orders`, of one account.
    """

    kind: str
    seconds: int
    limit: int

    def start(self, now: datetime) -> int:
        """The present window's number."""
        return int(now.timestamp()) // self.seconds

    def left_s(self, now: datetime) -> float:
        """Seconds to its end."""
        return self.seconds - now.timestamp() % self.seconds


def announced(info: Mapping[str, Any]) -> tuple[Window, ...]:
    """Read the `rateLimits` of an exchangeInfo; raw requests are far above what their weights allow."""
    found = []
    for row in info.get("rateLimits", ()):
        kind = _KINDS.get(str(row.get("rateLimitType")))
        unit = _SECONDS.get(str(row.get("interval")))
        if kind is not None and unit is not None:
            found.append(Window(kind, unit * int(row.get("intervalNum", 1)), int(row["limit"])))
    return tuple(found)


def default_windows(market: str) -> tuple[Window, ...]:
    """The documented limits of a market."""
    return tuple(Window(*row) for row in LIMITS[market])


@dataclass(frozen=True, slots=True)
class Charge:
    """So much on one count, unless the count would pass the ceiling. `key` names the count, window included."""

    key: str
    amount: int
    ceiling: int
    expires_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether every charge was made. `full` is the index of the count that is full; `blocked_s` of a venue's wait."""

    used: tuple[int, ...] = ()
    full: int | None = None
    blocked_s: float = 0.0

    @property
    def granted(self) -> bool:
        return self.full is None and self.blocked_s <= 0


class BudgetUnavailable(Exception):
    """The count cannot be reached; another one has to do."""


class SharedBudget(Protocol):
    """Where the processes count together. Every method may raise BudgetUnavailable."""

    def charge(self, venue: str, charges: Sequence[Charge], now: datetime) -> Verdict:
        """Make all charges or none, at once for every process; none while the venue has told us to wait."""
        ...

    def correct(self, key: str, at_least: int, expires_s: float) -> None:
        """Raise a count to what the venue says it is."""
        ...

    def block(self, venue: str, until: datetime) -> None:
        """Stop every process's calls until then; a shorter wait does not end a longer one."""
        ...


@dataclass(frozen=True, slots=True)
class _Count:
    """`ours` is what this process charged here, `all` what the venue is known to have counted."""

    ours: int = 0
    all: int = 0
    expires: float = 0.0


@dataclass(slots=True)
class LocalBudget:
    """The count of one process alone: for a command on its own, and when nothing shared can be reached.

    Attributes
    ----------
    share : of every ceiling that this process takes for itself; others may be counting alone, too.
    """

    share: float = 1.0
    _counts: dict[str, _Count] = field(default_factory=dict)
    _blocks: dict[str, datetime] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def charge(self, venue: str, charges: Sequence[Charge], now: datetime) -> Verdict:
        with self._lock:
            until = self._blocks.get(venue)
            if until is not None and until > now:
                return Verdict(blocked_s=(until - now).total_seconds())
            moment = now.timestamp()
            self._counts = {k: v for k, v in self._counts.items() if v.expires > moment}
            counts = [self._counts.get(c.key, _Count()) for c in charges]
            for index, (charge, count) in enumerate(zip(charges, counts, strict=True)):
                ours_full = count.ours + charge.amount > charge.ceiling * self.share
                if charge.amount and (ours_full or count.all + charge.amount > charge.ceiling):
                    return Verdict(tuple(c.all for c in counts), full=index)
            for charge, count in zip(charges, counts, strict=True):
                self._counts[charge.key] = _Count(
                    count.ours + charge.amount, count.all + charge.amount, moment + charge.expires_s
                )
            return Verdict(tuple(self._counts[c.key].all for c in charges))

    def correct(self, key: str, at_least: int, expires_s: float) -> None:
        with self._lock:
            count = self._counts.get(key, _Count())
            if at_least > count.all:
                expires = count.expires or datetime.now(UTC).timestamp() + expires_s
                self._counts[key] = _Count(count.ours, at_least, expires)

    def block(self, venue: str, until: datetime) -> None:
        with self._lock:
            self._blocks[venue] = max(until, self._blocks.get(venue, until))


class LayeredBudget:
    """The first count that can be reached. One that failed is left alone for a second.

    A count that takes over begins with what this process knows the one before it had reached: the venue has
    counted on all the while.
    """

    REST: Final = timedelta(seconds=1)

    def __init__(self, *layers: SharedBudget) -> None:
        self._layers = layers
        self._resting: dict[int, datetime] = {}
        self._known: dict[str, tuple[int, float]] = {}
        self._charged: int | None = None
        self._lock = threading.Lock()

    def charge(self, venue: str, charges: Sequence[Charge], now: datetime) -> Verdict:
        for index, layer in enumerate(self._layers):
            if self._resting.get(index, now) > now:
                continue
            try:
                if index != self._charged:
                    self._hand_over(layer, now)
                verdict = layer.charge(venue, charges, now)
            except BudgetUnavailable:
                self._resting[index] = now + self.REST
                continue
            self._charged = index
            for charge, used in zip(charges, verdict.used, strict=False):
                self._learn(charge.key, used, now.timestamp() + charge.expires_s)
            return verdict
        raise BudgetUnavailable("no count can be reached")

    def correct(self, key: str, at_least: int, expires_s: float) -> None:
        """In every layer that can be reached: whichever is charged next knows it."""
        now = datetime.now(UTC)
        self._learn(key, at_least, now.timestamp() + expires_s)
        for index, layer in enumerate(self._layers):
            if self._resting.get(index, now) > now:
                continue
            try:
                layer.correct(key, at_least, expires_s)
            except BudgetUnavailable:
                self._resting[index] = now + self.REST

    def block(self, venue: str, until: datetime) -> None:
        """In every layer: a wait must not be forgotten with one of them."""
        for layer in self._layers:
            try:
                layer.block(venue, until)
            except BudgetUnavailable:
                continue

    def _learn(self, key: str, used: int, until: float) -> None:
        with self._lock:
            before, expires = self._known.get(key, (0, until))
            self._known[key] = (max(before, used), max(expires, until))

    def _hand_over(self, layer: SharedBudget, now: datetime) -> None:
        moment = now.timestamp()
        with self._lock:
            self._known = {k: v for k, v in self._known.items() if v[1] > moment}
            known = dict(self._known)
        for key, (used, until) in known.items():
            layer.correct(key, used, until - moment)
