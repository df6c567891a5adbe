"""Wall time and market time.

Market time drives trades, candles and regimes and may be compressed or paused; server time, signatures
and rate limits always follow the wall.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


def wall_ms() -> int:
    """Milliseconds since the epoch by the machine's clock."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class MarketClock:
    """Where market time stands and how fast it runs.

    `now_ms` is moved only by `due` plus `move_to`, so a step of the market always sees one fixed time.
    """

    now_ms: int
    speed: float = 1.0
    catch_up: bool = False
    wall: Callable[[], int] = field(default=wall_ms)
    _last_wall_ms: int = 0
    _carry: float = 0.0

    def __post_init__(self) -> None:
        self._last_wall_ms = self.wall()

    def set_speed(self, speed: float) -> None:
        """Run at another speed from now on; 0 pauses."""
        if not 0 <= speed <= 1_000_000:
            raise ValueError(f"speed must be between 0 and 1000000, was {speed}")
        self.speed = speed
        self._last_wall_ms = self.wall()
        self._carry = 0.0

    def due(self) -> int:
        """The market time that should have been reached by now."""
        wall = self.wall()
        elapsed = max(0, wall - self._last_wall_ms) * self.speed + self._carry
        self._last_wall_ms = wall
        whole = int(elapsed)
        self._carry = elapsed - whole
        target = self.now_ms + whole
        if self.catch_up and target >= wall and self.speed > 1:
            self.set_speed(1.0)
            return max(self.now_ms, wall)
        return target

    def move_to(self, now_ms: int) -> None:
        """Advance market time; it never goes back."""
        self.now_ms = max(self.now_ms, now_ms)
