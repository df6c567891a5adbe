"""What ends on wall time: the dead man's switch of a symbol, and orders good till a date."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from testnet.engine import Engine
from testnet.journal import Journal
from testnet.orders import Order
from testnet.persistence import Handler, Record

CancelAll = Callable[[str, str], None]


class Countdown:
    """`countdownCancelAll` per account and symbol, and GTD orders; looked at several times a second."""

    def __init__(self, engine: Engine, journal: Journal, cancel_all: CancelAll) -> None:
        self._engine = engine
        self._journal = journal
        self._cancel_all = cancel_all
        self._deadlines: dict[tuple[str, str], int] = {}
        self._good_till: dict[int, Order] = {}

    def set(self, account_id: str, symbol: str, deadline_ms: int) -> None:
        """Cancel a symbol's orders at a moment of wall time unless set again; 0 switches it off."""
        self._journal.append({"t": "u.countdown", "a": account_id, "s": symbol, "until": deadline_ms})
        self._apply(account_id, symbol, deadline_ms)

    def watch(self, order: Order) -> None:
        """Expire an order when its date is past."""
        if order.position is not None and order.position.good_till_ms and order.is_open:
            self._good_till[order.order_id] = order

    def wall_tick(self, now_ms: int) -> None:
        """Do what is due."""
        for (account_id, symbol), deadline in list(self._deadlines.items()):
            if deadline <= now_ms:
                self.set(account_id, symbol, 0)
                self._cancel_all(account_id, symbol)
        for order in list(self._good_till.values()):
            if not order.is_open:
                del self._good_till[order.order_id]
            elif order.position is not None and order.position.good_till_ms <= now_ms:
                del self._good_till[order.order_id]
                self._engine.expire(order)

    def _apply(self, account_id: str, symbol: str, deadline_ms: int) -> None:
        if deadline_ms:
            self._deadlines[account_id, symbol] = deadline_ms
        else:
            self._deadlines.pop((account_id, symbol), None)

    # -- what survives a restart -----------------------------------------------------------

    def handlers(self) -> Mapping[str, Handler]:
        """Its journal record."""
        return {"u.countdown": self._on_countdown}

    def _on_countdown(self, record: Record) -> None:
        self._apply(record["a"], record["s"], record["until"])

    def state(self) -> Record:
        """Everything, as plain JSON."""
        return {"deadlines": [[*key, deadline] for key, deadline in self._deadlines.items()]}

    def restore(self, state: Record) -> None:
        """Continue from `state()`."""
        for account_id, symbol, deadline in state["deadlines"]:
            self._apply(account_id, symbol, deadline)

    def recovered(self) -> None:
        """Watch open orders that have a date."""
        for order in self._engine.by_id.values():
            self.watch(order)
