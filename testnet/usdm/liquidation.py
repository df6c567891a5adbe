"""Liquidation: what happens when a margin balance no longer covers the maintenance margin.

The position is offered to the book at its bankruptcy price; what the book does not take goes to the
insurance fund at that price, or, when the fund cannot bear it, to opposing positions (auto-deleveraging).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from testnet.accounts import INSURANCE, MARKET, VENUE_ACCOUNTS, Accounts
from testnet.engine import Engine
from testnet.journal import Journal
from testnet.listing import Listing, SymbolStatus
from testnet.persistence import Handler, Record
from testnet.roles import EngineSink
from testnet.usdm.account import FuturesAccount, FuturesAccounts
from testnet.usdm.clearing import UsdmClearing
from testnet.usdm.income import INSURANCE_CLEAR
from testnet.usdm.margin import Margin, Marks, terms
from testnet.usdm.off_book import OffBook, venue_order
from testnet.usdm.positions import Position
from testnet.values import SCALE

# A MARGIN_CALL goes out when the maintenance margin reaches this much of the margin balance.
CALL_PERCENT = 80
# The insurance fund closes what it took over where the book is at most this far from the mark.
UNWIND_PER_MILLE = 1
ADL_GRADES = 5


class LiquidationHost(EngineSink, Protocol):
    """What liquidation needs of the exchange."""

    journal: Journal
    accounts: Accounts


class LiquidationListener(Protocol):
    """Hears of margin calls."""

    def margin_call(self, account_id: str, positions: list[Position]) -> None: ...


class Liquidation:
    """Looks at every account with a position in a symbol whose mark price moved."""

    def __init__(
        self,
        engine: Engine,
        host: LiquidationHost,
        accounts: FuturesAccounts,
        clearing: UsdmClearing,
        marks: Marks,
        margin: Margin,
        off_book: OffBook,
        cancel_all: Callable[[str, str], None],
    ) -> None:
        self._engine = engine
        self._host = host
        self._accounts = accounts
        self._clearing = clearing
        self._marks = marks
        self._margin = margin
        self._off_book = off_book
        self._cancel_all = cancel_all
        self._called: set[tuple[str, str]] = set()
        self.listener: LiquidationListener | None = None

    def check(self, symbol: str) -> None:
        """Liquidate what a symbol's mark price has left without margin, and warn of what is close to it."""
        listing = self._engine.listings.get(symbol)
        if listing is None or listing.status is not SymbolStatus.TRADING:
            return
        for account in self._accounts.holders(symbol):
            if account.account_id not in VENUE_ACCOUNTS:
                if symbol in account.isolated:
                    self._check_isolated(account, symbol)
                else:
                    self._check_cross(account, listing.instrument.quote)
        self._unwind(listing)

    def _check_isolated(self, account: FuturesAccount, symbol: str) -> None:
        mark = self._marks.of(symbol)
        for position in list(account.held(symbol=symbol)):
            balance = position.isolated + position.profit(mark)
            maintenance = terms(position.instrument).maintenance(abs(position.value(mark)))
            if balance <= maintenance:
                self._liquidate(account, position)
            else:
                self._warn(account, f"{symbol}:{position.side}", balance, maintenance, [position])

    def _check_cross(self, account: FuturesAccount, asset: str) -> None:
        while True:
            margin = self._margin.asset(account, asset)
            cross = [p for p in account.held(asset) if p.symbol not in account.isolated and self._open(p)]
            if not cross or not margin.cross_maintenance:
                break
            if margin.cross_balance > margin.cross_maintenance:
                self._warn(account, asset, margin.cross_balance, margin.cross_maintenance, cross)
                break
            # The one that ties up most goes first; the account may be healthy without it.
            self._liquidate(account, max(cross, key=self._maintenance))

    def _open(self, position: Position) -> bool:
        listing = self._engine.listings.get(position.symbol)
        return listing is not None and listing.status is SymbolStatus.TRADING

    def _maintenance(self, position: Position) -> int:
        value = abs(position.value(self._marks.of(position.symbol)))
        return terms(position.instrument).maintenance(value)

    def _warn(
        self, account: FuturesAccount, what: str, balance: int, maintenance: int, positions: list[Position]
    ) -> None:
        key = (account.account_id, what)
        if maintenance * 100 < balance * CALL_PERCENT:
            self._called.discard(key)
        elif key not in self._called:
            self._called.add(key)
            if self.listener is not None:
                self.listener.margin_call(account.account_id, positions)

    # -- one position ----------------------------------------------------------------------

    def _liquidate(self, account: FuturesAccount, position: Position) -> None:
        account_id, symbol, side = account.account_id, position.symbol, position.side
        self._cancel_all(account_id, symbol)
        isolated = symbol in account.isolated
        backing = position.isolated
        wallet = account.wallet(position.instrument.quote)
        bankruptcy = self._margin.bankruptcy_ticks(account, position)
        before = abs(position.steps)
        request = venue_order(position, "autoclose-", self._engine.order_id + 1, bankruptcy, before)
        self._engine.submit(self._host.accounts.by_id[account_id], request)
        if position.steps:
            self._take_over(account, position, bankruptcy)
        closed = abs(before - abs(position.steps)) * position.instrument.step
        notional = closed * self._marks.of(symbol) // SCALE
        # Of what backed the position only this is left.
        left = account.wallet(position.instrument.quote) - wallet
        if isolated:
            left += backing
        else:
            margin = self._margin.asset(account, position.instrument.quote)
            left = margin.cross_balance - margin.cross_maintenance
        fee = min(max(0, left), notional * terms(position.instrument).liquidation_fee // SCALE)
        self._clear(account_id, position.instrument.quote, symbol, fee, "LIQUIDATION_FEE")
        if isolated and left < 0:
            # An isolated loss never reaches the rest of the wallet.
            self._clear(account_id, position.instrument.quote, symbol, left, "INSURANCE_CLEAR")
        self._cover(account, position.instrument.quote)
        self._called.discard((account_id, f"{symbol}:{side}"))

    def _take_over(self, account: FuturesAccount, position: Position, bankruptcy: int) -> None:
        instrument = position.instrument
        worse = (bankruptcy * instrument.tick - self._marks.of(position.symbol)) * position.steps
        loss = max(0, worse) * instrument.step // SCALE
        fund = self._margin.asset(self._accounts.of(INSURANCE), instrument.quote)
        if loss <= fund.balance:
            self._off_book.exchange(
                account.account_id,
                position,
                INSURANCE,
                "BOTH",
                "autoclose-insurance-",
                bankruptcy,
                abs(position.steps),
            )
            return
        for other, opposing in self.adl_queue(position.symbol, short=position.steps > 0):
            if not position.steps:
                return
            if other.account_id == account.account_id:
                continue
            self._cancel_all(other.account_id, position.symbol)
            steps = min(abs(position.steps), abs(opposing.steps))
            self._off_book.exchange(
                account.account_id,
                position,
                other.account_id,
                opposing.side,
                "adl_autoclose-",
                bankruptcy,
                steps,
            )
        if position.steps:
            self._off_book.exchange(
                account.account_id,
                position,
                MARKET,
                "BOTH",
                "autoclose-",
                bankruptcy,
                abs(position.steps),
            )

    def _cover(self, account: FuturesAccount, asset: str) -> None:
        """A cross wallet with nothing left to close and less than nothing in it is set to zero."""
        if any(p.symbol not in account.isolated for p in account.held(asset)):
            return
        deficit = account.cross_wallet(asset)
        if deficit < 0:
            self._clear(account.account_id, asset, "", deficit, "INSURANCE_CLEAR")

    def _clear(self, account_id: str, asset: str, symbol: str, units: int, info: str) -> None:
        """Move money from an account to the insurance fund, or the other way when negative."""
        if units < 0:
            units = -min(-units, max(0, self._accounts.of(INSURANCE).wallet(asset)))
        if not units:
            return
        self._host.journal.append(
            {
                "t": "u.clear",
                "a": account_id,
                "asset": asset,
                "s": symbol,
                "u": units,
                "info": info,
                "at": self._host.now_ms(),
            }
        )
        self._apply_clear(account_id, asset, symbol, units, info)
        self._clearing.touch(account_id, asset, -units)
        self._clearing.announce_account(account_id, INSURANCE_CLEAR)

    def _apply_clear(self, account_id: str, asset: str, symbol: str, units: int, info: str) -> None:
        self._clearing.record(account_id, INSURANCE_CLEAR, asset, -units, symbol, info)
        self._clearing.record(INSURANCE, INSURANCE_CLEAR, asset, units, symbol, info)

    # -- auto-deleveraging -----------------------------------------------------------------

    def adl_queue(self, symbol: str, *, short: bool) -> list[tuple[FuturesAccount, Position]]:
        """Users' short (or long) positions, those with most profit times leverage first."""
        mark = self._marks.of(symbol)
        rows = [
            (account, position)
            for account in self._accounts.holders(symbol)
            if account.account_id not in VENUE_ACCOUNTS
            for position in account.held(symbol=symbol)
            if (position.steps < 0) is short
        ]
        return sorted(rows, key=lambda row: -self._adl_score(row[0], row[1], mark))

    def adl_grade(self, account: FuturesAccount, position: Position) -> int:
        """Where a position stands in that queue: 0 (last fifth) to 4 (first fifth)."""
        queue = self.adl_queue(position.symbol, short=position.steps < 0)
        place = next(i for i, (owner, p) in enumerate(queue) if owner is account and p is position)
        return ADL_GRADES - 1 - place * ADL_GRADES // len(queue)

    def _adl_score(self, account: FuturesAccount, position: Position, mark: int) -> int:
        profit = position.profit(mark) * SCALE // max(1, abs(position.cost))
        if profit <= 0:
            return profit
        backing = position.isolated or max(1, account.cross_wallet(position.instrument.quote))
        return profit * abs(position.value(mark)) // max(1, backing)

    # -- the fund's own positions ----------------------------------------------------------

    def _unwind(self, listing: Listing) -> None:
        symbol = listing.instrument.symbol
        position = self._accounts.of(INSURANCE).position(listing.instrument)
        if not position.steps:
            return
        side = "SELL" if position.steps > 0 else "BUY"
        mark, slack = self._marks.of(symbol), UNWIND_PER_MILLE
        limit = mark * (1000 - slack if side == "SELL" else 1000 + slack) // 1000 // listing.instrument.tick
        best = listing.book.contra(side).best()
        if best is None or (best < limit if side == "SELL" else best > limit):
            return
        request = venue_order(position, "insurance-", self._engine.order_id + 1, limit, abs(position.steps))
        self._engine.submit(self._host.accounts.by_id[INSURANCE], request)

    # -- what survives a restart -----------------------------------------------------------

    def handlers(self) -> Mapping[str, Handler]:
        """Its journal record; everything else it does is orders and trades."""
        return {"u.clear": self._on_clear}

    def _on_clear(self, record: Record) -> None:
        self._apply_clear(record["a"], record["asset"], record["s"], record["u"], record["info"])
