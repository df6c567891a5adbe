"""What a strategy is: a causal step from what it can know to what it wants to be true.

A strategy returns a desired state, not orders, and it cannot reach a venue or see the future. Backtest,
paper and live call the same `step`.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from trading.domain.strategies.compiled import CompiledStep


@dataclass(frozen=True, slots=True)
class Bar:
    """One closed bar: prices in quote currency, `volume` in base, usable only after `close_ns`."""

    open_ns: int
    close_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float = 0.0
    trades: int = 0
    taker_base: float = 0.0


NO_BAR: Final = Bar(0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Shown at a listing event and at books after it until the first bar of a listing closes: every number is zero."""


class Execution(NamedTuple):
    """One of the strategy's own fills since its last step; `quantity` is signed, negative is a sale."""

    quantity: float
    price: float
    fee_quote: float
    maker: bool
    time_ns: int


@dataclass(frozen=True, slots=True)
class WorkingQuote:
    """One of the strategy's own resting quotes; `size` in base is what is left of it."""

    side: Literal["BUY", "SELL"]
    price: float
    size: float


@dataclass(slots=True)
class Observation:
    """What a strategy may know at one moment, filled the same way live and in a backtest.

    The object is reused from step to step: keep values, never the object.

    Attributes
    ----------
    symbol, interval : of the bar.  trigger : why the step happens.
    bar : the bar that just closed (at `book` and `listing` triggers, the last that closed; `NO_BAR` before any).
    bid, ask, bid_size, ask_size : top of book, quote currency and base; 0.0 where a side is empty. In a
        backtest on bars without a book both are the close and the sizes 0.0.
    position : the strategy's own holding, signed base.  average_price : of it, quote; 0.0 when flat.
    unrealized : result of closing at the middle, quote.
    fills : own fills since the last step.  quotes : own resting quotes.
    now_ns : market time; at a bar trigger the bar's close.
    listing_age_s : market time since the symbol was listed, None when not known.
    slower : bars of slower intervals that closed with this one, by interval.
    funding : the perpetual's funding rate in force at the bar's close, a fraction; None where none is known, on spot,
        and for a strategy that does not read it (see `Strategy.reads_funding`).
    """

    symbol: str
    interval: str
    bar: Bar
    now_ns: int
    bid: float = 0.0
    ask: float = 0.0
    bid_size: float = 0.0
    ask_size: float = 0.0
    position: float = 0.0
    average_price: float = 0.0
    unrealized: float = 0.0
    fills: tuple[Execution, ...] = ()
    quotes: tuple[WorkingQuote, ...] = ()
    listing_age_s: float | None = None
    slower: Mapping[str, Bar] = field(default_factory=lambda: MappingProxyType({}))
    trigger: Literal["bar", "book", "listing"] = "bar"
    funding: float | None = None

    @property
    def funding_or_nan(self) -> float:
        """The funding rate as features take it."""
        return math.nan if self.funding is None else self.funding


@dataclass(frozen=True, slots=True)
class Quotes:
    """Resting quotes a market maker wants: prices in quote currency, sizes in base; size 0 is no quote."""

    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float

    def __post_init__(self) -> None:
        numbers = (self.bid_price, self.bid_size, self.ask_price, self.ask_size)
        if not all(math.isfinite(number) and number >= 0 for number in numbers):
            raise ValueError(f"expected finite prices and sizes of zero or more, were {numbers}")
        if self.bid_size and self.ask_size and self.bid_price >= self.ask_price:
            raise ValueError(f"expected bid below ask, were {self.bid_price} and {self.ask_price}")


@dataclass(frozen=True, slots=True)
class Protection:
    """Exits the position should carry: prices in quote currency, the trail a fraction of the price."""

    stop: float | None = None
    take_profit: float | None = None
    trailing: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("stop", self.stop), ("take_profit", self.take_profit)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"expected a positive {name}, was {value}")
        if self.trailing is not None and not 0 < self.trailing < 1:
            raise ValueError(f"expected a trailing fraction between 0 and 1, was {self.trailing}")


@dataclass(frozen=True, slots=True)
class Desired:
    """What a strategy wants to be true.

    Attributes
    ----------
    target : signed fraction of its capital to hold, -1 to 1.
    confidence : 0 to 1, how sure it is.  reason : a short stable code for records and screens.
    features : the numbers it looked at, by name, for the explanation of the decision.
    """

    target: float
    confidence: float = 1.0
    reason: str = ""
    quotes: Quotes | None = None
    protection: Protection | None = None
    features: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target) and -1 <= self.target <= 1):
            raise ValueError(f"expected a target of -1 to 1, was {self.target}")
        if not 0 <= self.confidence <= 1:  # false for NaN as well
            raise ValueError(f"expected a confidence of 0 to 1, was {self.confidence}")


class Strategy(ABC):
    """Base of all strategies; instances hold nothing, everything is in `params` and `state`.

    The state is plain data (None, bool, int, finite float, str, and tuples, lists or string-keyed
    dicts of these), because it is stored between bars and loaded by whichever process comes next. Lists
    come back as tuples: treat a sequence in the state as read-only.
    """

    name: ClassVar[str]
    Params: ClassVar[type]
    compiled: ClassVar[CompiledStep | None] = None
    """The same decisions in the subset that the backtester compiles, where there is such a step."""
    makes_market: ClassVar[bool] = False
    """Its `quotes` are what is traded, not its `target`; it has its symbol on its account to itself."""
    steps_at_books: ClassVar[bool] = False
    """Stepped at changes of the book as well, not only at closed bars."""
    trades_listings: ClassVar[bool] = False
    """Takes up new listings: stepped once when a symbol opens, before any of its bars has closed (`NO_BAR`)."""
    book_step_s: ClassVar[float] = 0.1
    """Seconds of wall time between two steps at a book, at least."""

    @abstractmethod
    def warmup(self, params: Any) -> int:
        """Return how many closed bars it needs before it can say anything."""

    def slower_intervals(self, params: Any) -> tuple[str, ...]:
        """Return the slower intervals it wants to see beside its own; each a whole multiple of it."""
        return ()

    def reads_funding(self, params: Any) -> bool:
        """Return whether its decisions depend on the funding rate."""
        return False

    @abstractmethod
    def initial(self, params: Any) -> Any:
        """Return the state before the first bar."""

    @abstractmethod
    def step(self, params: Any, state: Any, observation: Observation) -> tuple[Any, Desired | None]:
        """Take one observation; return the new state and the desired state, None for no change."""

    def gave_up(self, state: Any) -> bool:
        """Whether it will never enter any more: a listing it gave up counts no longer among those of the day."""
        return False

    def dump(self, state: Any) -> str:
        """Write a state as JSON text; floats keep every bit.

        Raises
        ------
        ValueError : the state holds something that is not plain data, or is not finite.
        """
        _require_plain(state, "state")
        return json.dumps(state, allow_nan=False, separators=(",", ":"))

    def load(self, text: str) -> Any:
        """Read a state written by `dump`.

        Raises
        ------
        ValueError : the text is not JSON.
        """
        return _frozen(json.loads(text))


def _require_plain(value: Any, where: str) -> None:
    if value is None or isinstance(value, (bool, int, str)):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where}: expected a finite number, was {value}")
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _require_plain(item, f"{where}[{i}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{where}: expected text as a key, was {key!r}")
            _require_plain(item, f"{where}.{key}")
    else:
        raise ValueError(f"{where}: expected plain data, was {type(value).__name__}")


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value
