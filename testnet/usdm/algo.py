"""A conditional order: what the client asked for, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from testnet.instruments import Instrument
from testnet.orders import Order
from testnet.triggers import Trigger

CONTRACT_PRICE, MARK_PRICE = "CONTRACT_PRICE", "MARK_PRICE"
WORKING_TYPES = (CONTRACT_PRICE, MARK_PRICE)
STOP, STOP_MARKET = "STOP", "STOP_MARKET"
TAKE_PROFIT, TAKE_PROFIT_MARKET = "TAKE_PROFIT", "TAKE_PROFIT_MARKET"
TRAILING = "TRAILING_STOP_MARKET"
TYPES = (STOP, STOP_MARKET, TAKE_PROFIT, TAKE_PROFIT_MARKET, TRAILING)
LIMIT_TYPES = (STOP, TAKE_PROFIT)


class AlgoStatus(StrEnum):
    """States of a conditional order, in the venue's words."""

    NEW = "NEW"
    TRIGGERING = "TRIGGERING"
    TRIGGERED = "TRIGGERED"
    FINISHED = "FINISHED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


ALGO_TRANSITIONS: dict[AlgoStatus, frozenset[AlgoStatus]] = {
    AlgoStatus.NEW: frozenset({AlgoStatus.TRIGGERING, AlgoStatus.CANCELED, AlgoStatus.EXPIRED}),
    AlgoStatus.TRIGGERING: frozenset({AlgoStatus.TRIGGERED, AlgoStatus.REJECTED, AlgoStatus.EXPIRED}),
    AlgoStatus.TRIGGERED: frozenset({AlgoStatus.FINISHED}),
    AlgoStatus.FINISHED: frozenset(),
    AlgoStatus.CANCELED: frozenset(),
    AlgoStatus.EXPIRED: frozenset(),
    AlgoStatus.REJECTED: frozenset(),
}


@dataclass(slots=True)
class AlgoOrder:
    """One conditional order; prices and quantity in 1e-8 units, `callback` in parts per 10,000."""

    algo_id: int
    account_id: str
    instrument: Instrument
    client_algo_id: str
    side: str
    position_side: str
    type: str
    time_in_force: str
    quantity: int
    price: int
    trigger_price: int
    working_type: str
    created_ms: int
    updated_ms: int
    close_position: bool = False
    reduce_only: bool = False
    price_protect: bool = False
    price_match: str = "NONE"
    stp_mode: str = "NONE"
    callback: int = 0
    activate_price: int = 0
    good_till_ms: int = 0
    triggered_ms: int = 0
    status: AlgoStatus = AlgoStatus.NEW
    order_id: int = 0
    reject_reason: str = ""
    events: list[tuple[int, str, int]] = field(default_factory=list)
    # The ordinary order it became, while that is known.
    order: Order | None = None

    @property
    def rises(self) -> bool:
        """True when it triggers at or above its price."""
        return (self.side == "BUY") == (self.type not in (TAKE_PROFIT, TAKE_PROFIT_MARKET))

    def trigger(self, price: int) -> Trigger:
        """What to arm; `price` is the current one, from which a trailing order without activation starts."""
        if self.type != TRAILING:
            return Trigger(self.algo_id, self.rises, price=self.trigger_price)
        return Trigger(
            self.algo_id,
            self.rises,
            trailing=self.callback,
            activation=self.activate_price,
            activates_above=self.side == "SELL",
            extreme=0 if self.activate_price else price,
        )

    def to_json(self) -> dict[str, Any]:
        """Everything but the order, as plain JSON."""
        row = {name: getattr(self, name) for name in _NAMES}
        return row | {"instrument": self.instrument.key, "status": self.status.value}

    @classmethod
    def from_json(cls, row: dict[str, Any], instrument: Instrument) -> AlgoOrder:
        """Read what `to_json` wrote."""
        values = {name: row[name] for name in _NAMES}
        events = [(seq, status, at) for seq, status, at in row["events"]]
        return cls(
            **{**values, "instrument": instrument, "status": AlgoStatus(row["status"]), "events": events}
        )


_NAMES = tuple(f.name for f in fields(AlgoOrder) if f.name != "order")
