"""Order lists: orders that cancel each other (OCO) and orders that wait for another (OTO, OTOCO)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from testnet.assigned_ids import assigned_id
from testnet.orders import Order
from testnet.persistence import Record

MAX_LISTS = 100_000


@dataclass(slots=True)
class OrderList:
    """Two or three orders of one account; `order_ids` as the venue lists them, the working one first.

    `kind` is OCO, OTO or OTOCO; `done` once every order has ended.
    """

    list_id: int
    account_id: str
    symbol: str
    kind: str
    client_id: str
    created_ms: int
    order_ids: list[int]
    done: bool = False

    @property
    def contingency(self) -> str:
        """The venue's contingency type: an OTOCO counts as OTO."""
        return "OCO" if self.kind == "OCO" else "OTO"

    @property
    def pair(self) -> list[int]:
        """The two orders of which only one may trade; empty for an OTO."""
        return {"OCO": self.order_ids, "OTO": [], "OTOCO": self.order_ids[1:]}[self.kind]

    @property
    def pending(self) -> list[int]:
        """The orders that wait for the first to be filled."""
        return [] if self.kind == "OCO" else self.order_ids[1:]

    @property
    def status(self) -> str:
        """`listStatusType` in answers to queries."""
        return "ALL_DONE" if self.done else "EXEC_STARTED"

    @property
    def order_status(self) -> str:
        """`listOrderStatus`."""
        return "ALL_DONE" if self.done else "EXECUTING"


@dataclass(slots=True)
class Lists:
    """Every order list, and which account has which."""

    by_id: dict[int, OrderList] = field(default_factory=dict)
    next_id: int = 1
    _open: dict[tuple[str, str], OrderList] = field(default_factory=dict)
    _by_account: dict[str, dict[int, OrderList]] = field(default_factory=dict)

    def create(
        self, account_id: str, symbol: str, kind: str, client_id: str, now_ms: int, order_ids: list[int]
    ) -> OrderList:
        """Start a list whose orders get these ids."""
        number = self.next_id
        name = client_id or assigned_id("list", number)
        return self.put(OrderList(number, account_id, symbol, kind, name, now_ms, order_ids))

    def put(self, made: OrderList) -> OrderList:
        """Know a list; also used by recovery."""
        self.by_id[made.list_id] = made
        self._by_account.setdefault(made.account_id, {})[made.list_id] = made
        self.next_id = max(self.next_id, made.list_id + 1)
        if not made.done:
            self._open[made.account_id, made.client_id] = made
        if len(self.by_id) > MAX_LISTS:
            self._forget()
        return made

    def _forget(self) -> None:
        for list_id in list(self.by_id)[: MAX_LISTS // 10]:
            if self.by_id[list_id].done:
                gone = self.by_id.pop(list_id)
                del self._by_account[gone.account_id][list_id]

    def close(self, ended: OrderList) -> None:
        """Every order of it has ended; its client id may be used again."""
        ended.done = True
        self._open.pop((ended.account_id, ended.client_id), None)

    def of_account(self, account_id: str) -> list[OrderList]:
        """An account's lists, oldest first."""
        return list(self._by_account.get(account_id, {}).values())

    def open_of(self, account_id: str, symbol: str | None = None) -> list[OrderList]:
        """An account's lists that are not done, of one symbol or all, oldest first."""
        found = [
            row
            for (owner, _), row in self._open.items()
            if owner == account_id and symbol in (None, row.symbol)
        ]
        return sorted(found, key=lambda row: row.list_id)

    def is_open(self, account_id: str, client_id: str) -> bool:
        """True while an open list has this client id."""
        return (account_id, client_id) in self._open

    def named(self, account_id: str, client_id: str) -> OrderList | None:
        """The account's open list of this client id, or else its latest."""
        found = self._open.get((account_id, client_id))
        if found is not None:
            return found
        return next(
            (row for row in reversed(self.of_account(account_id)) if row.client_id == client_id), None
        )

    def partner(self, order: Order, orders: Mapping[int, Order]) -> Order | None:
        """The order that must not trade when this one does, if it is in such a pair and known already."""
        if order.list_id == -1:
            return None
        pair = self.by_id[order.list_id].pair
        if order.order_id not in pair:
            return None
        return orders.get(pair[0] if pair[1] == order.order_id else pair[1])

    def state(self) -> Record:
        """Everything, as plain JSON."""
        return {"next": self.next_id, "rows": [asdict(row) for row in self.by_id.values()]}

    def restore(self, state: Record) -> None:
        """Continue from `state()`."""
        for row in state["rows"]:
            self.put(OrderList(**row))
        self.next_id = max(self.next_id, state["next"])
