"""The request-weight treasury: what this address may still ask of a venue, shared by every process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from trading.domain.errors import VenueUnavailable


class Priority(StrEnum):
    """Who may use the last of the weight: exits before reads, reads before entries, bulk work last."""

    EXIT = "exit"
    READ = "read"
    ENTRY = "entry"
    BULK = "bulk"


# Share of the minute's weight above which a priority is denied. Exits are stopped only by a ban.
CEILINGS: Final[Mapping[Priority, float]] = {
    Priority.EXIT: 1.0,
    Priority.READ: 0.95,
    Priority.ENTRY: 0.80,
    Priority.BULK: 0.50,
}
_CACHE_FOR_S: Final = 1.0
_WRITE_STEP: Final = 0.02  # of the limit: how far the figure moves before it is written again


@dataclass(frozen=True, slots=True)
class WeightState:
    """What is known of one venue's limit. `used` counts within the wall-clock minute of `used_at`."""

    limit: int = 6000
    used: int = 0
    used_at: datetime | None = None
    blocked_until: datetime | None = None
    reason: str = ""

    def used_now(self, now: datetime) -> int:
        """Weight used in the current minute; the venue's counter starts again with each minute."""
        if self.used_at is None or _minute(self.used_at) != _minute(now):
            return 0
        return self.used


class BackoffStore(Protocol):
    """Where the processes meet. Neither call may raise: a lost figure must not lose an order's answer."""

    def load(self, venue: str) -> WeightState:
        """Return the shared state, or the default when there is none."""
        ...

    def save(self, venue: str, state: WeightState) -> None:
        """Merge into the shared state: the higher use of a minute and the later block win."""
        ...


class MemoryBackoffStore:
    """For one process on its own, such as a command without a database."""

    def __init__(self) -> None:
        self._states: dict[str, WeightState] = {}

    def load(self, venue: str) -> WeightState:
        return self._states.get(venue, WeightState())

    def save(self, venue: str, state: WeightState) -> None:
        self._states[venue] = state


class WeightTreasury:
    """Grants or denies a call before it is sent, and learns from each answer. Safe between threads."""

    def __init__(
        self, venue: str, store: BackoffStore, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.venue = venue
        self._store = store
        self._now = now
        self._lock = threading.Lock()
        self._state = WeightState()
        self._loaded_at: datetime | None = None
        self._written_used = 0

    def state(self) -> WeightState:
        """The shared state, at most one second old, with what this process saw since."""
        with self._lock:
            return self._refreshed()

    def used_ratio(self) -> float:
        """Share of this minute's weight that is used, 0 to 1 and above."""
        now = self._now()
        state = self.state()
        return state.used_now(now) / state.limit

    def permit(self, priority: Priority) -> None:
        """Return when the call may be sent.

        Raises
        ------
        VenueUnavailable : the venue told us to wait, or too little weight is left for this priority;
            `retry_after_s` says how long. Nothing was sent.
        """
        now = self._now()
        state = self.state()
        if state.blocked_until is not None and state.blocked_until > now:
            wait = (state.blocked_until - now).total_seconds()
            raise VenueUnavailable(
                wait, f"{self.venue} asked us to wait: {state.reason or 'rate limit'}", -1003
            )
        if priority is Priority.EXIT:
            return
        used = state.used_now(now)
        if used >= CEILINGS[priority] * state.limit:
            wait = 60.0 - now.second - now.microsecond / 1e6
            raise VenueUnavailable(
                wait, f"{used} of {state.limit} request weight used; {priority} calls wait", -1003
            )

    def saw_headers(self, headers: Mapping[str, str]) -> None:
        """Learn the used weight from an answer's headers."""
        text = headers.get("X-MBX-USED-WEIGHT-1M") or headers.get("X-MBX-USED-WEIGHT") or ""
        if not text.isdigit():
            return
        now, used = self._now(), int(text)
        with self._lock:
            state = self._refreshed()
            previous = state.used_now(now)
            new_minute = state.used_at is None or _minute(state.used_at) != _minute(now)
            self._state = replace(state, used=max(used, previous), used_at=now)
            worth_writing = new_minute or abs(used - self._written_used) >= _WRITE_STEP * state.limit
            if worth_writing:
                self._written_used = used
                self._store.save(self.venue, self._state)

    def saw_limit(self, retry_after_s: float, reason: str) -> None:
        """Stop every process's calls until the venue's Retry-After has passed."""
        until = self._now() + timedelta(seconds=retry_after_s)
        with self._lock:
            state = self._refreshed()
            if state.blocked_until is None or until > state.blocked_until:
                self._state = replace(state, blocked_until=until, reason=reason[:200])
                self._store.save(self.venue, self._state)

    def _refreshed(self) -> WeightState:
        now = self._now()
        if self._loaded_at is None or (now - self._loaded_at).total_seconds() >= _CACHE_FOR_S:
            self._state = merged(self._state, self._store.load(self.venue))
            self._loaded_at = now
        return self._state


def merged(ours: WeightState, theirs: WeightState) -> WeightState:
    """Combine two views: the later minute or the higher use, and the later block."""
    if ours.used_at is None or (
        theirs.used_at is not None and _minute(theirs.used_at) > _minute(ours.used_at)
    ):
        used, used_at = theirs.used, theirs.used_at
    elif theirs.used_at is None or _minute(theirs.used_at) < _minute(ours.used_at):
        used, used_at = ours.used, ours.used_at
    else:
        used, used_at = max(ours.used, theirs.used), max(ours.used_at, theirs.used_at)
    blocks = [s for s in (ours, theirs) if s.blocked_until is not None]
    last = max(blocks, key=lambda s: s.blocked_until or datetime.min.replace(tzinfo=UTC), default=None)
    return WeightState(
        limit=theirs.limit,
        used=used,
        used_at=used_at,
        blocked_until=last.blocked_until if last else None,
        reason=last.reason if last else "",
    )


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
