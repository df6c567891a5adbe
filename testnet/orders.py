"""Orders and their executions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from testnet.instruments import Instrument


class Status(StrEnum):
    """Order states, in the venue's words."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"


OPEN = frozenset({Status.PENDING_NEW, Status.NEW, Status.PARTIALLY_FILLED})
_ENDS = frozenset({Status.FILLED, Status.CANCELED, Status.EXPIRED, Status.EXPIRED_IN_MATCH})
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.PENDING_NEW: frozenset({Status.NEW, Status.CANCELED, Status.EXPIRED}),
    Status.NEW: frozenset({Status.PARTIALLY_FILLED}) | _ENDS,
    Status.PARTIALLY_FILLED: frozenset({Status.PARTIALLY_FILLED}) | _ENDS,
    Status.FILLED: frozenset(),
    Status.CANCELED: frozenset(),
    Status.EXPIRED: frozenset(),
    Status.EXPIRED_IN_MATCH: frozenset(),
}


@dataclass(frozen=True, slots=True)
class StopTerms:
    """When a conditional spot order starts to work: `price` in 1e-8 units (0 when it only trails).

    `trailing_bips` is the distance it keeps from the best price seen, in basis points. `reserve` is the
    price in ticks at which a buy without a limit sets money aside while it waits.
    """

    price: int
    trailing_bips: int = 0
    reserve: int = 0


@dataclass(frozen=True, slots=True)
class PositionTerms:
    """What a futures order does to a position."""

    position_side: str = "BOTH"
    reduce_only: bool = False
    close_position: bool = False
    price_match: str = "NONE"
    good_till_ms: int = 0
    # The type a client asked for, where a conditional order became this one.
    original_type: str = ""


NO_LIMIT = frozenset({"MARKET", "STOP_LOSS", "TAKE_PROFIT"})


def triggers_above(kind: str, side: str) -> bool:
    """True for a conditional type that waits for the price to rise to its stop price."""
    return kind.startswith("STOP_LOSS") == (side == "BUY")


@dataclass(frozen=True, slots=True)
class PreventedMatch:
    """A trade of an account with itself that did not happen; steps are what each order lost, 0 for none."""

    match_id: int
    symbol: str
    account_id: str
    mode: str
    price: int
    taker_id: int
    maker_id: int
    taker_steps: int
    maker_steps: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A parsed placement. `price` and `quantity` are in 1e-8 units, not yet checked against filters."""

    symbol: str
    side: str
    type: str
    time_in_force: str
    price: int
    quantity: int
    quote_quantity: int
    client_order_id: str
    response_type: str
    stp_mode: str = "NONE"
    strategy_id: int | None = None
    strategy_type: int | None = None
    iceberg: int = 0
    stop: StopTerms | None = None
    position: PositionTerms | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """One side of one trade, as its owner sees it; amounts in 1e-8 units.

    `realized` is the profit of the part of a position it closed, 0 on spot.
    """

    seq: int
    trade_id: int
    time_ms: int
    account_id: str
    order_id: int
    instrument: Instrument
    side: str
    price: int
    quantity: int
    quote: int
    commission: int
    commission_asset: str
    maker: bool
    counterparty: str
    realized: int = 0
    position_side: str = "BOTH"


@dataclass(slots=True)
class Order:
    """An accepted order; price in ticks, quantities in steps, quote and locks in 1e-8 units.

    Changed only by the engine and the market's clearing.
    """

    order_id: int
    account_id: str
    instrument: Instrument
    client_order_id: str
    side: str
    type: str
    time_in_force: str
    price: int
    steps: int
    quote_quantity: int
    stp_mode: str
    strategy_id: int | None
    strategy_type: int | None
    created_ms: int
    updated_ms: int
    iceberg: int = 0
    stop: StopTerms | None = None
    position: PositionTerms | None = None
    list_id: int = -1
    # When it began to work: at once, or when its stop price or its list's first order let it; 0 before.
    working_ms: int = 0
    status: Status = Status.NEW
    executed: int = 0
    executed_quote: int = 0
    # Steps that self-trade prevention took away, and the last match it prevented.
    prevented: int = 0
    prevented_match_id: int = -1
    # When a trailing stop began to follow the market; 0 before.
    trailing_ms: int = 0
    amends: int = 0
    expiry_reason: str = ""
    locked: int = 0
    events: list[tuple[int, str, int]] = field(default_factory=list)

    @classmethod
    def of(
        cls, request: NewOrder, order_id: int, account_id: str, instrument: Instrument, now_ms: int
    ) -> Order:
        """The order a checked request becomes."""
        return cls(
            order_id=order_id,
            account_id=account_id,
            instrument=instrument,
            client_order_id=request.client_order_id,
            side=request.side,
            type=request.type,
            time_in_force=request.time_in_force,
            price=request.price // instrument.tick,
            steps=request.quantity // instrument.step,
            quote_quantity=request.quote_quantity,
            stp_mode=request.stp_mode,
            strategy_id=request.strategy_id,
            strategy_type=request.strategy_type,
            created_ms=now_ms,
            updated_ms=now_ms,
            iceberg=request.iceberg // instrument.step,
            stop=request.stop,
            position=request.position,
            working_ms=now_ms if request.stop is None else 0,
        )

    @property
    def takes_any_price(self) -> bool:
        """True for an order without a limit."""
        return self.type in NO_LIMIT

    @property
    def rests(self) -> bool:
        """True when what does not trade at once waits on the book."""
        return not self.takes_any_price and self.time_in_force not in ("IOC", "FOK")

    @property
    def is_on_book(self) -> bool:
        """True for an open order that waits in a queue; conditional ones wait for their price first."""
        return self.is_open and self.rests and self.working_ms > 0

    @property
    def remaining(self) -> int:
        """Steps that may still be executed."""
        return self.steps - self.executed - self.prevented

    @property
    def is_open(self) -> bool:
        """True while the order can still trade."""
        return self.status in OPEN
