"""The whole exchange in one process: accounts, engine, market, journal and the one sequence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from testnet.accounts import Account, Accounts, ApiKey, Permissions, random_key
from testnet.clock import MarketClock
from testnet.engine import Engine
from testnet.errors import ApiError, invalid_symbol
from testnet.instruments import Character, Instrument
from testnet.journal import Journal
from testnet.klines import Bar
from testnet.listen_keys import ListenKeys
from testnet.listing import Listing, SymbolStatus
from testnet.market.driver import Driver
from testnet.orders import Fill, Order
from testnet.persistence import Part, order_record
from testnet.spot.market import SpotMarket
from testnet.tape import Aggregate, Trade
from testnet.usdm.mark import MarkBoard
from testnet.usdm.market import UsdmMarket
from testnet.values import SCALE

ENDOWMENT = 10**12 * SCALE  # of every asset, to the background market


class MarketListener(Protocol):
    """Hears of public market events."""

    def trade(self, listing: Listing, trade: Trade) -> None: ...

    def aggregates(self, listing: Listing, aggregates: list[Aggregate]) -> None: ...

    def bars_closed(self, listing: Listing, closed: list[tuple[str, Bar]]) -> None: ...


class OrderListener(Protocol):
    """Hears of every change of one market's orders."""

    def order_event(self, order: Order, fill: Fill | None, cancel_id: str | None) -> None: ...


