"""Modified limit orders: the change loses its place in the queue and is kept in a history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from typing import Protocol

from testnet.engine import Engine
from testnet.errors import ApiError, unknown_order
from testnet.journal import Journal
from testnet.orders import NewOrder, Order
from testnet.persistence import Handler, Record
from testnet.roles import EngineSink
from testnet.usdm.clearing import PLAIN, UsdmClearing

MAX_AMENDMENTS = 10_000  # modifications the venue allows for one order
MAX_ROWS = 200_000  # kept in all; the orders modified first are forgotten first


class AmendHost(EngineSink, Protocol):
    """What modifying needs of the exchange."""

    journal: Journal


class AmendListener(Protocol):
    """Hears of modified orders."""

    def order_amended(self, order: Order) -> None: ...


@dataclass(frozen=True, slots=True)
class Amendment:
    """One modification; prices in ticks, quantities in steps."""

    amendment_id: int
    order_id: int
    time_ms: int
    price_before: int
    price_after: int
    steps_before: int
    steps_after: int
    count: int
    price_match: str


class Amendments:
    """Modifies orders and remembers how."""

    def __init__(self, engine: Engine, host: AmendHost, clearing: UsdmClearing) -> None:
        self._engine = engine
        self._host = host
        self._clearing = clearing
        self._by_order: dict[int, list[Amendment]] = {}
        self._last_id = 0
        self._rows = 0
        self.listener: AmendListener | None = None

    def of(self, order_id: int) -> list[Amendment]:
        """The modifications of an order, oldest first."""
        return list(self._by_order.get(order_id, ()))

    def modify(self, order: Order, request: NewOrder) -> None:
        """Give an open limit order another price and total quantity, and match it anew.

        A quantity of no more than what is executed already cancels the order.

        Raises
        ------
        ApiError : -2011 closed, -5025 not a limit order, -5027 nothing changes, -5026 too often,
            or what the checks of a placement find.
        """
        if not order.is_open:
            raise unknown_order()
        if order.type != "LIMIT":
            raise ApiError(-5025, "Only limit order is supported.")
        listing, instrument = self._engine.listings[order.instrument.symbol], order.instrument
        price, steps = request.price // instrument.tick, request.quantity // instrument.step
        if (price, steps) == (order.price, order.steps) and not (
            request.price % instrument.tick_size or request.quantity % instrument.step_size
        ):
            raise ApiError(-5027, "No need to modify the order.")
        if len(self._by_order.get(order.order_id, ())) >= MAX_AMENDMENTS:
            raise ApiError(-5026, "Exceed maximum modify order limit.")
        # The order's own demand must not count against it.
        self._clearing.release(order)
        try:
            self._clearing.check_change(listing, request, order.account_id)
        finally:
            self._clearing.accept(order)
        if steps <= order.executed:
            self._engine.cancel(order, "")
            return
        self._engine.withdraw(order)
        self._last_id += 1
        amendment = Amendment(
            self._last_id,
            order.order_id,
            self._host.now_ms(),
            order.price,
            price,
            order.steps,
            steps,
            len(self._by_order.get(order.order_id, ())) + 1,
            (request.position or PLAIN).price_match,
        )
        self._host.journal.append({"t": "u.amend", "m": list(astuple(amendment)), "at": amendment.time_ms})
        self._apply(amendment)
        if self.listener is not None:
            self.listener.order_amended(order)
        self._engine.work(order)
        self._clearing.announce(order)
        self._engine.run_deferred()

    def _apply(self, amendment: Amendment) -> None:
        order = self._engine.by_id[amendment.order_id]
        self._clearing.release(order)
        order.price, order.steps = amendment.price_after, amendment.steps_after
        order.updated_ms = amendment.time_ms
        if order.position is not None:
            order.position = replace(order.position, price_match=amendment.price_match)
        self._clearing.accept(order)
        self._keep(amendment)

    def _keep(self, amendment: Amendment) -> None:
        self._by_order.setdefault(amendment.order_id, []).append(amendment)
        self._rows += 1
        while self._rows > MAX_ROWS:
            self._rows -= len(self._by_order.pop(next(iter(self._by_order))))

    # -- what survives a restart -----------------------------------------------------------

    def handlers(self) -> Mapping[str, Handler]:
        """Its journal record."""
        return {"u.amend": self._on_amend}

    def _on_amend(self, record: Record) -> None:
        amendment = Amendment(*record["m"])
        self._last_id = amendment.amendment_id
        self._apply(amendment)

    def state(self) -> Record:
        """Everything, as plain JSON; histories of forgotten orders go with them."""
        rows = [row for key, rows in self._by_order.items() if key in self._engine.by_id for row in rows]
        return {"last_id": self._last_id, "rows": [list(astuple(row)) for row in rows]}

    def restore(self, state: Record) -> None:
        """Continue from `state()`."""
        self._last_id = state["last_id"]
        for values in state["rows"]:
            self._keep(Amendment(*values))
