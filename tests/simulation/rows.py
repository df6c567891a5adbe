"""What the simulation keeps: our orders as committed, the exchange's own, leases and parents."""

from __future__ import annotations

from dataclasses import dataclass, field

from trading.domain.orders import OrderStatus


class Broken(AssertionError):
    """An invariant that the simulation watches did not hold."""


@dataclass
class Row:
    """One order of ours, as committed."""

    number: int
    lane: int
    quantity: int
    parent: int
    created_ns: int
    status: OrderStatus = OrderStatus.RESERVED
    executed: int = 0
    told: OrderStatus | None = None
    told_executed: int = 0
    held: int = 0
    fence: int = 0
    timestamp_ms: int = 0
    sent_ns: int | None = None
    not_found: list[int] = field(default_factory=list)
    releases: int = 0
    sends: int = 0
    cancel_asked: bool = False

    @property
    def cid(self) -> str:
        return f"o{self.number}"


@dataclass
class AtVenue:
    """One order as the exchange keeps it."""

    cid: str
    quantity: int
    executed: int = 0
    status: str = "NEW"
    arrivals: int = 1
    visible_ns: int = 0
    """From when on look-ups show it: the venue answers them from a copy that lags."""


@dataclass
class Lease:
    """A lane's lease."""

    fence: int = 0
    holder: str = ""
    until_ns: int = 0


@dataclass
class Parent:
    """What a decision wanted, and what its orders sum to."""

    wanted: int
    sent: int = 0
    children: int = 0
