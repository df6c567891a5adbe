"""Orders and their executions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from testnet.instruments import Instrument


class Status(StrEnum):
    """Order states, in the venue's words."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


OPEN = frozenset({Status.NEW, Status.PARTIALLY_FILLED})
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.NEW: frozenset({Status.PARTIALLY_FILLED, Status.FILLED, Status.CANCELED, Status.EXPIRED}),
    Status.PARTIALLY_FILLED: frozenset(
        {Status.PARTIALLY_FILLED, Status.FILLED, Status.CANCELED, Status.EXPIRED}
    ),
    Status.FILLED: frozenset(),
    Status.CANCELED: frozenset(),
    Status.EXPIRED: frozenset(),
}


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


@dataclass(frozen=True, slots=True)
class Fill:
    """One side of one trade, as its owner sees it; amounts in 1e-8 units."""

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


@dataclass(slots=True)
class Order:
    """An accepted order; price in ticks, quantities in steps, quote and locks in 1e-8 units.

    Changed only by the engine.
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
    status: Status = Status.NEW
    executed: int = 0
    executed_quote: int = 0
    locked: int = 0
    events: list[tuple[int, str, int]] = field(default_factory=list)

    @property
    def remaining(self) -> int:
        """Steps not yet executed."""
        return self.steps - self.executed

    @property
    def is_open(self) -> bool:
        """True while the order can still trade."""
        return self.status in OPEN
