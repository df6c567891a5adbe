"""A USD-M market in memory: no sockets, no feed; every price on the book is put there by the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from testnet.accounts import Account, Permissions
from testnet.clock import MarketClock
from testnet.exchange import Exchange
from testnet.journal import Journal
from testnet.listing import Listing
from testnet.orders import Fill, NewOrder, Order, PositionTerms
from testnet.usdm.account import FuturesAccount
from testnet.usdm.catalog import catalog_perpetual
from testnet.usdm.margin import AssetMargin
from testnet.usdm.positions import Position
from testnet.values import parse_units

START_MS = 1_750_000_020_000


@dataclass
class Desk:
    """An exchange with perpetuals, and the short words tests use to trade there."""

    exchange: Exchange
    ids: int = 0
    names: list[str] = field(default_factory=list)

    def list(self, symbol: str = "BTCUSDT") -> Listing:
        listing = Listing(*catalog_perpetual(symbol))
        listing.tape.last_price = listing.instrument.ticks(listing.character.price)
        self.exchange.add_listing(listing)
        self.exchange.driver.next_ms = self.exchange.clock.now_ms
        listing.klines.start_minute(START_MS // 60_000 * 60_000, listing.tape.last_price)
        return listing

    def listing(self, symbol: str = "BTCUSDT") -> Listing:
        return self.exchange.usdm.listings[symbol]

    def account(self, usdt: str = "10000", *, hedge: bool = False) -> Account:
        account = self.exchange.create_account(f"user-{len(self.exchange.accounts.by_id)}")
        self.exchange.create_key(account, Permissions())
        if parse_units(usdt):
            self.exchange.usdm_market.transfer(account, "USDT", parse_units(usdt))
        self.futures(account).hedge = hedge
        return account

    def futures(self, account: Account) -> FuturesAccount:
        return self.exchange.usdm_market.accounts.of(account.account_id)

    def position(self, account: Account, symbol: str = "BTCUSDT", side: str = "BOTH") -> Position:
        return self.futures(account).position(self.listing(symbol).instrument, side)

    def margin(self, account: Account) -> AssetMargin:
        return self.exchange.usdm_market.margin.asset(self.futures(account), "USDT")

    def mark(self, price: str, symbol: str = "BTCUSDT") -> None:
        units = parse_units(price)
        self.exchange.marks.sheet(f"usdm:{symbol}").mark = units
        self.exchange.usdm_market.marked(self.listing(symbol), units, units, self.exchange.now_ms())

    def liquidity(self, side: str, price: str, quantity: str, symbol: str = "BTCUSDT") -> None:
        """Background liquidity on one side of the book."""
        listing = self.listing(symbol)
        instrument = listing.instrument
        listing.book.side(side).add(
            parse_units(price) // instrument.tick, parse_units(quantity) // instrument.step
        )

    def clear_book(self, symbol: str = "BTCUSDT") -> None:
        """Take all background liquidity away."""
        book = self.listing(symbol).book
        for side in (book.bids, book.asks):
            for price in list(side.prices()):
                side.cut_background(price)

    def request(
        self,
        side: str,
        quantity: str,
        price: str | None = None,
        *,
        symbol: str = "BTCUSDT",
        tif: str = "GTC",
        reduce_only: bool = False,
        position_side: str = "BOTH",
        client_id: str | None = None,
    ) -> NewOrder:
        self.ids += 1
        return NewOrder(
            symbol=symbol,
            side=side,
            type="MARKET" if price is None else "LIMIT",
            time_in_force=tif,
            price=parse_units(price) if price is not None else 0,
            quantity=parse_units(quantity),
            quote_quantity=0,
            client_order_id=client_id or f"t-{self.ids}",
            response_type="RESULT",
            position=PositionTerms(position_side=position_side, reduce_only=reduce_only),
        )

    def order(
        self,
        account: Account,
        side: str,
        quantity: str,
        price: str | None = None,
        *,
        symbol: str = "BTCUSDT",
        tif: str = "GTC",
        reduce_only: bool = False,
        position_side: str = "BOTH",
    ) -> Order:
        request = self.request(
            side,
            quantity,
            price,
            symbol=symbol,
            tif=tif,
            reduce_only=reduce_only,
            position_side=position_side,
        )
        order, _ = self.exchange.usdm_market.place(account, request)
        return order

    def fills(self, account: Account) -> list[Fill]:
        return self.exchange.usdm.shelf(account.account_id).fills

    def wallet(self, account: Account) -> int:
        return self.futures(account).wallet("USDT")

    def check_books(self) -> None:
        """Money is neither made nor lost, and every position has its mirror."""
        market = self.exchange.usdm_market
        transferred: dict[str, int] = {}
        for transfer in market.transfers:
            transferred[transfer.asset] = transferred.get(transfer.asset, 0) + transfer.amount
        equity: dict[str, int] = {}
        for account in market.accounts.by_id.values():
            for asset, held_units in account.wallets.items():
                equity[asset] = equity.get(asset, 0) + held_units
            for position in account.held():
                equity[position.instrument.quote] -= position.cost
        assert equity == transferred
        for symbol in self.exchange.usdm.listings:
            held = [p.steps for a in market.accounts.by_id.values() for p in a.held(symbol=symbol)]
            assert sum(held) == 0


def units(text: str) -> int:
    """A decimal, negative or not, in 1e-8 units."""
    return -parse_units(text[1:]) if text.startswith("-") else parse_units(text)


def new_desk(folder: Path | None = None, *symbols: str) -> Desk:
    journal = Journal(folder)
    journal.lock()
    journal.open()
    desk = Desk(Exchange(MarketClock(START_MS, speed=0.0), journal, seed=3))
    for symbol in symbols or ("BTCUSDT",):
        desk.list(symbol)
    return desk


@pytest.fixture
def desk() -> Desk:
    """BTCUSDT with an empty book and a mark price of 50,000."""
    made = new_desk()
    made.mark("50000")
    return made