class BalanceListener(Protocol):
    """Hears of spot balances."""

    def balances(self, account: Account, assets: tuple[str, ...]) -> None: ...

    def balance_update(self, account: Account, asset: str, delta: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Transfer:
    """A deposit (positive) or withdrawal (negative) in 1e-8 units."""

    seq: int
    account_id: str
    asset: str
    amount: int
    time_ms: int


class Exchange:
    """State and services; no sockets. Implements the engine's sink."""

    def __init__(self, clock: MarketClock, journal: Journal, seed: int) -> None:
        self.clock = clock
        self.journal = journal
        self.seed = seed
        self.seq = 0
        self.recovering = False
        self.accounts = Accounts()
        self.spot_market = SpotMarket(self.accounts, self, self.balances_changed)
        self.spot = self.spot_market.engine
        self.marks = MarkBoard(journal.append)
        self.usdm_market = UsdmMarket(self)
        self.usdm = self.usdm_market.engine
        self.marks.listeners.append(self.usdm_market)
        self.marks.funding_listeners.append(self.usdm_market)
        self.listen_keys = ListenKeys(journal)
        self.engines: dict[str, Engine] = {engine.market: engine for engine in (self.spot, self.usdm)}
        self.driver = Driver(clock, seed, self._bars_closed)
        self.parts: list[Part] = [self.spot_market, self.marks, self.usdm_market, self.listen_keys]
        self.transfers: list[Transfer] = []
        self.market_listeners: list[MarketListener] = []
        # By market; the spot listener also hears of balances.
        self.private: dict[str, OrderListener] = {}
        self.balance_listener: BalanceListener | None = None

    # -- the engine's sink -----------------------------------------------------------------

    def now_ms(self) -> int:
        """Market time."""
        return self.clock.now_ms

    def next_seq(self) -> int:
        """The next number of the one sequence."""
        self.seq += 1
        return self.seq

    def order_accepted(self, order: Order) -> None:
        """Journal and announce a new order."""
        self.journal.append(order_record(order))
        self._announce(order, None, None)

    def noted(self, record: dict[str, Any]) -> None:
        """Journal what is neither order, trade nor end of an order."""
        self.journal.append(record)

    def traded(self, listing: Listing, trade: Trade, taker: Order | None, maker: Order | None) -> None:
        """Announce a trade; journal it when a user takes part."""
        for listener in self.market_listeners:
            listener.trade(listing, trade)
        if taker is None and maker is None:
            return
        self.journal.append(
            {
                "t": "trade",
                "k": listing.instrument.key,
                "id": trade.trade_id,
                "p": trade.price,
                "q": trade.steps,
                "at": trade.time_ms,
                "m": trade.buyer_is_maker,
                "taker": taker.order_id if taker is not None else 0,
                "maker": maker.order_id if maker is not None else 0,
                # A market order by quote quantity learns its size only when it trades.
                "size": taker.steps if taker is not None else 0,
            }
        )

    def order_filled(self, order: Order, fill: Fill) -> None:
        """Announce one side of a trade."""
        if self.recovering:
            return
        self._announce(order, fill, None)
        if not order.is_open and order.instrument.market == "usdm":
            self.usdm_market.order_ended(order)

    def order_closed(self, order: Order, cancel_id: str | None) -> None:
        """Journal and announce the end of an order without a fill."""
        self.journal.append(
            {
                "t": "done",
                "k": order.instrument.key,
                "id": order.order_id,
                "status": order.status.value,
                "at": order.updated_ms,
            }
        )
        self._announce(order, None, cancel_id)
        if order.instrument.market == "usdm":
            self.usdm_market.order_ended(order)

    def _announce(self, order: Order, fill: Fill | None, cancel_id: str | None) -> None:
        listener = self.private.get(order.instrument.market)
        if listener is not None:
            listener.order_event(order, fill, cancel_id)

    def aggregated(self, listing: Listing, aggregates: list[Aggregate]) -> None:
        """Announce the public trades of one taker."""
        for listener in self.market_listeners:
            listener.aggregates(listing, aggregates)

    def balances_changed(self, account: Account, assets: tuple[str, ...]) -> None:
        """Announce balances an operation touched."""
        account.updated_ms = self.clock.now_ms
        if self.balance_listener is not None and not self.recovering:
            self.balance_listener.balances(account, assets)

    def _bars_closed(self, listing: Listing, closed: list[tuple[str, Bar]]) -> None:
        for _, bar in closed[:1]:
            self.journal.append({"t": "bar", "k": listing.instrument.key, "b": list(bar)})
        for listener in self.market_listeners:
            listener.bars_closed(listing, closed)

    # -- accounts --------------------------------------------------------------------------

    def create_account(
        self,
        name: str,
        *,
        account_id: str | None = None,
        maker_rate: int | None = None,
        taker_rate: int | None = None,
    ) -> Account:
        """Open an empty account."""
        account = self.accounts.add(account_id or self.accounts.next_id(), name)
        if maker_rate is not None:
            account.maker_rate = maker_rate
        if taker_rate is not None:
            account.taker_rate = taker_rate
        self.journal.append(
            {
                "t": "account",
                "id": account.account_id,
                "name": name,
                "maker": account.maker_rate,
                "taker": account.taker_rate,
            }
        )
        return account

    def create_key(
        self,
        account: Account,
        permissions: Permissions,
        *,
        kind: str = "HMAC",
        api_key: str | None = None,
        secret: str | None = None,
    ) -> ApiKey:
        """Add a key to an account; key and secret are drawn when not given.

        Raises
        ------
        ApiError : the key exists.
        """
        key = ApiKey(
            api_key or random_key(),
            account.account_id,
            kind,
            secret or random_key(),
            permissions,
            self.clock.wall(),
        )
        if key.api_key in self.accounts.keys:
            raise ApiError(-1100, "this API key exists already")
        self.accounts.keys[key.api_key] = key
        self.journal.append(
            {
                "t": "key",
                "a": account.account_id,
                "key": key.api_key,
                "secret": key.secret,
                "kind": kind,
                "perm": permissions.to_json(),
                "wall": key.created_ms,
            }
        )
        return key

    def transfer(self, account: Account, asset: str, units: int) -> Transfer:
        """Deposit or, with negative units, withdraw.

        Raises
        ------
        ApiError : a withdrawal above the free balance.
        """
        if account.balance(asset).free + units < 0:
            raise ApiError(-2010, "Account has insufficient balance for requested action.")
        transfer = self.apply_transfer(account, asset, units, self.clock.now_ms)
        self.journal.append(
            {"t": "transfer", "a": account.account_id, "asset": asset, "u": units, "at": transfer.time_ms}
        )
        if self.balance_listener is not None:
            self.balance_listener.balance_update(account, asset, units)
        return transfer

    def apply_transfer(self, account: Account, asset: str, units: int, at_ms: int) -> Transfer:
        """Book a transfer; also used by recovery."""
        account.credit(asset, units)
        account.updated_ms = at_ms
        transfer = Transfer(self.next_seq(), account.account_id, asset, units, at_ms)
        self.transfers.append(transfer)
        return transfer

    # -- symbols ---------------------------------------------------------------------------

    def add_listing(self, listing: Listing) -> None:
        """List a symbol and endow the background market with what it trades."""
        instrument = listing.instrument
        self.engines[instrument.market].listings[instrument.symbol] = listing
        self.journal.append(listing_record(instrument, listing.character))
        if instrument.market == "usdm":
            self.usdm_market.endow(instrument.quote)
            return
        for asset in (instrument.base, instrument.quote):
            if asset not in self.accounts.market.balances:
                self.transfer(self.accounts.market, asset, ENDOWMENT)
                self.accounts.fees.balance(asset)

    def set_status(self, listing: Listing, status: SymbolStatus) -> None:
        """Halt or resume a symbol."""
        listing.status = status
        self.journal.append({"t": "status", "k": listing.instrument.key, "status": status.value})

    def delist(self, listing: Listing) -> None:
        """Expire every open order of a symbol and remove it."""
        instrument = listing.instrument
        engine = self.engines[instrument.market]
        if instrument.market == "usdm":
            self.usdm_market.settle_symbol(listing)
        for shelf in list(engine.shelves.values()):
            for order in shelf.open_orders(instrument.symbol):
                engine.expire(order)
        del engine.listings[instrument.symbol]
        self.driver.remove(listing)
        self.journal.append({"t": "delist", "k": instrument.key})

    def listings(self) -> list[Listing]:
        """Every listed symbol of every market."""
        return [listing for engine in self.engines.values() for listing in engine.listings.values()]

    def listing(self, symbol: str, market: str = "spot") -> Listing:
        """A listed symbol; ApiError -1121 for any other."""
        found = self.engines[market].listings.get(symbol)
        if found is None:
            raise invalid_symbol()
        return found

    # -- market time -----------------------------------------------------------------------

    def wall_tick(self, now_ms: int) -> None:
        """Do what is due on wall time; called several times a second."""
        self.usdm_market.wall_tick(now_ms)
        self.listen_keys.wall_tick(now_ms)

    def journal_clock(self) -> None:
        """Record where market time, prices and public ids stand."""
        self.journal.append({"t": "clock", "ms": self.driver.next_ms, "seed": self.seed, **self._marks()})

    def _marks(self) -> dict[str, Any]:
        return {
            "symbols": {
                listing.instrument.key: [
                    listing.tape.last_price,
                    listing.tape.trade_id,
                    listing.tape.agg_id,
                    listing.book.update_id,
                    listing.status.value,
                    listing.klines.minute,
                    self.driver.state_of(listing),
                ]
                for listing in self.listings()
            }
        }


def listing_record(instrument: Instrument, character: Character) -> dict[str, Any]:
    """The journal line of a new symbol."""
    return {"t": "list", "instrument": asdict(instrument), "character": asdict(character)}


def data_folder(text: str | None) -> Path | None:
    """The journal's directory as given on the command line."""
    return Path(text) if text else None
