"""What a placement on the spot market must pass, in the order in which it is checked.

First whether the symbol trades, then the filters, then what the matching engine itself refuses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from testnet.accounts import Account
from testnet.engine import Engine
from testnet.errors import filter_failure, insufficient_balance, rejected
from testnet.instruments import Instrument
from testnet.liquidity import crosses, walk
from testnet.listing import Listing, SymbolStatus
from testnet.orders import NO_LIMIT, NewOrder, StopTerms, triggers_above
from testnet.shelf import OrderShelf
from testnet.spot.filters import OpenCounts, check_filters
from testnet.spot.lists import Lists
from testnet.triggers import PARTS

PRICES_WRONG = "The relationship of the prices for the orders is not correct."


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A checked request for an order list: the orders in the list's order, with what pairs them."""

    kind: str
    client_id: str
    orders: tuple[NewOrder, ...]

    @property
    def pair(self) -> tuple[NewOrder, ...]:
        """The orders of which only one may trade."""
        return {"OCO": self.orders, "OTO": (), "OTOCO": self.orders[1:]}[self.kind]

    @property
    def at_once(self) -> int:
        """How many orders count from the start; the others wait for the first to be filled."""
        return len(self.orders) if self.kind == "OCO" else 1


class PlacementChecks:
    """Refuses what must not reach the book."""

    def __init__(self, engine: Engine, lists: Lists) -> None:
        self._engine = engine
        self._lists = lists

    def check(self, listing: Listing, account: Account, request: NewOrder) -> None:
        """Apply every check to a single order.

        Raises
        ------
        ApiError : market closed, a filter, a duplicate client id, LIMIT_MAKER that would take, a stop
            price already reached, too little on the book, or not enough balance.
        """
        self.check_filters(listing, account, request)
        self.check_engine(listing, account, request)

    def check_filters(self, listing: Listing, account: Account, request: NewOrder) -> None:
        """The part that does not depend on the moment: status and filters."""
        if listing.status is not SymbolStatus.TRADING:
            raise rejected("Market is closed.")
        counts = self._counts(listing, account, (request,))
        check_filters(request, listing.instrument, listing.average_price(), counts)

    def check_engine(self, listing: Listing, account: Account, request: NewOrder) -> None:
        """The part the matching engine decides."""
        shelf = self._engine.shelf(account.account_id)
        if request.client_order_id in shelf.open_by_client_id:
            raise rejected("Duplicate order sent.")
        self._check_prices(listing, request)
        if request.quote_quantity:
            self._check_liquidity(listing, request)
        asset, needed = self.needed(listing, account, request)
        if needed > account.balance(asset).free:
            raise insufficient_balance()

    def check_list(self, listing: Listing, account: Account, request: ListRequest) -> None:
        """Apply every check to a list; its orders count together."""
        if listing.status is not SymbolStatus.TRADING:
            raise rejected("Market is closed.")
        instrument = listing.instrument
        average = listing.average_price()
        counts = self._counts(listing, account, request.orders)
        # Only one order of a pair can trade, so it adds its quantity once to a position.
        for order in request.orders:
            check_filters(order, instrument, average, counts)
        if len(self._lists.open_of(account.account_id, instrument.symbol)) >= instrument.max_order_lists:
            raise filter_failure("MAX_NUM_ORDER_LISTS")
        shelf = self._engine.shelf(account.account_id)
        names = [order.client_order_id for order in request.orders if order.client_order_id]
        if len(set(names)) < len(names) or any(name in shelf.open_by_client_id for name in names):
            raise rejected("Duplicate order sent.")
        if request.client_id and self._lists.is_open(account.account_id, request.client_id):
            raise rejected("Duplicate order sent.")
        _check_pair(listing, request.pair)
        for order in request.orders[: request.at_once]:
            self._check_prices(listing, order, in_list=True)
        self._check_list_balance(listing, account, request)

    def _check_list_balance(self, listing: Listing, account: Account, request: ListRequest) -> None:
        needs: dict[str, int] = {}
        single = request.orders[: len(request.orders) - len(request.pair)]
        for index, order in enumerate(single):
            asset, units = self.needed(listing, account, order, waits=index >= request.at_once)
            needs[asset] = needs.get(asset, 0) + units
        shared = [self.needed(listing, account, order, waits=True) for order in request.pair]
        if shared:
            asset = shared[0][0]
            needs[asset] = needs.get(asset, 0) + max(units for _, units in shared)
        for asset, units in needs.items():
            if units > account.balance(asset).free:
                raise insufficient_balance()

    def _check_prices(self, listing: Listing, request: NewOrder, *, in_list: bool = False) -> None:
        instrument = listing.instrument
        if request.type == "LIMIT_MAKER":
            best = listing.book.contra(request.side).best()
            if best is not None and crosses(request.side, request.price // instrument.tick, best):
                raise rejected(PRICES_WRONG if in_list else "Order would immediately match and take.")
        if request.stop is not None and request.stop.price:
            last = listing.tape.last_price * instrument.tick
            above = triggers_above(request.type, request.side)
            if last >= request.stop.price if above else last <= request.stop.price:
                raise rejected(PRICES_WRONG if in_list else "Order would trigger immediately.")

    def _check_liquidity(self, listing: Listing, request: NewOrder) -> None:
        steps, _ = walk(listing, request.side, None, None)
        if not steps:
            raise rejected("Order book liquidity is less than symbol minimum quantity.")
        if steps * listing.instrument.step < listing.instrument.min_qty:
            raise rejected("Order book liquidity is less than `LOT_SIZE` filter minimum quantity.")

    def _counts(self, listing: Listing, account: Account, requests: tuple[NewOrder, ...]) -> OpenCounts:
        shelf = self._engine.shelf(account.account_id)
        symbol = listing.instrument.symbol
        counts = OpenCounts(len(shelf.open_of(symbol)) + len(requests))
        if any(request.stop is not None for request in requests):
            open_algos = sum(1 for o in shelf.open_of(symbol).values() if o.stop is not None)
            counts = replace(counts, algos=open_algos + sum(1 for r in requests if r.stop is not None))
        if any(request.iceberg for request in requests):
            open_icebergs = sum(1 for o in shelf.open_of(symbol).values() if o.iceberg)
            counts = replace(counts, icebergs=open_icebergs + sum(1 for r in requests if r.iceberg))
        if listing.instrument.max_position and any(request.side == "BUY" for request in requests):
            counts = replace(counts, position=self._position(shelf, listing.instrument, account))
        return counts

    def _position(self, shelf: OrderShelf, instrument: Instrument, account: Account) -> int:
        balance = account.balance(instrument.base)
        buying = sum(
            order.remaining for order in shelf.open_of(instrument.symbol).values() if order.side == "BUY"
        )
        return balance.free + balance.locked + buying * instrument.step

    def needed(
        self, listing: Listing, account: Account, request: NewOrder, *, waits: bool = False
    ) -> tuple[str, int]:
        """Asset and units a placement needs; `waits` for an order that only locks for now."""
        instrument = listing.instrument
        spared = account.account_id if request.stp_mode == "EXPIRE_MAKER" else None
        if request.type == "MARKET" and waits:
            return instrument.base if request.side == "SELL" else instrument.quote, 0
        if request.side == "SELL":
            if not request.quote_quantity:
                return instrument.base, request.quantity
            steps, _ = walk(listing, "SELL", None, request.quote_quantity, spared)
            return instrument.base, steps * instrument.step
        steps = request.quantity // instrument.step
        if request.type not in NO_LIMIT:
            return instrument.quote, steps * (request.price // instrument.tick) * instrument.quote_per
        if request.stop is not None:
            return instrument.quote, steps * request.stop.reserve * instrument.quote_per
        if request.quote_quantity:
            return instrument.quote, request.quote_quantity
        _, quote = walk(listing, "BUY", steps, None, spared)
        return instrument.quote, quote


def _check_pair(listing: Listing, pair: tuple[NewOrder, ...]) -> None:
    """Refuse legs of an OCO on the wrong sides of each other.

    Raises
    ------
    ApiError : -2010 unless every order that waits for a rise has its price above the others'.
    """
    if not pair:
        return
    levels = []
    last = listing.tape.last_price * listing.instrument.tick
    for order in pair:
        if order.stop is None:
            levels.append((order.side == "SELL", order.price))
        else:
            levels.append((triggers_above(order.type, order.side), order.stop.price or last))
    (above, first), (other, second) = levels
    if above == other or (first <= second if above else first >= second):
        raise rejected(PRICES_WRONG)


def with_reserve(request: NewOrder, listing: Listing) -> NewOrder:
    """The request with the price at which a buy without a limit sets money aside while it waits.

    That is its stop price, and for a trailing stop the highest level from which it can fire without the
    market having moved further first.
    """
    stop = request.stop
    if stop is None or request.side != "BUY" or request.type not in NO_LIMIT:
        return request
    tick = listing.instrument.tick
    start = stop.price // tick or listing.tape.last_price
    reserve = -(-start * (PARTS + stop.trailing_bips) // PARTS)
    return replace(request, stop=StopTerms(stop.price, stop.trailing_bips, reserve))
