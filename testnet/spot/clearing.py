"""Spot clearing: orders lock the coin they would pay with, trades exchange coins."""

from __future__ import annotations

from collections.abc import Callable

from testnet.accounts import Account, Accounts
from testnet.engine import Engine, Settled, crosses, walk
from testnet.errors import insufficient_balance, rejected
from testnet.listing import Listing, SymbolStatus
from testnet.orders import NewOrder, Order
from testnet.spot.filters import check_filters
from testnet.tape import Trade
from testnet.values import SCALE

BalancesChanged = Callable[[Account, tuple[str, ...]], None]


class SpotClearing:
    """Locks, pays and takes commission; see `testnet.engine.Clearing`."""

    def __init__(self, engine: Engine, accounts: Accounts, balances_changed: BalancesChanged) -> None:
        self._engine = engine
        self._accounts = accounts
        self._balances_changed = balances_changed

    def check(self, listing: Listing, account: Account, request: NewOrder) -> None:
        """Apply every check a placement passes before it reaches the book.

        Raises
        ------
        ApiError : market closed, a filter, a duplicate client id, LIMIT_MAKER that would take,
            or not enough balance.
        """
        instrument = listing.instrument
        shelf = self._engine.shelf(account.account_id)
        if listing.status is not SymbolStatus.TRADING:
            raise rejected("Market is closed.")
        open_count = sum(1 for o in shelf.open_by_client_id.values() if o.instrument is instrument)
        check_filters(request, instrument, listing.average_price(), open_count)
        if request.client_order_id in shelf.open_by_client_id:
            raise rejected("Duplicate order sent.")
        if request.type == "LIMIT_MAKER":
            best = listing.book.contra(request.side).best()
            if best is not None and crosses(request.side, request.price // instrument.tick, best):
                raise rejected("Order would immediately match and take.")
        asset, needed = self._needed(listing, request)
        if needed > account.balance(asset).free:
            raise insufficient_balance()

    def accept(self, order: Order) -> None:
        """Lock quote for a buy at its limit, base for a sale; market orders pay as they trade."""
        if order.type == "MARKET":
            return
        instrument = order.instrument
        if order.side == "BUY":
            order.locked = order.remaining * order.price * instrument.quote_per
        else:
            order.locked = order.remaining * instrument.step
        self._owner(order).lock(_paid_asset(order), order.locked)

    def tradable(self, order: Order) -> int:
        """All that is left of it."""
        return order.remaining

    def settle(
        self, listing: Listing, trade: Trade, side: str, taker: Order | None, maker: Order | None
    ) -> list[Settled]:
        """Move both coins of one trade; the commission is taken from what is received."""
        buyer, seller = (taker, maker) if side == "BUY" else (maker, taker)
        instrument = listing.instrument
        base = trade.steps * instrument.step
        self._pay(buyer, instrument.quote, trade.quote, trade)
        self._pay(seller, instrument.base, base, trade)
        bought = self._receive(buyer, instrument.base, base, is_maker=buyer is maker)
        sold = self._receive(seller, instrument.quote, trade.quote, is_maker=seller is maker)
        rows: list[Settled] = []
        if buyer is not None:
            rows.append(Settled(buyer, bought, instrument.base))
        if seller is not None:
            rows.append(Settled(seller, sold, instrument.quote))
        return rows

    def release(self, order: Order) -> None:
        """Unlock what an order that ends still holds."""
        if order.locked:
            self._owner(order).unlock(_paid_asset(order), order.locked)
            order.locked = 0

    def announce(self, order: Order) -> None:
        """Tell the owner the balances of both coins."""
        instrument = order.instrument
        self._balances_changed(self._owner(order), (instrument.base, instrument.quote))

    def _owner(self, order: Order) -> Account:
        return self._accounts.by_id[order.account_id]

    def _pay(self, order: Order | None, asset: str, units: int, trade: Trade) -> None:
        if order is None:
            self._accounts.market.credit(asset, -units)
            return
        account = self._owner(order)
        if order.type == "MARKET":
            account.credit(asset, -units)
            return
        # A buy locked its limit price; what the better trade price saves becomes free again.
        released = trade.steps * order.price * order.instrument.quote_per if order.side == "BUY" else units
        order.locked -= released
        account.unlock(asset, released)
        account.credit(asset, -units)

    def _receive(self, order: Order | None, asset: str, units: int, *, is_maker: bool) -> int:
        if order is None:
            self._accounts.market.credit(asset, units)
            return 0
        account = self._owner(order)
        commission = units * (account.maker_rate if is_maker else account.taker_rate) // SCALE
        account.credit(asset, units - commission)
        self._accounts.fees.credit(asset, commission)
        return commission

    def _needed(self, listing: Listing, request: NewOrder) -> tuple[str, int]:
        instrument = listing.instrument
        if request.side == "SELL":
            if not request.quote_quantity:
                return instrument.base, request.quantity
            steps, _ = walk(listing, "SELL", None, request.quote_quantity)
            return instrument.base, steps * instrument.step
        if request.type != "MARKET":
            steps, ticks = request.quantity // instrument.step, request.price // instrument.tick
            return instrument.quote, steps * ticks * instrument.quote_per
        if request.quote_quantity:
            return instrument.quote, request.quote_quantity
        _, quote = walk(listing, "BUY", request.quantity // instrument.step, None)
        return instrument.quote, quote


def _paid_asset(order: Order) -> str:
    return order.instrument.quote if order.side == "BUY" else order.instrument.base
