"""The USD-M market as a whole: its engine, accounts and rules, tied together and kept over a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from typing import Protocol

from testnet.accounts import INSURANCE, MARKET, Account, Accounts
from testnet.clock import MarketClock
from testnet.engine import Engine
from testnet.errors import ApiError
from testnet.instruments import Instrument
from testnet.journal import Journal
from testnet.listing import Listing
from testnet.orders import Fill, NewOrder, Order
from testnet.persistence import Handler, Record
from testnet.roles import EngineSink
from testnet.tape import Trade
from testnet.usdm.account import FuturesAccounts
from testnet.usdm.account_state import account_rows, restore_accounts
from testnet.usdm.algo import CONTRACT_PRICE, MARK_PRICE
from testnet.usdm.algo_orders import AlgoListener, AlgoOrders
from testnet.usdm.amendments import AmendListener, Amendments
from testnet.usdm.clearing import PLAIN, Touched, UsdmClearing, is_reducing, reducible
from testnet.usdm.countdown import Countdown
from testnet.usdm.funding_payments import FundingPayments
from testnet.usdm.income import TRANSFER, IncomeBook
from testnet.usdm.liquidation import Liquidation, LiquidationListener
from testnet.usdm.margin import Margin, Marks
from testnet.usdm.mark import MarkBoard
from testnet.usdm.off_book import OffBook
from testnet.usdm.positions import BOTH, Position
from testnet.usdm.price_match import matched_price
from testnet.usdm.settings import Settings
from testnet.values import SCALE

MARKET_ENDOWMENT = 10**12 * SCALE
INSURANCE_ENDOWMENT = 10**7 * SCALE
VENUE_CANCEL = "venue"


class MarketHost(EngineSink, Protocol):
    """What this market needs of the exchange."""

    journal: Journal
    accounts: Accounts
    clock: MarketClock
    marks: MarkBoard
    recovering: bool


class AccountListener(AlgoListener, AmendListener, LiquidationListener, Protocol):
    """Hears what happens to accounts, for the private streams."""

    def account_update(
        self, account_id: str, reason: str, assets: Mapping[str, int], positions: list[Position]
    ) -> None:
        """Wallets (with the change that is neither profit nor commission) and positions have changed."""

    def leverage_changed(self, account_id: str, symbol: str, leverage: int) -> None:
        """An account chose another leverage."""


@dataclass(frozen=True, slots=True)
class FuturesTransfer:
    """Money moved into (positive) or out of a USD-M wallet, in 1e-8 units."""

    seq: int
    account_id: str
    asset: str
    amount: int
    time_ms: int


class UsdmMarket:
    """Builds the parts of the USD-M market; a `Part` of the exchange's state."""

    name = "usdm"

    def __init__(self, host: MarketHost) -> None:
        self._host = host
        self.engine = engine = Engine("usdm", host)
        self.accounts = FuturesAccounts()
        self.income = IncomeBook()
        self.marks = Marks(engine, host.marks.mark_of)
        self.margin = Margin(engine, self.marks)
        self.clearing = UsdmClearing(engine, host, self.accounts, self.income, self.marks, self.margin)
        engine.clearing = self.clearing
        engine.contingencies = self
        self.clearing.account_changed = self._account_changed
        self.clearing.position_closed = self._position_closed
        self.off_book = OffBook(engine, host, self.clearing)
        self.amendments = Amendments(engine, host, self.clearing)
        self.algos = AlgoOrders(engine, host, self.accounts, self.marks, self.place)
        self.settings = Settings(engine, host, self.accounts, self.marks, self.margin, self._has_orders)
        self.countdown = Countdown(engine, host.journal, self.cancel_all)
        self.funding = FundingPayments(engine, host.journal, self.accounts, self.clearing, host.now_ms)
        self.funding.paid = self._funding_paid
        self.liquidation = Liquidation(
            engine,
            host,
            self.accounts,
            self.clearing,
            self.marks,
            self.margin,
            self.off_book,
            self.cancel_all,
        )
        self.transfers: list[FuturesTransfer] = []
        self._listener: AccountListener | None = None
        for account_id in (MARKET, INSURANCE):
            own = self.accounts.of(account_id)
            own.maker_rate = own.taker_rate = 0

    @property
    def listener(self) -> AccountListener | None:
        """Who hears what happens to accounts."""
        return self._listener

    @listener.setter
    def listener(self, listener: AccountListener) -> None:
        self._listener = listener
        self.algos.listener = self.amendments.listener = self.liquidation.listener = listener

    # -- orders ----------------------------------------------------------------------------

    def place(self, account: Account, request: NewOrder) -> tuple[Order, list[Fill]]:
        """Check, accept and match an order; see `prepared`."""
        order, fills = self.engine.place(account, self.prepared(account, request))
        self.countdown.watch(order)
        return order, fills

    def prepared(self, account: Account, request: NewOrder) -> NewOrder:
        """The request with its matched price, and cut to the position when it may only reduce one."""
        listing, position_terms = self.engine.listings[request.symbol], request.position or PLAIN
        if position_terms.price_match != "NONE":
            request = replace(request, price=matched_price(listing, request.side, position_terms.price_match))
        if not is_reducing(position_terms, request.side):
            return request
        futures = self.accounts.of(account.account_id)
        steps = reducible(futures, request.symbol, position_terms.position_side, request.side)
        held = steps * listing.instrument.step
        return replace(request, quantity=held) if 0 < held < request.quantity else request

    def modify(self, account: Account, order: Order, request: NewOrder) -> None:
        """Change an open order; see `Amendments.modify`."""
        self.amendments.modify(order, self.prepared(account, request))

    def cancel_all(self, account_id: str, symbol: str) -> None:
        """Cancel every open order of an account in a symbol."""
        for order in self.engine.shelf(account_id).open_orders(symbol):
            if order.is_open:
                self.engine.cancel(order, VENUE_CANCEL)

    def _has_orders(self, account_id: str, symbol: str | None) -> bool:
        return bool(
            self.engine.shelf(account_id).open_orders(symbol) or self.algos.open_orders(account_id, symbol)
        )

    def _position_closed(self, account_id: str, symbol: str) -> None:
        self.engine.defer(lambda: self.expire_idle(account_id, symbol))

    def expire_idle(self, account_id: str, symbol: str) -> None:
        """Expire reducing orders that have nothing left to reduce."""
        futures = self.accounts.of(account_id)
        for order in self.engine.shelf(account_id).open_orders(symbol):
            position_terms = order.position or PLAIN
            if is_reducing(position_terms, order.side) and not reducible(
                futures, symbol, position_terms.position_side, order.side
            ):
                self.engine.expire(order)

    # -- contingencies, see testnet.roles --------------------------------------------------

    def before_trade(self, taker: Order | None, maker: Order | None) -> None:
        """Nothing here depends on a trade about to happen."""

    def traded(self, listing: Listing, trade: Trade) -> None:
        """Trigger what waits for the last price, when the operation is over."""
        symbol = listing.instrument.symbol
        if self.algos.watches(symbol, CONTRACT_PRICE):
            price = trade.price * listing.instrument.tick
            self.engine.defer(lambda: self.algos.moved(symbol, CONTRACT_PRICE, price))

    def moved(self, order: Order) -> None:
        """This market has no lists."""

    def changed(self, order: Order, change: str) -> None:
        """Its self-trade prevention ends orders whole, which is announced as their end."""

    def order_ended(self, order: Order) -> None:
        """Finish the conditional order this one came from, when the operation is over."""
        if self.algos.became(order.order_id):
            self.engine.defer(lambda: self.algos.order_ended(order))

    # -- time ------------------------------------------------------------------------------

    def marked(self, listing: Listing, mark_units: int, index_units: int, time_ms: int) -> None:
        """Check triggers and margins at a new mark price; see `testnet.usdm.mark.MarkListener`."""
        symbol = listing.instrument.symbol
        self.engine.defer(lambda: self.algos.moved(symbol, MARK_PRICE, mark_units))
        self.engine.defer(lambda: self.liquidation.check(symbol))
        self.engine.run_deferred()

    def funding_due(self, listing: Listing, rate_1e8: int, mark_units: int, time_ms: int) -> None:
        """Pay funding; see `testnet.usdm.mark.FundingListener`."""
        symbol = listing.instrument.symbol
        self.funding.due(symbol, rate_1e8, mark_units)
        self.engine.defer(lambda: self.liquidation.check(symbol))
        self.engine.run_deferred()

    def wall_tick(self, now_ms: int) -> None:
        """Do what is due on wall time: dead man's switches and good-till dates."""
        self.countdown.wall_tick(now_ms)
        self.algos.wall_tick(now_ms)

    def settle_symbol(self, listing: Listing) -> None:
        """Before a delisting: end every order, and settle every position at the mark price."""
        symbol, instrument = listing.instrument.symbol, listing.instrument
        ticks = max(1, self.marks.of(symbol) // instrument.tick)
        for account_id in list(self.engine.shelves):
            for order in self.engine.shelf(account_id).open_orders(symbol):
                self.engine.expire(order)
        for account_id in self.algos.owners():
            for algo in self.algos.open_orders(account_id, symbol):
                self.algos.expire(algo, "Symbol is delisted")
        for account in self.accounts.holders(symbol):
            if account.account_id == MARKET:
                continue
            for position in list(account.held(symbol=symbol)):
                self.off_book.exchange(
                    account.account_id,
                    position,
                    MARKET,
                    BOTH,
                    "settlement_autoclose-",
                    ticks,
                    abs(position.steps),
                )

    # -- money -----------------------------------------------------------------------------

    def endow(self, asset: str) -> None:
        """Give the background market and the insurance fund what they trade with, once per asset."""
        for account_id, units in ((MARKET, MARKET_ENDOWMENT), (INSURANCE, INSURANCE_ENDOWMENT)):
            if asset not in self.accounts.of(account_id).wallets:
                self.transfer(self._host.accounts.by_id[account_id], asset, units)

    def transfer(self, account: Account, asset: str, units: int) -> FuturesTransfer:
        """Move money into or, with negative units, out of a wallet.

        Raises
        ------
        ApiError : more than may be withdrawn.
        """
        futures = self.accounts.of(account.account_id)
        if units < 0 and self.margin.asset(futures, asset).withdrawable + units < 0:
            raise ApiError(-2018, "Balance is insufficient.")
        transfer = self._apply_transfer(account.account_id, asset, units, self._host.now_ms())
        self._host.journal.append(
            {"t": "u.transfer", "a": account.account_id, "asset": asset, "u": units, "at": transfer.time_ms}
        )
        if self._listener is not None:
            reason = "DEPOSIT" if units >= 0 else "WITHDRAW"
            self._listener.account_update(account.account_id, reason, {asset: units}, [])
        return transfer

    def _apply_transfer(self, account_id: str, asset: str, units: int, at_ms: int) -> FuturesTransfer:
        transfer = FuturesTransfer(self._host.next_seq(), account_id, asset, units, at_ms)
        self.transfers.append(transfer)
        self.clearing.record(account_id, TRANSFER, asset, units, "", "TRANSFER")
        self.accounts.of(account_id).updated_ms = at_ms
        return transfer

    # -- announcements ---------------------------------------------------------------------

    def set_leverage(self, account_id: str, instrument: Instrument, leverage: int) -> None:
        """Change a leverage and announce it."""
        self.settings.set_leverage(account_id, instrument, leverage)
        if self._listener is not None:
            self._listener.leverage_changed(account_id, instrument.symbol, leverage)

    def move_margin(
        self, account_id: str, instrument: Instrument, position_side: str, kind: int, units: int
    ) -> None:
        """Change an isolated position's margin and announce it."""
        position = self.settings.move_margin(account_id, instrument, position_side, kind, units)
        if self._listener is not None:
            self._listener.account_update(account_id, "MARGIN_TRANSFER", {instrument.quote: 0}, [position])

    def _account_changed(self, account_id: str, touched: Touched, reason: str) -> None:
        if self._listener is not None:
            self._listener.account_update(
                account_id, reason, dict(touched.assets), list(touched.positions.values())
            )

    def _funding_paid(self, account_id: str, asset: str, units: int, position: Position | None) -> None:
        if self._listener is not None:
            positions = [position] if position is not None else []
            self._listener.account_update(account_id, "FUNDING_FEE", {asset: units}, positions)

    # -- what survives a restart -----------------------------------------------------------

    def handlers(self) -> Mapping[str, Handler]:
        """The journal records of this market; each is applied at its own market time."""
        found: dict[str, Handler] = {"u.transfer": self._on_transfer}
        for part in (
            self.off_book,
            self.amendments,
            self.algos,
            self.settings,
            self.countdown,
            self.funding,
            self.liquidation,
        ):
            found.update(part.handlers())
        return {kind: self._timed(handler) for kind, handler in found.items()}

    def _timed(self, handler: Handler) -> Handler:
        def apply(record: Record) -> None:
            if "at" in record:
                self._host.clock.now_ms = record["at"]
            handler(record)

        return apply

    def _on_transfer(self, record: Record) -> None:
        self._apply_transfer(record["a"], record["asset"], record["u"], record["at"])

    def state(self) -> Record:
        """Everything a restart needs, as plain JSON."""
        return {
            "accounts": account_rows(self.accounts),
            "income": self.income.state(),
            "transfers": [list(astuple(transfer)) for transfer in self.transfers],
            "amendments": self.amendments.state(),
            "algos": self.algos.state(),
            "settings": self.settings.state(),
            "countdown": self.countdown.state(),
        }

    def restore(self, state: Record) -> None:
        """Continue from `state()`; listings and orders are back already."""
        restore_accounts(state["accounts"], self.accounts, self.engine)
        self.income.restore(state["income"])
        self.transfers = [FuturesTransfer(*row) for row in state["transfers"]]
        self.amendments.restore(state["amendments"])
        instruments = {
            listing.instrument.key: listing.instrument for listing in self.engine.listings.values()
        }
        self.algos.restore(state["algos"], instruments)
        self.settings.restore(state["settings"])
        self.countdown.restore(state["countdown"])

    def recovered(self) -> None:
        """All orders are back on their books: arm what waits."""
        self.countdown.recovered()
        self.algos.recovered()
        for account_id in list(self.engine.shelves):
            for symbol in self.engine.listings:
                self.expire_idle(account_id, symbol)
        self.engine.run_deferred()
