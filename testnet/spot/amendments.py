"""Orders made smaller in place, which keeps their turn in the queue."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from testnet.assigned_ids import assigned_id
from testnet.engine import Engine
from testnet.errors import ApiError, filter_failure, rejected
from testnet.orders import Order
from testnet.persistence import Record
from testnet.spot.contingencies import SpotContingencies
from testnet.spot.lists import Lists
from testnet.values import SCALE


@dataclass(frozen=True, slots=True)
class Amendment:
    """One change of an order's quantity, in steps."""

    order_id: int
    execution_id: int
    old_client_id: str
    new_client_id: str
    old_steps: int
    new_steps: int
    time_ms: int


def refused(message: str) -> ApiError:
    return ApiError(-2038, message)


class Amendments:
    """Checks, applies and remembers amendments."""

    def __init__(self, engine: Engine, lists: Lists, contingencies: SpotContingencies) -> None:
        self._engine = engine
        self._lists = lists
        self._contingencies = contingencies
        self._rows: dict[int, list[Amendment]] = {}
        self._executions = 0

    def of(self, order_id: int) -> list[Amendment]:
        """Every amendment of an order, oldest first."""
        return list(self._rows.get(order_id, ()))

    def amend(self, order: Order, quantity: int, client_id: str | None) -> Amendment:
        """Reduce an open order to a quantity in base units; the other order of an OCO follows.

        Raises
        ------
        ApiError : -2038 for anything but a reduction above what has executed, -1013 for a filter, -2010
            for the client id of another open order.
        """
        self._check(order, quantity)
        taken = self._engine.shelf(order.account_id).open_by_client_id
        if client_id is not None and taken.get(client_id, order) is not order:
            raise rejected("Duplicate order sent.")
        steps = quantity // order.instrument.step
        partner = self._lists.partner(order, self._engine.by_id)
        affected = [order] if partner is None or not partner.is_open else [order, partner]
        made = [
            self._apply(one, steps, client_id if one is order else one.client_order_id) for one in affected
        ]
        for one in affected:
            self._contingencies.changed(one, "REPLACED")
        if order.list_id != -1 and made[0].old_client_id != made[0].new_client_id:
            self._contingencies.list_changed(self._lists.by_id[order.list_id], "UPDATED")
        self._engine.clearing.announce(order)
        return made[0]

    def _check(self, order: Order, quantity: int) -> None:
        instrument = order.instrument
        if quantity % instrument.step_size or not instrument.min_qty <= quantity <= instrument.max_qty:
            raise filter_failure("LOT_SIZE")
        steps = quantity // instrument.step
        if steps > order.steps:
            raise refused("Order amend (quantity increase) is not supported.")
        if steps == order.steps:
            raise refused("The requested action would change no state; rejecting.")
        if steps <= order.executed + order.prevented:
            raise refused("Order amend (quantity not above the executed quantity) is not supported.")
        if (
            not order.takes_any_price
            and order.price * instrument.tick * quantity // SCALE < instrument.min_notional
        ):
            raise filter_failure("NOTIONAL")
        if order.amends >= instrument.max_amends:
            raise refused("The order has been amended too often (MAX_NUM_ORDER_AMENDS).")

    def _apply(self, order: Order, steps: int, client_id: str | None) -> Amendment:
        now = self._engine.sink.now_ms()
        name = client_id or assigned_id("amend", self._executions + 1)
        amendment = Amendment(
            order.order_id, self._executions + 1, order.client_order_id, name, order.steps, steps, now
        )
        self._engine.sink.noted({"t": "amend", "k": order.instrument.key, **asdict(amendment)})
        self._note(order, amendment)
        if order.is_on_book:
            listing = self._engine.listings[order.instrument.symbol]
            listing.book.side(order.side).shrink_order(order.price, order)
            listing.book.update_id += 1
        return amendment

    def _note(self, order: Order, amendment: Amendment) -> None:
        self._executions = max(self._executions, amendment.execution_id)
        order.steps = amendment.new_steps
        order.amends += 1
        order.updated_ms = amendment.time_ms
        if order.iceberg:
            order.iceberg = min(order.iceberg, amendment.new_steps)
        if order.client_order_id != amendment.new_client_id:
            self._engine.shelf(order.account_id).rename(order, amendment.new_client_id)
        if order.locked:
            self._engine.clearing.release(order)
            self._engine.clearing.accept(order)
        self._rows.setdefault(order.order_id, []).append(amendment)

    def recover(self, record: Record) -> None:
        """Apply a journalled amendment."""
        members = {name: value for name, value in record.items() if name not in ("t", "n", "k")}
        amendment = Amendment(**members)
        self._note(self._engine.by_id[amendment.order_id], amendment)

    def state(self) -> list[list[int | str]]:
        """Every amendment, as rows."""
        return [list(asdict(row).values()) for rows in self._rows.values() for row in rows]

    def restore(self, rows: list[list[int | str]]) -> None:
        """Continue from `state()`."""
        for row in rows:
            amendment = Amendment(*row)  # type: ignore[arg-type]
            self._rows.setdefault(amendment.order_id, []).append(amendment)
            self._executions = max(self._executions, amendment.execution_id)
