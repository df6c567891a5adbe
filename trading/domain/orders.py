"""The life of an order: its states and how reports move them, its idempotency key, intents and fills."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from trading.domain.errors import IllegalTransition
from trading.domain.values import OrderType, PositionSide, Side, TimeInForce, WorkingType


class OrderStatus(StrEnum):
    """Where an order is.

    Ours before sending: RESERVED (caps held, row committed), SENDING (authorised, perhaps on the wire),
    DENIED (a rail said no), RELEASED (given up before it could reach the venue: decision expired, denied
    at authorisation, or the venue certainly took nothing). In flight: UNKNOWN. The venue's own: NEW,
    PARTIALLY_FILLED, FILLED, CANCELED, REJECTED, EXPIRED. ABSENT: proven never to have reached it.
    """

    RESERVED = "RESERVED"
    SENDING = "SENDING"
    UNKNOWN = "UNKNOWN"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    ABSENT = "ABSENT"
    RELEASED = "RELEASED"
    DENIED = "DENIED"


_S = OrderStatus

_AT_VENUE: Final = frozenset({_S.NEW, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED})

TRANSITIONS: Final = MappingProxyType(
    {
        # A reserved order can only be sent or given up: nothing the venue says can concern it.
        _S.RESERVED: frozenset({_S.SENDING, _S.RELEASED}),
        # RELEASED from SENDING needs the proof that nothing was executed (VenueUnavailable).
        _S.SENDING: _AT_VENUE | {_S.UNKNOWN, _S.REJECTED, _S.ABSENT, _S.RELEASED},
        _S.UNKNOWN: _AT_VENUE | {_S.REJECTED, _S.ABSENT},
        _S.NEW: _AT_VENUE - {_S.NEW},
        _S.PARTIALLY_FILLED: frozenset({_S.FILLED, _S.CANCELED, _S.EXPIRED}),
        # Late landing: the venue shows an order we had proven absent. Adopted, booked and alarmed.
        _S.ABSENT: _AT_VENUE,
        _S.FILLED: frozenset[OrderStatus](),
        _S.CANCELED: frozenset[OrderStatus](),
        _S.REJECTED: frozenset[OrderStatus](),
        _S.EXPIRED: frozenset[OrderStatus](),
        _S.RELEASED: frozenset[OrderStatus](),
        _S.DENIED: frozenset[OrderStatus](),
    }
)
"""Every step that moves an order; anything else is an old report (kept out) or impossible (raised)."""

OPEN: Final = frozenset({_S.RESERVED, _S.SENDING, _S.UNKNOWN, _S.NEW, _S.PARTIALLY_FILLED})
"""The states that hold a reservation."""

TERMINAL: Final = frozenset(OrderStatus) - OPEN

# Our own commands are never late reports: they happen by the table or not at all.
_COMMANDS: Final = frozenset({_S.RESERVED, _S.SENDING, _S.RELEASED, _S.DENIED})

# How much a report knows. A report that knows less than what is already known is old news.
_KNOWLEDGE: Final = MappingProxyType(
    {
        _S.SENDING: 1,
        _S.UNKNOWN: 2,
        _S.ABSENT: 3,
        _S.NEW: 4,
        _S.PARTIALLY_FILLED: 5,
        _S.FILLED: 6,
        _S.CANCELED: 6,
        _S.EXPIRED: 6,
        _S.REJECTED: 6,
    }
)


def is_open(status: OrderStatus) -> bool:
    """Tell whether an order in this state holds a reservation."""
    return status in OPEN


def is_terminal(status: OrderStatus) -> bool:
    """Tell whether nothing more is expected; only ABSENT can still be left, by a late landing."""
    return status in TERMINAL


def advance(current: OrderStatus, reported: OrderStatus) -> OrderStatus:
    """Return the state after a report, whatever its source, order of arrival or repetition.

    A report that knows less than we do (a late NEW after FILLED, an UNKNOWN after the user stream
    already told) changes nothing.

    Raises
    ------
    IllegalTransition : what can never be: the venue knows an order that was never sent or that it
        refused, two different ends of one order, or a command outside the table.
    """
    if reported is current:
        return current
    if reported in TRANSITIONS[current]:
        return reported
    never_sent = current in {_S.RESERVED, _S.RELEASED, _S.DENIED}
    if reported not in _COMMANDS and not never_sent:
        refused_but_known = current is _S.REJECTED and reported in _AT_VENUE
        if not refused_but_known and (
            _KNOWLEDGE[reported] < _KNOWLEDGE[current] or {current, reported} == {_S.ABSENT, _S.REJECTED}
        ):
            return current
    if current is _S.RELEASED and reported in {_S.UNKNOWN, _S.ABSENT}:
        # A slower path doubts or disproves what was already proven not to have happened.
        return current
    raise IllegalTransition(f"an order that is {current} cannot become {reported}")


_VENUE_STATUS: Final = MappingProxyType(
    {
        "NEW": _S.NEW,
        "PENDING_NEW": _S.NEW,
        "PENDING_CANCEL": _S.NEW,  # still open at the venue; `advance` keeps what is already known
        "PARTIALLY_FILLED": _S.PARTIALLY_FILLED,
        "FILLED": _S.FILLED,
        "CANCELED": _S.CANCELED,
        "REJECTED": _S.REJECTED,
        "EXPIRED": _S.EXPIRED,
        "EXPIRED_IN_MATCH": _S.EXPIRED,
    }
)


def from_venue(status: str) -> OrderStatus:
    """Return our state for a venue status.

    Raises
    ------
    ValueError : the venue used a word we do not know; never guessed.
    """
    try:
        return _VENUE_STATUS[status]
    except KeyError:
        raise ValueError(f"unknown venue order status {status!r}") from None


def _joined(*parts: str | int) -> str:
    # A separator inside a part would let two different tuples share one text, and so one key.
    for part in parts:
        if isinstance(part, str) and "|" in part:
            raise ValueError(f"expected no '|' in {part!r}")
    return "|".join(str(part) for part in parts)


def decision_id(strategy: str, model_version: str, symbol: str, bar_close_ns_or_event: int | str) -> str:
    """Name a decision: the same strategy, model, symbol and bar (or event) give the same 32 characters.

    Raises
    ------
    ValueError : a part contains the separator `|`.
    """
    text = _joined(strategy, model_version, symbol, bar_close_ns_or_event)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def client_order_id(
    env: str, account: str, strategy: str, decision_id: str, leg: int | str, generation: int
) -> str:
    """Derive the idempotency key of one intent: 30 characters of `[a-z2-7]`, the venue allows 36.

    A new generation is possible only after the previous one is terminal.

    Raises
    ------
    ValueError : a part contains the separator `|`.
    """
    digest = hashlib.sha256(_joined(env, account, strategy, decision_id, leg, generation).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:30]


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """What the planner or a person wants to send; `quantity` in steps, prices in ticks or None.

    Attributes
    ----------
    stop : the trigger of a conditional order; of a trailing one the price that activates it, or None for at once.
    callback_bps : distance of a trailing stop from the best price, basis points.
    position_side : which position of a hedge-mode account; `BOTH` everywhere else.
    """

    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    quantity: int
    price: int | None
    reduce_only: bool
    reason: str
    stop: int | None = None
    callback_bps: int | None = None
    working_type: WorkingType | None = None
    position_side: PositionSide = PositionSide.BOTH

    def __post_init__(self) -> None:
        if self.stop is not None and self.stop <= 0:
            raise ValueError(f"expected a positive trigger, was {self.stop} ticks")
        if (self.callback_bps is not None) != (self.type is OrderType.TRAILING_STOP_MARKET):
            raise ValueError("a trailing stop, and nothing else, has a callback")
        if self.quantity <= 0:
            raise ValueError(f"expected a positive quantity, was {self.quantity} steps")
        if self.price is not None and self.price <= 0:
            raise ValueError(f"expected a positive price, was {self.price} ticks")


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution: `price` in ticks, `quantity` in steps, `quote` and `fee` in units of 1e-8.

    A positive fee is a cost. `trade_id` is the venue's and unique per symbol.
    """

    trade_id: int
    symbol: str
    side: Side
    price: int
    quantity: int
    quote: int
    fee: int
    fee_asset: str
    maker: bool
    time_ms: int
