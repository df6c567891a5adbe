"""What the parts of the exchange keep over a restart, and how orders and fills look on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any, Protocol

from testnet.instruments import Instrument
from testnet.orders import Fill, Order, PositionTerms, Status, StopTerms

Record = dict[str, Any]
Handler = Callable[[Record], None]


class Part(Protocol):
    """A part of the exchange with state of its own beside orders, fills and spot balances.

    It journals its changes as records, names how each is applied again, and puts the rest into snapshots.
    """

    name: str

    def handlers(self) -> Mapping[str, Handler]:
        """Its journal records by their type `t`, each with what applies it to a recovering exchange."""

    def state(self) -> Record:
        """Everything a restart needs, as plain JSON."""

    def restore(self, state: Record) -> None:
        """Continue from `state()`, before any later journal record is applied."""

    def recovered(self) -> None:
        """All orders are back on their books: arm triggers and timers again."""


_ORDER_NAMES = tuple(f.name for f in fields(Order))
_FILL_NAMES = tuple(f.name for f in fields(Fill))


def order_rows(orders: list[Order]) -> Record:
    """Orders as one table: column names once, then a row each."""
    return {"names": list(_ORDER_NAMES), "rows": [_order_row(order) for order in orders]}


def _order_row(order: Order) -> list[Any]:
    values: list[Any] = []
    for name in _ORDER_NAMES:
        value = getattr(order, name)
        if name == "instrument":
            value = value.key
        elif name in ("stop", "position"):
            value = asdict(value) if value is not None else None
        elif name == "status":
            value = value.value
        values.append(value)
    return values


def read_orders(table: Record, instruments: Mapping[str, Instrument]) -> list[Order]:
    """Orders from `order_rows` after it went through JSON."""
    orders = []
    for row in table["rows"]:
        values = dict(zip(table["names"], row, strict=True))
        values["instrument"] = instruments[values["instrument"]]
        values["stop"] = StopTerms(**values["stop"]) if values["stop"] else None
        values["position"] = PositionTerms(**values["position"]) if values["position"] else None
        values["status"] = Status(values["status"])
        values["events"] = [(seq, status, at) for seq, status, at in values["events"]]
        orders.append(Order(**values))
    return orders


def fill_rows(fills: list[Fill]) -> Record:
    """Fills as one table."""
    return {
        "names": list(_FILL_NAMES),
        "rows": [
            [getattr(fill, name) if name != "instrument" else fill.instrument.key for name in _FILL_NAMES]
            for fill in fills
        ],
    }


def read_fills(table: Record, instruments: Mapping[str, Instrument]) -> list[Fill]:
    """Fills from `fill_rows` after it went through JSON."""
    fills = []
    for row in table["rows"]:
        values = dict(zip(table["names"], row, strict=True))
        values["instrument"] = instruments[values["instrument"]]
        fills.append(Fill(**values))
    return fills


def order_record(order: Order) -> Record:
    """The journal line of an accepted order; terms most orders lack are left out."""
    record: Record = {
        "t": "order",
        "id": order.order_id,
        "a": order.account_id,
        "k": order.instrument.key,
        "c": order.client_order_id,
        "side": order.side,
        "type": order.type,
        "tif": order.time_in_force,
        "p": order.price,
        "q": order.steps,
        "qq": order.quote_quantity,
        "stp": order.stp_mode,
        "sid": order.strategy_id,
        "st": order.strategy_type,
        "at": order.created_ms,
    }
    if order.iceberg:
        record["ice"] = order.iceberg
    if order.stop is not None:
        record["stop"] = [order.stop.price, order.stop.trailing_bips, order.stop.reserve]
    if order.position is not None:
        record["pos"] = asdict(order.position)
    if order.list_id != -1:
        record["list"] = order.list_id
    if order.working_ms != order.created_ms:
        record["w"] = order.working_ms
    if order.status is not Status.NEW:
        record["status"] = order.status.value
    return record


def order_of_record(record: Record, instrument: Instrument) -> Order:
    """The order of a journal line, as it was accepted."""
    stop, position = record.get("stop"), record.get("pos")
    return Order(
        order_id=record["id"],
        account_id=record["a"],
        instrument=instrument,
        client_order_id=record["c"],
        side=record["side"],
        type=record["type"],
        time_in_force=record["tif"],
        price=record["p"],
        steps=record["q"],
        quote_quantity=record["qq"],
        stp_mode=record["stp"],
        strategy_id=record["sid"],
        strategy_type=record["st"],
        created_ms=record["at"],
        updated_ms=record["at"],
        iceberg=record.get("ice", 0),
        stop=StopTerms(*stop) if stop else None,
        position=PositionTerms(**position) if position else None,
        list_id=record.get("list", -1),
        working_ms=record["w"] if "w" in record else record["at"],
        status=Status(record.get("status", "NEW")),
    )
