"""The rate-limit treasury: what this address may still ask of a venue, and its accounts still place, shared by all.

A call is charged before it is sent, on counts every process shares, so that many of them together never pass a
limit; the used weight and the order counts in the answers' headers correct them. Lanes keep the last of a limit
for what ends risk. When the venue says wait, everybody waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from trading.domain.errors import VenueUnavailable
from universe.adapters.binance.budget import Charge, LocalBudget, SharedBudget, Window, default_windows
from universe.adapters.binance.lanes import CEILINGS, FIRST_AFTER_A_BLOCK, ORDER_CEILINGS, Priority

_CACHE_FOR_S: Final = 1.0
_WRITE_STEP: Final = 0.02  # of the limit: how far the figure moves before it is written again
AFTER_A_BLOCK_S: Final = 10.0
"""After a wait the venue asked for: how much longer entries and data stay behind what ends risk."""


@dataclass(frozen=True, slots=True)
class WeightState:
    """What is known of one venue's limits. `used` counts within the wall-clock minute of `used_at`.

    `windows` are the limits as the venue announced them; empty until that was read.
    """

    limit: int = 6000
    used: int = 0
    used_at: datetime | None = None
    blocked_until: datetime | None = None
    reason: str = ""
    windows: tuple[Window, ...] = ()

    def used_now(self, now: datetime) -> int:
        """Weight used in the current minute; the venue's counter starts again with each minute."""
        if self.used_at is None or _minute(self.used_at) != _minute(now):
            return 0
        return self.used


