"""How long a crashed process waits before it is started again."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 30.0
STEADY_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """The delay before the next start, doubling from crash to crash."""

    delay_s: float = FIRST_DELAY_S

    def after(self, uptime_s: float) -> tuple[float, Backoff]:
        """The delay after a crash, and the state for the one that follows.

        A process that was up for a minute is steady: its crash starts the doubling anew.
        """
        delay = FIRST_DELAY_S if uptime_s >= STEADY_AFTER_S else self.delay_s
        return delay, Backoff(min(delay * 2, LONGEST_DELAY_S))
