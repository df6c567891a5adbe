"""Spot clearing: orders lock the coin they would pay with, trades exchange coins."""

from __future__ import annotations

from collections.abc import Callable

from testnet.accounts import Account, Accounts
from testnet.engine import Engine, Settled
from testnet.listing import Listing
from testnet.orders import NewOrder, Order
from testnet.spot.checks import PlacementChecks
from testnet.spot.discounts import BNB, Discounts
from testnet.spot.lists import Lists
from testnet.tape import Trade
from testnet.values import SCALE

BalancesChanged = Callable[[Account, tuple[str, ...]], None]


class SpotClearing:
    """Locks, pays and takes commission; see `testnet.roles.Clearing`.

    The two orders of an OCO share one lock, as only one of them can ever trade: the order that needs more
    holds it for both, and hands it on when it ends.
    """

    def __init__(
        self, engine: Engine, accounts: Accounts, lists: Lists, balances_changed: BalancesChanged
    ) -> None:
        self._engine = engine
        self._accounts = accounts
        self._lists = lists
        self._balances_changed = balances_changed
        self.checks = PlacementChecks(engine, lists)
        self.discounts = Discounts(engine)

    def check(self, listing: Listing, account: Account, request: NewOrder) -> None:
        """Apply every check a placement passes before it reaches the book; raises ApiError."""
        self.checks.check(listing, account, request)

    def accept(self, order: Order) -> None:
        """Lock what an open order would pay; market orders pay as they trade."""
        needed = _needed(order)
        if not needed:
            return
        if order.list_id != -1:
            partner = self._lists.partner(order, self._engine.by_id)
            if partner is not None and partner.locked:
                if needed <= partner.locked:
                    return
                self._unlock(partner)
        self._lock(order, needed)

    def tradable(self, order: Order) -> int:
        """All that is left of it."""
        return order.remaining

    def settle(
        self, listing: Listing, trade: Trade, side: str, taker: Order | None, maker: Order | None
    ) -> list[Settled]:
        """Move both coins of one trade; the commission is taken from what is received, or in BNB."""
        buyer, seller = (taker, maker) if side == "BUY" else (maker, taker)
        instrument = listing.instrument
        base = trade.steps * instrument.step
        self._pay(buyer, instrument.quote, trade.quote, trade)
        self._pay(seller, instrument.base, base, trade)
        rows: list[Settled] = []
        for order, asset, units in ((buyer, instrument.base, base), (seller, instrument.quote, trade.quote)):
            if order is None:
                self._accounts.market.credit(asset, units)
            else:
                rows.append(self._receive(order, asset, units, trade, is_maker=order is maker))
        return rows

    def release(self, order: Order) -> None:
        """Unlock what an order that ends still holds, or hand it on to the other order of its OCO."""
        if not order.locked:
            return
        self._unlock(order)
        if order.list_id != -1:
            partner = self._lists.partner(order, self._engine.by_id)
            if partner is not None and partner.is_open and not partner.locked:
                self._lock(partner, _needed(partner))

    def announce(self, order: Order) -> None:
        """Tell the owner the balances of both coins, and of BNB where it pays the commissions."""
        instrument = order.instrument
        account = self._owner(order)
        assets = (instrument.base, instrument.quote, *((BNB,) if account.bnb_burn else ()))
        self._balances_changed(account, assets)

    def _owner(self, order: Order) -> Account:
        return self._accounts.by_id[order.account_id]

    def _lock(self, order: Order, units: int) -> None:
        order.locked = units
        self._owner(order).lock(_paid_asset(order), units)

    def _unlock(self, order: Order) -> None:
        self._owner(order).unlock(_paid_asset(order), order.locked)
        order.locked = 0

    def _pay(self, order: Order | None, asset: str, units: int, trade: Trade) -> None:
        if order is None:
            self._accounts.market.credit(asset, -units)
            return
        account = self._owner(order)
        if order.takes_any_price:
            account.credit(asset, -units)
            return
        # A buy locked its limit price; what the better trade price saves becomes free again.
        released = trade.steps * order.price * order.instrument.quote_per if order.side == "BUY" else units
        order.locked -= released
        account.unlock(asset, released)
        account.credit(asset, -units)

    def _receive(self, order: Order, asset: str, units: int, trade: Trade, *, is_maker: bool) -> Settled:
        account = self._owner(order)
        rate = account.maker_rate if is_maker else account.taker_rate
        account.credit(asset, units)
        due = self.discounts.commission(account, asset, units, order.instrument.quote, trade.quote, rate)
        paid_in = BNB if due else asset
        due = due or units * rate // SCALE
        account.credit(paid_in, -due)
        self._accounts.fees.credit(paid_in, due)
        return Settled(order, due, paid_in)


def _paid_asset(order: Order) -> str:
    return order.instrument.quote if order.side == "BUY" else order.instrument.base


def _needed(order: Order) -> int:
    """What an open order must have set aside: nothing once it takes any price, as it pays while it trades."""
    if order.takes_any_price and order.working_ms:
        return 0
    if order.type == "MARKET":
        # A pending market order of a list: it is placed later, and refused then if there is too little.
        return 0
    instrument = order.instrument
    if order.side == "SELL":
        return order.remaining * instrument.step
    price = order.price
    if order.takes_any_price and order.stop is not None:
        price = order.stop.reserve
    return order.remaining * price * instrument.quote_per
