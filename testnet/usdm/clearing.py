"""USD-M clearing: orders need margin, trades move positions; see `testnet.engine.Clearing`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from testnet.accounts import FEES, MARKET, Account
from testnet.engine import Engine
from testnet.errors import ApiError
from testnet.liquidity import crosses, walk
from testnet.listing import Listing, SymbolStatus
from testnet.orders import NewOrder, Order, PositionTerms
from testnet.roles import EngineSink, Settled
from testnet.tape import Trade
from testnet.usdm.account import FuturesAccount, FuturesAccounts
from testnet.usdm.filters import check_filters
from testnet.usdm.income import COMMISSION, REALIZED_PNL, Income, IncomeBook
from testnet.usdm.margin import Margin, Marks, opening_margin, terms
from testnet.usdm.positions import BOTH, Position, opens, side_steps
from testnet.values import SCALE

PLAIN = PositionTerms()


class Host(EngineSink, Protocol):
    """What the market needs of the exchange while it settles."""

    recovering: bool


@dataclass(slots=True)
class Touched:
    """What an operation changed in one account."""

    # By asset, the change that is neither profit nor commission.
    assets: dict[str, int] = field(default_factory=dict)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)


# (account id, what changed, the venue's word for why)
AccountChanged = Callable[[str, Touched, str], None]
PositionClosed = Callable[[str, str], None]


class UsdmClearing:
    """Checks margin, books positions, realises profit to the last unit and takes commission."""

    def __init__(
        self,
        engine: Engine,
        host: Host,
        accounts: FuturesAccounts,
        income: IncomeBook,
        marks: Marks,
        margin: Margin,
    ) -> None:
        self._engine = engine
        self._host = host
        self._accounts = accounts
        self._income = income
        self._marks = marks
        self._margin = margin
        self._touched: dict[str, Touched] = {}
        # Set by the market once all its parts exist.
        self.account_changed: AccountChanged | None = None
        self.position_closed: PositionClosed | None = None

    # -- what the engine asks --------------------------------------------------------------

    def check(self, listing: Listing, account: Account, request: NewOrder) -> None:
        """Apply every check a placement passes before it reaches the book.

        Raises
        ------
        ApiError : -4140 closed symbol, -4061 position side, a filter, -4116 duplicate client id,
            -2025 too many orders, -2022 nothing to reduce, -4131 no acceptable counterparty,
            -2027 position limit, -2019 margin.
        """
        instrument = listing.instrument
        futures = self._accounts.of(account.account_id)
        position_terms = request.position or PLAIN
        if listing.status is not SymbolStatus.TRADING:
            raise ApiError(-4140, "Invalid symbol status for opening position.")
        if futures.hedge is (position_terms.position_side == BOTH):
            raise ApiError(-4061, "Order's position side does not match user's setting.")
        reduces = is_reducing(position_terms, request.side)
        check_filters(request, instrument, self._marks.of(instrument.symbol), reduces=reduces)
        shelf = self._engine.shelf(account.account_id)
        if request.client_order_id in shelf.open_by_client_id:
            raise ApiError(-4116, "ClientOrderId is duplicated.")
        open_count = sum(
            1 for o in shelf.open_by_client_id.values() if o.instrument.symbol == instrument.symbol
        )
        if request.type != "MARKET" and open_count >= instrument.max_orders:
            raise ApiError(-2025, "Reach max open order limit.")
        if request.type == "MARKET":
            self._check_counterparty(listing, request.side)
        if reduces:
            if not reducible(futures, instrument.symbol, position_terms.position_side, request.side):
                raise ApiError(-2022, "ReduceOnly Order is rejected.")
            return
        self._check_margin(listing, futures, request, position_terms.position_side)

    def check_change(self, listing: Listing, request: NewOrder, account_id: str) -> None:
        """Apply what a placement must pass to an open order's new price and quantity; raises ApiError."""
        position_terms = request.position or PLAIN
        reduces = is_reducing(position_terms, request.side)
        mark = self._marks.of(request.symbol)
        check_filters(request, listing.instrument, mark, reduces=reduces)
        if not reduces:
            self._check_margin(listing, self._accounts.of(account_id), request, position_terms.position_side)

    def accept(self, order: Order) -> None:
        """Count the notional of an order that may enlarge a position and waits for a price."""
        position_terms = order.position or PLAIN
        if order.type == "MARKET" or is_reducing(position_terms, order.side):
            return
        order.locked = order.remaining * order.price * order.instrument.quote_per
        self._ask(order, order.locked)

    def tradable(self, order: Order) -> int:
        """What is left of it; a reducing order no more than the position still has."""
        position_terms = order.position or PLAIN
        if not is_reducing(position_terms, order.side):
            return order.remaining
        futures = self._accounts.of(order.account_id)
        held = reducible(futures, order.instrument.symbol, position_terms.position_side, order.side)
        return min(order.remaining, held)

    def settle(
        self, listing: Listing, trade: Trade, side: str, taker: Order | None, maker: Order | None
    ) -> list[Settled]:
        """Move both positions; the background market takes the side no user has."""
        rows: list[Settled] = []
        other = "SELL" if side == "BUY" else "BUY"
        for order, own_side, is_maker in ((taker, side, False), (maker, other, True)):
            if order is None:
                self._book_market(listing, trade, own_side)
            else:
                rows.append(self._book(listing, trade, order, is_maker=is_maker))
        return rows

    def release(self, order: Order) -> None:
        """Forget what an order that ends still asked for."""
        if order.locked:
            self._ask(order, -order.locked)
            order.locked = 0

    def announce(self, order: Order) -> None:
        """Tell the owner of an order what it did to wallet and positions."""
        self.announce_account(order.account_id)

    # -- what the market asks --------------------------------------------------------------

    def touch(self, account_id: str, asset: str, change: int = 0) -> None:
        """Note a wallet that changed, for the next report."""
        if not self._host.recovering:
            assets = self._touched.setdefault(account_id, Touched()).assets
            assets[asset] = assets.get(asset, 0) + change

    def announce_account(self, account_id: str, reason: str = "ORDER") -> None:
        """Report what has changed in an account since the last report."""
        touched = self._touched.pop(account_id, None)
        if touched is not None and self.account_changed is not None:
            self.account_changed(account_id, touched, reason)

    def record(
        self, account_id: str, kind: str, asset: str, units: int, symbol: str, info: str, trade_id: str = ""
    ) -> None:
        """Change a wallet for a stated reason."""
        self._accounts.of(account_id).add(asset, units)
        if account_id not in (MARKET, FEES):
            self._income.add(
                Income(
                    self._host.next_seq(),
                    account_id,
                    kind,
                    asset,
                    units,
                    symbol,
                    info,
                    trade_id,
                    self._host.now_ms(),
                )
            )

    # -- details ---------------------------------------------------------------------------

    def _check_counterparty(self, listing: Listing, side: str) -> None:
        best = listing.book.contra(side).best()
        perpetual, mark = terms(listing.instrument), self._marks.of(listing.instrument.symbol)
        if best is None:
            return
        price = best * listing.instrument.tick
        if price * SCALE > mark * perpetual.multiplier_up or price * SCALE < mark * perpetual.multiplier_down:
            raise ApiError(
                -4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."
            )

    def _check_margin(
        self, listing: Listing, futures: FuturesAccount, request: NewOrder, position_side: str
    ) -> None:
        instrument = listing.instrument
        symbol, mark = instrument.symbol, self._marks.of(instrument.symbol)
        steps = request.quantity // instrument.step
        if request.type == "MARKET":
            # What the book cannot fill expires, and is not asked for.
            traded, notional = walk(listing, request.side, steps, None)
            value = traded * instrument.step * mark // SCALE
        else:
            notional = steps * (request.price // instrument.tick) * instrument.quote_per
            value = request.quantity * mark // SCALE
        before = self._margin.symbol(futures, instrument).initial
        futures.ask(symbol, position_side, request.side, notional)
        try:
            after = self._margin.symbol(futures, instrument).initial
            buying, selling = self._margin.notionals(futures, symbol)
        finally:
            futures.ask(symbol, position_side, request.side, -notional)
        needed = after - before
        if needed <= 0:
            return
        limit = terms(instrument).max_notional(futures.leverage(symbol))
        if (buying if request.side == "BUY" else selling) > limit:
            raise ApiError(-2027, "Exceeded the maximum allowable position at current leverage.")
        # Buying above or selling below the mark loses the difference at once.
        loss = max(0, notional - value if request.side == "BUY" else value - notional)
        if request.type != "MARKET" and not self._takes(listing, request):
            loss = 0
        if needed + loss > self._margin.asset(futures, instrument.quote).free:
            raise ApiError(-2019, "Margin is insufficient.")

    def _takes(self, listing: Listing, request: NewOrder) -> bool:
        best = listing.book.contra(request.side).best()
        return best is not None and crosses(request.side, request.price // listing.instrument.tick, best)

    def _ask(self, order: Order, units: int) -> None:
        position_terms = order.position or PLAIN
        self._accounts.of(order.account_id).ask(
            order.instrument.symbol, position_terms.position_side, order.side, units
        )

    def _book_market(self, listing: Listing, trade: Trade, side: str) -> None:
        market = self._accounts.of(MARKET)
        position = market.position(listing.instrument)
        self._accounts.note_trader(listing.instrument.symbol, MARKET)
        change = position.trade(side_steps(side, trade.steps), trade.price * listing.instrument.quote_per)
        market.add(listing.instrument.quote, change.realized)

    def _book(self, listing: Listing, trade: Trade, order: Order, *, is_maker: bool) -> Settled:
        instrument, position_terms = listing.instrument, order.position or PLAIN
        asset, account_id = instrument.quote, order.account_id
        futures = self._accounts.of(account_id)
        position = futures.position(instrument, position_terms.position_side)
        self._accounts.note_trader(instrument.symbol, account_id)
        if order.locked:
            released = trade.steps * order.price * order.instrument.quote_per
            order.locked -= released
            self._ask(order, -released)
        was = position.steps
        change = position.trade(side_steps(order.side, trade.steps), trade.price * instrument.quote_per)
        if change.opened_quote and instrument.symbol in futures.isolated:
            position.isolated += opening_margin(change.opened_quote, futures.leverage(instrument.symbol))
        rate = futures.maker_rate if is_maker else futures.taker_rate
        commission = trade.quote * rate // SCALE
        trade_id = str(trade.trade_id)
        if change.closed_steps:
            self.record(
                account_id, REALIZED_PNL, asset, change.realized, instrument.symbol, trade_id, trade_id
            )
        if commission:
            self.record(account_id, COMMISSION, asset, -commission, instrument.symbol, trade_id, trade_id)
            self._accounts.of(FEES).add(asset, commission)
        if position.steps:
            position.fees += commission
        position.updated_ms = futures.updated_ms = trade.time_ms
        if not self._host.recovering:
            touched = self._touched.setdefault(account_id, Touched())
            touched.assets.setdefault(asset, 0)
            touched.positions[instrument.symbol, position.side] = position
            if was * position.steps <= 0 and was and self.position_closed is not None:
                self.position_closed(account_id, instrument.symbol)
        return Settled(order, commission, asset, change.realized)


def is_reducing(position_terms: PositionTerms, side: str) -> bool:
    """True for an order that may only shrink a position."""
    return (
        position_terms.reduce_only
        or position_terms.close_position
        or not opens(side, position_terms.position_side)
    )


def reducible(futures: FuturesAccount, symbol: str, position_side: str, side: str) -> int:
    """Steps an order of this side may take off a position."""
    steps = futures.steps(symbol, position_side)
    return max(0, steps if side == "SELL" else -steps)