class BackoffStore(Protocol):
    """Where the processes' figures are kept. Neither call may raise: a lost figure must not lose an answer."""

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
    """Grants or denies a call before it is sent, and learns from each answer. Safe between threads.

    Parameters
    ----------
    address : what the venue counts weight by, beside us: two installations behind one address share a venue's
        limit, and one installation that speaks to two venues does not.
    market : whose documented limits hold until the venue's own are known.
    """

    def __init__(
        self,
        venue: str,
        store: BackoffStore,
        *,
        budget: SharedBudget | None = None,
        address: str = "",
        market: str = "spot",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.venue = venue
        self._name = f"{venue}@{address}" if address else venue
        self._store = store
        self._budget = budget or LocalBudget()
        self._documented = default_windows(market)
        self._now = now
        self._lock = threading.Lock()
        self._state = WeightState()
        self._loaded_at: datetime | None = None
        self._written_used = 0
        self._begun: datetime | None = None

    def state(self) -> WeightState:
        """The shared state, at most one second old, with what this process saw since."""
        with self._lock:
            return self._refreshed()

    def used_ratio(self) -> float:
        """Share of this minute's weight that is used, 0 to 1 and above."""
        now = self._now()
        state = self.state()
        return state.used_now(now) / state.limit

    def permit(self, priority: Priority, *, weight: int = 1, orders: int = 0, account: str = "") -> None:
        """Charge a call, or say that it must not be sent.

        Parameters
        ----------
        weight, orders : what the call adds to the address's weight and to the account's orders.

        Raises
        ------
        VenueUnavailable : the venue told us to wait, or too little is left for this lane; `retry_after_s` says
            how long. Nothing was sent.
        """
        now = self._now()
        state = self.state()
        self._wait_is_over(state, priority, now)
        windows = [
            w for w in (state.windows or self._documented) if w.kind == "weight" or (orders and account)
        ]
        self._begin_where_others_are(state, windows, now)
        charges = [
            Charge(
                self._key(window, account, now),
                weight if window.kind == "weight" else orders,
                int((CEILINGS if window.kind == "weight" else ORDER_CEILINGS)[priority] * window.limit),
                window.left_s(now) + 1,
            )
            for window in windows
        ]
        verdict = self._budget.charge(self._name, charges, now)
        if verdict.blocked_s > 0:
            raise VenueUnavailable(
                verdict.blocked_s, f"{self.venue} asked us to wait: {state.reason or 'rate limit'}", -1003
            )
        if verdict.full is not None:
            window, used = windows[verdict.full], verdict.used[verdict.full]
            code = -1003 if window.kind == "weight" else -1015
            raise VenueUnavailable(
                window.left_s(now),
                f"{used} of {window.limit} {_WORDS[window.kind]} used; {priority} calls wait",
                code,
            )

    def saw_headers(self, headers: Mapping[str, str], *, account: str = "") -> None:
        """Learn from an answer's headers what the venue has counted."""
        now = self._now()
        self._saw_orders(headers, account, now)
        text = headers.get("X-MBX-USED-WEIGHT-1M") or headers.get("X-MBX-USED-WEIGHT") or ""
        if not text.isdigit():
            return
        used = int(text)
        with self._lock:
            state = self._refreshed()
            previous = state.used_now(now)
            new_minute = state.used_at is None or _minute(state.used_at) != _minute(now)
            self._state = replace(state, used=max(used, previous), used_at=now)
            worth_writing = new_minute or abs(used - self._written_used) >= _WRITE_STEP * state.limit
            if worth_writing:
                self._written_used = used
                self._store.save(self.venue, self._state)
            windows = state.windows or self._documented
        self._correct_weight(windows, used, now)

    def saw_limit(self, retry_after_s: float, reason: str) -> None:
        """Stop every process's calls until the venue's Retry-After has passed."""
        until = self._now() + timedelta(seconds=retry_after_s)
        self._budget.block(self._name, until)
        with self._lock:
            state = self._refreshed()
            if state.blocked_until is None or until > state.blocked_until:
                self._state = replace(state, blocked_until=until, reason=reason[:200])
                self._store.save(self.venue, self._state)

    def _wait_is_over(self, state: WeightState, priority: Priority, now: datetime) -> None:
        if state.blocked_until is None:
            return
        behind = 0.0 if priority in FIRST_AFTER_A_BLOCK else AFTER_A_BLOCK_S
        wait = (state.blocked_until - now).total_seconds()
        if wait > 0 or wait + behind > 0:
            raise VenueUnavailable(
                wait + behind, f"{self.venue} asked us to wait: {state.reason or 'rate limit'}", -1003
            )

    def _begin_where_others_are(self, state: WeightState, windows: Sequence[Window], now: datetime) -> None:
        """A process's first call of a minute: the shared count may be younger than what the venue has counted."""
        if self._begun == _minute(now):
            return
        self._begun = _minute(now)
        if used := state.used_now(now):
            self._correct_weight(windows, used, now)

    def _correct_weight(self, windows: Sequence[Window], used: int, now: datetime) -> None:
        for window in windows:
            if window.kind == "weight" and window.seconds == 60:
                self._budget.correct(self._key(window, "", now), used, window.left_s(now) + 1)

    def _saw_orders(self, headers: Mapping[str, str], account: str, now: datetime) -> None:
        if not account:
            return
        for window in self.state().windows or self._documented:
            name = _ORDER_HEADERS.get(window.seconds) if window.kind == "orders" else None
            text = headers.get(name, "") if name else ""
            if text.isdigit():
                self._budget.correct(self._key(window, account, now), int(text), window.left_s(now) + 1)

    def _key(self, window: Window, account: str, now: datetime) -> str:
        whose = f"{self._name}:{account}" if window.kind == "orders" else self._name
        return f"{whose}:{window.kind}:{window.seconds}:{window.start(now)}"

    def _refreshed(self) -> WeightState:
        now = self._now()
        if self._loaded_at is None or (now - self._loaded_at).total_seconds() >= _CACHE_FOR_S:
            self._state = merged(self._state, self._store.load(self.venue))
            self._loaded_at = now
        return self._state


_ORDER_HEADERS: Final = {
    10: "X-MBX-ORDER-COUNT-10S",
    60: "X-MBX-ORDER-COUNT-1M",
    86_400: "X-MBX-ORDER-COUNT-1D",
}
_WORDS: Final = {"weight": "request weight", "orders": "orders"}


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
        windows=theirs.windows or ours.windows,
    )


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
