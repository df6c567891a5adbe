"""What the machine is told and what it answers. Quantities in steps, prices in ticks, times in nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trading.domain.brackets.exits import Exits
from trading.domain.orders import OPEN, OrderStatus
from trading.domain.values import Market, Side


class BracketState(StrEnum):
    """Where a bracket is.

    PENDING: its entry has filled nothing (or less than can be sold). ARMING: there is something to protect, its
    orders are on the way. PROTECTED: what is at the venue is what is wanted. RESIZING: orders are being replaced,
    the new ones follow once the venue has confirmed the end of the old. YIELDING: part of the protection stands
    down for a sale somebody asked for. EXITING: the position is being closed at the market. CLOSING: the position
    is gone, the rest of its orders is being cancelled until the venue confirms. DONE.
    """

    PENDING = "PENDING"
    ARMING = "ARMING"
    PROTECTED = "PROTECTED"
    RESIZING = "RESIZING"
    YIELDING = "YIELDING"
    EXITING = "EXITING"
    CLOSING = "CLOSING"
    DONE = "DONE"


class Role(StrEnum):
    """What an order of a bracket is for."""

    ENTRY = "entry"
    STOP = "stop"
    TAKE_PROFIT = "take_profit"
    TRAILING = "trailing"
    EXIT = "exit"


IN_DOUBT: Final = frozenset({OrderStatus.RESERVED, OrderStatus.SENDING, OrderStatus.UNKNOWN})
AT_VENUE: Final = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


@dataclass(frozen=True, slots=True)
class Leg:
    """One order of the bracket; legs of one `group` left together and exclude each other.

    Attributes
    ----------
    key : client order id.  target : which take-profit it is, counted from 0.
    amendable : whether the venue makes it smaller in place, as far as we know.  amending : it was asked to.
    """

    key: str
    role: Role
    group: int
    quantity: int
    executed: int
    status: OrderStatus
    stop: int | None = None
    price: int | None = None
    callback_bps: int | None = None
    target: int | None = None
    cancel_requested: bool = False
    amendable: bool = False
    amending: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it may still trade, for all we know."""
        return self.status in OPEN

    @property
    def remaining(self) -> int:
        """Steps it may still trade."""
        return self.quantity - self.executed


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the position and the orders that guard it, which the venue ties together where it can.

    On spot one slice is an OCO (stop and take-profit), a lone stop or a lone take-profit; on USD-M every slice is
    one order, and stop, take-profits and trail lie side by side.
    """

    quantity: int
    stop: int | None = None
    stop_limit: int | None = None
    take_profit: int | None = None
    target: int | None = None
    callback_bps: int | None = None
    activation: int | None = None

    @property
    def key(self) -> tuple[int | None, int | None, int | None, int | None]:
        """What makes two slices the same protection, whatever their size."""
        return self.stop, self.stop_limit, self.take_profit, self.callback_bps


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the machine may know.

    Attributes
    ----------
    exit_side : SELL leaves a long position.
    covered : steps of the position this bracket is to protect.  yielded : of these, given free for a sale.
    taken : steps each take-profit has closed already.  entered : steps that the shares of take-profits refer to.
    legs : orders that are open.  closing : whether one of its exits has traded, so that entries make no sense.
    bid, ask : top of the book, None while not known.
    may_place : whether the level in force lets reducing orders through; what is there is kept while it does not.
    wait_ns : how long to wait after a refusal before the next order.
    unprotected_ns, unprotected_max_ns : how long a part has had no stop at the venue, and how long it may.
    breached_ns, escalate_ns : how long the market has been beyond a resting stop, and when that is too long.
    exit_reason : why the position is being closed at the market; empty while it is not.
    min_steps, min_product : the venue's smallest order: steps, and price in ticks times steps.
    max_slices : how many orders of this kind the venue lets rest on a symbol.
    """

    state: BracketState
    market: Market
    exit_side: Side
    exits: Exits
    covered: int
    entry_open: bool
    legs: tuple[Leg, ...]
    now_ns: int
    bid: int | None = None
    ask: int | None = None
    yielded: int = 0
    taken: tuple[int, ...] = ()
    entered: int = 0
    closing: bool = False
    may_place: bool = True
    wait_ns: int = 0
    unprotected_ns: int = 0
    unprotected_max_ns: int = 2**62
    breached_ns: int = 0
    escalate_ns: int = 2**62
    exit_reason: str = ""
    min_steps: int = 1
    min_product: int = 0
    max_slices: int = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Send a slice of protection; with `at_market` sell that part now."""

    slice: Slice
    at_market: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take an order back; it counts until the venue has confirmed."""

    key: str


@dataclass(frozen=True, slots=True)
class Amend:
    """Make an order smaller in place, and with it the one it is tied to; it counts whole until the venue has confirmed.

    Attributes
    ----------
    quantity : what it is to be for, what it has executed included.
    """

    key: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state and what to do to get on.

    Attributes
    ----------
    cancel_entries : take back what of the entry has not filled.
    unprotected : steps that are meant to have a stop at the venue and have none.
    breached : whether the market is beyond a stop that still rests.
    """

    state: BracketState
    places: tuple[Place, ...] = ()
    cancels: tuple[Cancel, ...] = ()
    cancel_entries: bool = False
    exit_reason: str = ""
    unprotected: int = 0
    breached: bool = False
    note: str = ""
    amends: tuple[Amend, ...] = ()
