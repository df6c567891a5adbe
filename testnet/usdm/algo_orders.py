"""The conditional orders of every account: armed, triggered, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from testnet.accounts import Account, Accounts
from testnet.engine import Engine
from testnet.errors import ApiError, InvariantViolation, unknown_order
from testnet.instruments import Instrument
from testnet.journal import Journal
from testnet.orders import Fill, NewOrder, Order, PositionTerms
from testnet.persistence import Handler, Record
from testnet.roles import EngineSink
from testnet.triggers import TriggerBook
from testnet.usdm.account import FuturesAccounts
from testnet.usdm.algo import (
    ALGO_TRANSITIONS,
    CONTRACT_PRICE,
    LIMIT_TYPES,
    MARK_PRICE,
    TRAILING,
    AlgoOrder,
    AlgoStatus,
)
from testnet.usdm.margin import Marks, terms
from testnet.usdm.positions import BOTH
from testnet.values import SCALE

MAX_CLOSED = 20_000  # per account


class AlgoHost(EngineSink, Protocol):
    """What conditional orders need of the exchange."""

    journal: Journal
    accounts: Accounts


class AlgoListener(Protocol):
    """Hears of every change of a conditional order."""

    def algo_event(self, algo: AlgoOrder) -> None: ...

    def trigger_rejected(self, algo: AlgoOrder) -> None: ...


@dataclass(slots=True)
class AlgoShelf:
    """One account's conditional orders."""

    by_id: dict[int, AlgoOrder] = field(default_factory=dict)
    open_by_client_id: dict[str, AlgoOrder] = field(default_factory=dict)
    latest_by_client_id: dict[str, AlgoOrder] = field(default_factory=dict)

    def put(self, algo: AlgoOrder) -> list[int]:
        """Add a conditional order; beyond a limit the oldest closed ones are forgotten, by these ids."""
        dropped: list[int] = []
        self.by_id[algo.algo_id] = algo
        self.latest_by_client_id[algo.client_algo_id] = algo
        if algo.status is AlgoStatus.NEW:
            self.open_by_client_id[algo.client_algo_id] = algo
        if len(self.by_id) > MAX_CLOSED:
            for old in [row for row in self.by_id.values() if row.status not in _LIVE][: MAX_CLOSED // 10]:
                del self.by_id[old.algo_id]
                if self.latest_by_client_id.get(old.client_algo_id) is old:
                    del self.latest_by_client_id[old.client_algo_id]
                dropped.append(old.algo_id)
        return dropped


_LIVE = (AlgoStatus.NEW, AlgoStatus.TRIGGERING, AlgoStatus.TRIGGERED)
Place = Callable[[Account, NewOrder], tuple[Order, list[Fill]]]


class AlgoOrders:
    """Keeps, arms and triggers; `place` puts the resulting order into the market."""

    def __init__(
        self, engine: Engine, host: AlgoHost, accounts: FuturesAccounts, marks: Marks, place: Place
    ) -> None:
        self._engine = engine
        self._host = host
        self._accounts = accounts
        self._marks = marks
        self._place = place
        self._books: dict[tuple[str, str], TriggerBook] = {}
        self._shelves: dict[str, AlgoShelf] = {}
        self._by_id: dict[int, AlgoOrder] = {}
        self._by_order: dict[int, AlgoOrder] = {}
        self._good_till: dict[int, AlgoOrder] = {}
        self._seen: dict[int, int] = {}  # the trailing extremes last journaled
        self.algo_id = 0
        self.listener: AlgoListener | None = None

    def shelf(self, account_id: str) -> AlgoShelf:
        """One account's conditional orders, created empty."""
        found = self._shelves.get(account_id)
        if found is None:
            found = self._shelves[account_id] = AlgoShelf()
        return found

    def open_orders(self, account_id: str, symbol: str | None = None) -> list[AlgoOrder]:
        """Those that wait for their price, oldest first."""
        rows = self.shelf(account_id).open_by_client_id.values()
        return sorted(
            (row for row in rows if symbol is None or row.instrument.symbol == symbol),
            key=lambda row: row.algo_id,
        )

    # -- what clients ask ------------------------------------------------------------------

    def check(self, algo: AlgoOrder) -> None:
        """Refuse what cannot wait for its price.

        Raises
        ------
        ApiError : -4061 position side, -4116 duplicate id, -4045 too many, -2021 its price is reached
            already.
        """
        if self._accounts.of(algo.account_id).hedge is (algo.position_side == BOTH):
            raise ApiError(-4061, "Order's position side does not match user's setting.")
        shelf, symbol = self.shelf(algo.account_id), algo.instrument.symbol
        if algo.client_algo_id in shelf.open_by_client_id:
            raise ApiError(-4116, "ClientOrderId is duplicated.")
        count = sum(1 for row in shelf.open_by_client_id.values() if row.instrument.symbol == symbol)
        if count >= terms(algo.instrument).max_algo_orders:
            raise ApiError(-4045, "Reach max stop order limit.")
        price = self.price(symbol, algo.working_type)
        if algo.type == TRAILING:
            reached = algo.activate_price and (
                algo.activate_price <= price if algo.side == "SELL" else algo.activate_price >= price
            )
        else:
            reached = price >= algo.trigger_price if algo.rises else price <= algo.trigger_price
        if reached:
            raise ApiError(-2021, "Order would immediately trigger.")

    def add(self, algo: AlgoOrder) -> AlgoOrder:
        """Accept a checked conditional order and give it its id."""
        self.algo_id += 1
        algo.algo_id = self.algo_id
        algo.events.append((self._host.next_seq(), AlgoStatus.NEW.value, algo.created_ms))
        self._host.journal.append({"t": "u.algo", **algo.to_json()})
        self._put(algo)
        self._arm(algo)
        self._tell(algo)
        return algo

    def cancel(self, algo: AlgoOrder) -> None:
        """Cancel one that still waits; ApiError -2011 for any other."""
        if algo.status is not AlgoStatus.NEW:
            raise unknown_order()
        self._end(algo, AlgoStatus.CANCELED)

    def expire(self, algo: AlgoOrder, reason: str = "") -> None:
        """Close one that still waits by the venue's own decision."""
        algo.reject_reason = reason
        self._end(algo, AlgoStatus.EXPIRED)

    # -- what the market does --------------------------------------------------------------

    def price(self, symbol: str, working_type: str) -> int:
        """The price a working type looks at, in units."""
        if working_type == MARK_PRICE:
            return self._marks.of(symbol)
        listing = self._engine.listings[symbol]
        return listing.tape.last_price * listing.instrument.tick

    def watches(self, symbol: str, working_type: str) -> bool:
        """True when a price of this kind may trigger something."""
        return bool(self._books.get((symbol, working_type)))

    def moved(self, symbol: str, working_type: str, price: int) -> None:
        """Trigger what a new price reaches."""
        book = self._books.get((symbol, working_type))
        if not book:
            return
        fired = book.due(price)
        for key, extreme in book.extremes().items():
            self._note(key, extreme)
        for key in fired:
            self._trigger(self._by_id[key])

    def owners(self) -> list[str]:
        """Accounts that ever had a conditional order."""
        return sorted(self._shelves)

    def became(self, order_id: int) -> bool:
        """True for an ordinary order that a conditional one turned into."""
        return order_id in self._by_order

    def order_ended(self, order: Order) -> None:
        """Finish the conditional order that became an order which has ended."""
        algo = self._by_order.get(order.order_id)
        if algo is not None and algo.status is AlgoStatus.TRIGGERED:
            self._finish(algo)

    def wall_tick(self, now_ms: int) -> None:
        """Expire those whose good-till date is past."""
        for algo in [row for row in self._good_till.values() if row.good_till_ms <= now_ms]:
            self.expire(algo)

    # -- details ---------------------------------------------------------------------------

    def _put(self, algo: AlgoOrder) -> None:
        for dropped in self.shelf(algo.account_id).put(algo):
            del self._by_id[dropped]
        self._by_id[algo.algo_id] = algo
        if algo.order_id:
            self._by_order[algo.order_id] = algo

    def _book(self, algo: AlgoOrder) -> TriggerBook:
        return self._books.setdefault((algo.instrument.symbol, algo.working_type), TriggerBook())

    def _arm(self, algo: AlgoOrder) -> None:
        trigger = algo.trigger(self.price(algo.instrument.symbol, algo.working_type))
        self._book(algo).add(trigger)
        self._note(algo.algo_id, trigger.extreme)
        if algo.good_till_ms:
            self._good_till[algo.algo_id] = algo

    def _note(self, algo_id: int, extreme: int) -> None:
        # A trailing order must go on trailing from here after a restart.
        if extreme and self._seen.get(algo_id) != extreme:
            self._seen[algo_id] = extreme
            self._host.journal.append({"t": "u.algo.trail", "id": algo_id, "x": extreme})

    def _trigger(self, algo: AlgoOrder) -> None:
        algo.triggered_ms = self._host.now_ms()
        self._change(algo, AlgoStatus.TRIGGERING)
        if algo.price_protect and self._is_torn(algo.instrument):
            algo.reject_reason = "Price protect: mark and last price differ too much"
            self._change(algo, AlgoStatus.EXPIRED)
            return
        try:
            order, _ = self._place(self._host.accounts.by_id[algo.account_id], self._request(algo))
        except ApiError as error:
            algo.reject_reason = error.message
            self._change(algo, AlgoStatus.REJECTED)
            if self.listener is not None:
                self.listener.trigger_rejected(algo)
            return
        algo.order_id, algo.order = order.order_id, order
        self._by_order[order.order_id] = algo
        self._change(algo, AlgoStatus.TRIGGERED)
        if not order.is_open:
            self._finish(algo)

    def _request(self, algo: AlgoOrder) -> NewOrder:
        quantity = algo.quantity
        if algo.close_position:
            steps = self._accounts.of(algo.account_id).steps(algo.instrument.symbol, algo.position_side)
            quantity = abs(steps) * algo.instrument.step
            if not quantity:
                raise ApiError(-2022, "ReduceOnly Order is rejected.")
        is_limit = algo.type in LIMIT_TYPES
        return NewOrder(
            symbol=algo.instrument.symbol,
            side=algo.side,
            type="LIMIT" if is_limit else "MARKET",
            time_in_force=algo.time_in_force if is_limit else "GTC",
            price=algo.price if is_limit else 0,
            quantity=quantity,
            quote_quantity=0,
            client_order_id=algo.client_algo_id,
            response_type="ACK",
            stp_mode=algo.stp_mode,
            position=PositionTerms(
                position_side=algo.position_side,
                reduce_only=algo.reduce_only or (algo.close_position and algo.position_side == BOTH),
                close_position=algo.close_position,
                price_match=algo.price_match,
                good_till_ms=algo.good_till_ms if is_limit else 0,
                original_type=algo.type,
            ),
        )

    def _is_torn(self, instrument: Instrument) -> bool:
        mark = self._marks.of(instrument.symbol)
        gap = abs(mark - self.price(instrument.symbol, CONTRACT_PRICE))
        return gap * SCALE > mark * terms(instrument).trigger_protect

    def _finish(self, algo: AlgoOrder) -> None:
        self._by_order.pop(algo.order_id, None)
        self._change(algo, AlgoStatus.FINISHED)

    def _end(self, algo: AlgoOrder, status: AlgoStatus) -> None:
        self._book(algo).remove(algo.algo_id)
        self._change(algo, status)

    def _change(self, algo: AlgoOrder, status: AlgoStatus) -> None:
        self._apply(algo, status, self._host.now_ms(), algo.order_id, algo.reject_reason)
        self._host.journal.append(
            {
                "t": "u.algo.status",
                "id": algo.algo_id,
                "status": status.value,
                "at": algo.updated_ms,
                "o": algo.order_id,
                "why": algo.reject_reason,
            }
        )
        self._tell(algo)

    def _apply(self, algo: AlgoOrder, status: AlgoStatus, at_ms: int, order_id: int, reason: str) -> None:
        if status not in ALGO_TRANSITIONS[algo.status]:
            raise InvariantViolation(f"algo {algo.algo_id}: {algo.status} cannot become {status}")
        algo.status, algo.updated_ms = status, at_ms
        algo.order_id, algo.reject_reason = order_id, reason
        if status is AlgoStatus.TRIGGERING:
            algo.triggered_ms = at_ms
        algo.events.append((self._host.next_seq(), status.value, at_ms))
        self.shelf(algo.account_id).open_by_client_id.pop(algo.client_algo_id, None)
        self._good_till.pop(algo.algo_id, None)
        self._seen.pop(algo.algo_id, None)

    def _tell(self, algo: AlgoOrder) -> None:
        if self.listener is not None:
            self.listener.algo_event(algo)

    # -- what survives a restart -----------------------------------------------------------

    def handlers(self) -> Mapping[str, Handler]:
        """The journal records of conditional orders."""
        return {"u.algo": self._on_new, "u.algo.status": self._on_status, "u.algo.trail": self._on_trail}

    def _on_new(self, record: Record) -> None:
        instrument = self._engine.listings[record["instrument"].partition(":")[2]].instrument
        algo = AlgoOrder.from_json(record, instrument)
        self._host.next_seq()
        self.algo_id = max(self.algo_id, algo.algo_id)
        self._put(algo)

    def _on_status(self, record: Record) -> None:
        algo = self._by_id[record["id"]]
        status = AlgoStatus(record["status"])
        self._apply(algo, status, record["at"], record["o"], record["why"])
        if status is AlgoStatus.TRIGGERED:
            self._by_order[algo.order_id] = algo

    def _on_trail(self, record: Record) -> None:
        self._seen[record["id"]] = record["x"]

    def state(self) -> Record:
        """Everything, as plain JSON."""
        rows = [self._by_id[algo_id].to_json() for algo_id in sorted(self._by_id)]
        extremes = {str(key): x for book in self._books.values() for key, x in book.extremes().items() if x}
        return {"algo_id": self.algo_id, "orders": rows, "extremes": extremes}

    def restore(self, state: Record, instruments: Mapping[str, Instrument]) -> None:
        """Continue from `state()`."""
        self.algo_id = state["algo_id"]
        for row in state["orders"]:
            if row["instrument"] in instruments:
                self._put(AlgoOrder.from_json(row, instruments[row["instrument"]]))
        self._seen = {int(key): extreme for key, extreme in state["extremes"].items()}

    def recovered(self) -> None:
        """Arm everything that waits, trailing ones where they were."""
        for algo in sorted(self._by_id.values(), key=lambda row: row.algo_id):
            if algo.order_id:
                algo.order = self._engine.by_id.get(algo.order_id)
            if algo.status is AlgoStatus.TRIGGERING:
                algo.reject_reason = "The exchange stopped while it was triggering"
                self._change(algo, AlgoStatus.EXPIRED)
            elif algo.status is AlgoStatus.TRIGGERED and (algo.order is None or not algo.order.is_open):
                self._finish(algo)
            elif algo.status is AlgoStatus.NEW:
                trigger = algo.trigger(self.price(algo.instrument.symbol, algo.working_type))
                trigger.extreme = self._seen.get(algo.algo_id, trigger.extreme)
                self._book(algo).add(trigger)
                if algo.good_till_ms:
                    self._good_till[algo.algo_id] = algo
