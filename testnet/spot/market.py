"""The spot market as a whole: single orders, order lists, amendments, and what survives a restart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import TypeVar

from testnet.accounts import Account, Accounts
from testnet.engine import Engine, EngineSink
from testnet.errors import unknown_order
from testnet.orders import Fill, NewOrder, Order, Status
from testnet.persistence import Handler, Record
from testnet.spot.amendments import Amendments
from testnet.spot.checks import ListRequest, PlacementChecks, with_reserve
from testnet.spot.clearing import BalancesChanged, SpotClearing
from testnet.spot.contingencies import SpotContingencies
from testnet.spot.lists import Lists, OrderList

T = TypeVar("T")


class SpotMarket:
    """Builds the parts of the spot market and ties them together; itself a `Part` of what is kept."""

    name = "spot"

    def __init__(self, accounts: Accounts, sink: EngineSink, balances_changed: BalancesChanged) -> None:
        self.engine = Engine("spot", sink)
        self.lists = Lists()
        self.clearing = SpotClearing(self.engine, accounts, self.lists, balances_changed)
        self.engine.clearing = self.clearing
        self.contingencies = SpotContingencies(self.engine, self.clearing, accounts, self.lists)
        self.engine.contingencies = self.contingencies
        self.amendments = Amendments(self.engine, self.lists, self.contingencies)
        self._accounts = accounts

    @property
    def checks(self) -> PlacementChecks:
        """What placements must pass."""
        return self.clearing.checks

    # -- single orders ---------------------------------------------------------------------

    def place(self, account: Account, request: NewOrder) -> tuple[Order, list[Fill]]:
        """Check and place an order of any type.

        Raises
        ------
        ApiError : any check refuses it.
        """
        if request.stop is None:
            return self.engine.place(account, request)
        listing = self.engine.listings[request.symbol]
        request = with_reserve(request, listing)
        self.engine.check(account, request)
        order = self.engine.admit(account, request)
        self.contingencies.stops.arm(order)
        self.engine.clearing.announce(order)
        self.engine.run_deferred()
        return order, []

    def check(self, account: Account, request: NewOrder) -> None:
        """Apply every check of a placement; raises ApiError."""
        self.engine.check(account, with_reserve(request, self.engine.listings[request.symbol]))

    def check_filters(self, account: Account, request: NewOrder) -> None:
        """Apply the checks that do not depend on the moment; raises ApiError."""
        self.checks.check_filters(self.engine.listings[request.symbol], account, request)

    def cancel(self, order: Order, cancel_id: str, restriction: str | None = None) -> list[Order]:
        """Cancel an order, and with it the list it is in; return what was cancelled.

        Raises
        ------
        ApiError : -2011 when it is closed already or the restriction forbids it.
        """
        if order.list_id == -1 or not order.is_open:
            self.engine.cancel(order, cancel_id, restriction)
            return [order]
        self.engine.check_cancel(order, restriction)
        return self.cancel_list(self.lists.by_id[order.list_id], cancel_id)

    # -- lists -----------------------------------------------------------------------------

    def place_list(
        self, account: Account, request: ListRequest, report: Callable[[OrderList, list[Order]], T]
    ) -> T:
        """Check and place an order list; `report` sees it before anything it triggers happens.

        Raises
        ------
        ApiError : any check refuses it; then nothing was placed.
        """
        listing = self.engine.listings[request.orders[0].symbol]
        orders = tuple(with_reserve(order, listing) for order in request.orders)
        request = replace(request, orders=orders)
        self.checks.check_list(listing, account, request)
        first = self.engine.order_id + 1
        now = self.engine.sink.now_ms()
        ids = list(range(first, first + len(orders)))
        made = self.lists.create(
            account.account_id, listing.instrument.symbol, request.kind, request.client_id, now, ids
        )
        self.engine.sink.noted({"t": "orders", **asdict(made)})
        placed = [
            self.engine.admit(account, order, list_id=made.list_id, pending=index >= request.at_once)
            for index, order in enumerate(orders)
        ]
        self.contingencies.list_changed(made, "EXEC_STARTED")
        for order in placed:
            if order.status is Status.PENDING_NEW:
                continue
            if order.stop is not None:
                self.contingencies.stops.arm(order)
            else:
                self.engine.work(order)
        self.engine.clearing.announce(placed[0])
        answer = report(made, placed)
        self.engine.run_deferred()
        return answer

    def cancel_list(self, row: OrderList, cancel_id: str) -> list[Order]:
        """Cancel every open order of a list; -2011 when there is none."""
        orders = [self.engine.by_id[order_id] for order_id in row.order_ids]
        open_orders = [order for order in orders if order.is_open]
        if not open_orders:
            raise unknown_order()
        for order in open_orders:
            self.engine.close(order, Status.CANCELED, cancel_id)
        self.engine.run_deferred()
        return open_orders

    def orders_of(self, row: OrderList) -> list[Order]:
        """The orders of a list, as the venue lists them."""
        return [self.engine.by_id[order_id] for order_id in row.order_ids]

    # -- what is kept ----------------------------------------------------------------------

    def handlers(self) -> Mapping[str, Handler]:
        """Its journal records."""
        return {
            "orders": self._recover_list,
            "trail": self.contingencies.stops.recover_trail,
            "bnb": self.clearing.discounts.recover_price,
            "amend": self.amendments.recover,
            "burn": self._recover_burn,
        }

    def state(self) -> Record:
        """Lists, trailing stops, BNB prices and amendments, as plain JSON."""
        return {
            "lists": self.lists.state(),
            "trails": self.contingencies.stops.state(),
            "bnb": self.clearing.discounts.state(),
            "amendments": self.amendments.state(),
            "burn": sorted(row.account_id for row in self._accounts.by_id.values() if row.bnb_burn),
        }

    def restore(self, state: Record) -> None:
        """Continue from `state()`."""
        self.lists.restore(state["lists"])
        self.contingencies.stops.restore(state["trails"])
        self.clearing.discounts.restore(state["bnb"])
        self.amendments.restore(state["amendments"])
        for account_id in state["burn"]:
            self._accounts.by_id[account_id].bnb_burn = True

    def recovered(self) -> None:
        """Arm what waits for its price, and finish what a crash may have cut short."""
        waiting = [
            order
            for order in self.engine.by_id.values()
            if order.stop is not None and order.status is Status.NEW and not order.working_ms
        ]
        waiting = [order for order in waiting if order.instrument.symbol in self.engine.listings]
        self.contingencies.stops.recovered(sorted(waiting, key=lambda order: order.order_id))
        for row in list(self.lists.by_id.values()):
            if row.done:
                continue
            orders = [self.engine.by_id.get(order_id) for order_id in row.order_ids]
            known = [order for order in orders if order is not None]
            if len(known) < len(orders):
                # The crash came while the list was being placed: nobody was told of it.
                for order in known:
                    if order.is_open:
                        self.engine.close(order, Status.EXPIRED)
                self.lists.close(row)
            else:
                self.contingencies.follow(row)
        self.engine.run_deferred()

    def set_bnb_burn(self, account: Account, *, burn: bool) -> None:
        """Let an account pay its commissions in BNB at a discount, or no longer."""
        account.bnb_burn = burn
        self.engine.sink.noted({"t": "burn", "a": account.account_id, "on": burn})

    def _recover_burn(self, record: Record) -> None:
        self._accounts.by_id[record["a"]].bnb_burn = record["on"]

    def _recover_list(self, record: Record) -> None:
        members = {name: value for name, value in record.items() if name not in ("t", "n")}
        self.lists.put(OrderList(**members))
