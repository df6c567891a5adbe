"""One strategy on one instrument of a run: its state, what it sees, and what it wants."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final, cast

from trading.domain.backtest.arithmetic import PARTS
from trading.domain.backtest.limits import LimitTable
from trading.domain.backtest.touches import target_parts
from trading.domain.strategies import Bar, Desired, Execution, Observation, Protection, Strategy

NO_SLOWER: Final = MappingProxyType[str, Bar]({})


class LiveBar:
    """A `Bar` whose values change from bar to bar, so that a run makes one object and not a million."""

    __slots__ = (
        "close", "close_ns", "high", "low", "open", "open_ns", "quote_volume", "taker_base", "trades", "volume",
    )  # fmt: skip

    def __init__(self) -> None:
        self.open_ns = self.close_ns = self.trades = 0
        self.open = self.high = self.low = self.close = 0.0
        self.volume = self.quote_volume = self.taker_base = 0.0


class Leg:
    """A strategy's share of a lane.

    Attributes
    ----------
    share : parts of 1e-8 of the capital.  target : parts of 1e-9 of the share, as it stands.
    quantity : its share of a fixed quantity in steps, 0 under other rules of size.
    attributed : signed steps of the position that are its own.
    executions : own fills since its last step.
    limits : in force for its orders.
    reads_funding : it is told the rate in force at each close.
    """

    __slots__ = (
        "attributed",
        "bar",
        "executions",
        "limits",
        "long_only",
        "name",
        "observation",
        "params",
        "protection",
        "quantity",
        "reads_funding",
        "seen",
        "share",
        "state",
        "strategy",
        "target",
    )

    def __init__(
        self,
        strategy: Strategy,
        params: Any,
        share: int,
        symbol: str,
        interval: str,
        long_only: bool,
        limits: LimitTable,
    ) -> None:
        if not 0 < share <= PARTS:
            raise ValueError(
                f"{strategy.name}: expected a share above 0 and at most 1, was {share / PARTS:g}"
            )
        self.strategy = strategy
        self.name = strategy.name
        self.params = params
        self.share = share
        self.limits = limits
        self.long_only = int(long_only)
        self.state: Any = strategy.initial(params)
        self.reads_funding = strategy.reads_funding(params)
        self.quantity = 0
        self.target = 0
        self.attributed = 0
        self.protection: Protection | None = None
        self.seen: Desired | None = None
        self.executions: list[Execution] = []
        self.bar = LiveBar()
        self.observation = Observation(symbol, interval, cast(Bar, self.bar), 0)

    def take(self, desired: Desired) -> bool:
        """Adopt what the strategy wants; return whether that differs from what stood.

        Raises
        ------
        ValueError : it wants quotes: bars do not tell who was first in the queue.
        """
        if desired.quotes is not None:
            raise ValueError(f"{self.name} makes quotes: they need trades and a book, see `replay.Replay`")
        self.seen = desired
        target = target_parts(desired.target, self.long_only)
        if target == self.target and desired.protection == self.protection:
            return False
        self.target, self.protection = target, desired.protection
        return True

    def leave(self) -> None:
        """Want nothing until the strategy speaks again: its protection or its margin closed the position."""
        self.target, self.protection, self.seen = 0, None, None

    def told(self) -> None:
        """Show the strategy its fills since the last step."""
        self.observation.fills = tuple(self.executions)
        self.executions.clear()
