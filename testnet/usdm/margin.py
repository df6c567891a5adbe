"""Margin: what positions and open orders tie up, and where a position is liquidated.

All money is in 1e-8 units. Rules: initial margin is the worst side's notional over the leverage,
maintenance margin the bracket's; see the venue's leverage and margin pages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from testnet.engine import Engine
from testnet.instruments import Instrument
from testnet.listing import Listing
from testnet.usdm.account import FuturesAccount
from testnet.usdm.contracts import Perpetual
from testnet.usdm.positions import BOTH, LONG, SHORT, Position
from testnet.values import SCALE


class Marks:
    """The mark price of every symbol in 1e-8 units."""

    def __init__(self, engine: Engine, mark_of: Callable[[Listing], int]) -> None:
        self._engine = engine
        self._mark_of = mark_of

    def of(self, symbol: str) -> int:
        """The mark price of a listed symbol."""
        return self._mark_of(self._engine.listings[symbol])


@dataclass(frozen=True, slots=True)
class SymbolMargin:
    """What one symbol ties up."""

    initial: int
    position_initial: int
    maintenance: int
    profit: int

    @property
    def order_initial(self) -> int:
        """The part of the initial margin that open orders cause."""
        return self.initial - self.position_initial


@dataclass(frozen=True, slots=True)
class SideMargin:
    """What one position side ties up; `bids` and `asks` are the notionals of its opening orders."""

    initial: int
    position_initial: int
    maintenance: int
    bids: int
    asks: int

    @property
    def order_initial(self) -> int:
        return self.initial - self.position_initial


@dataclass(frozen=True, slots=True)
class AssetMargin:
    """One margin asset of one account."""

    wallet: int
    cross_wallet: int
    profit: int
    cross_profit: int
    initial: int
    position_initial: int
    maintenance: int
    cross_maintenance: int
    available: int
    withdrawable: int
    free: int  # available before it is cut at zero

    @property
    def order_initial(self) -> int:
        return self.initial - self.position_initial

    @property
    def balance(self) -> int:
        """Margin balance: wallet and unrealised profit."""
        return self.wallet + self.profit

    @property
    def cross_balance(self) -> int:
        return self.cross_wallet + self.cross_profit


class Margin:
    """Computes margins from accounts, open orders and mark prices; keeps nothing of its own."""

    def __init__(self, engine: Engine, marks: Marks) -> None:
        self._engine = engine
        self._marks = marks

    def notionals(self, account: FuturesAccount, symbol: str) -> tuple[int, int]:
        """Notional at the worst: of the buying side and of the selling side, orders included."""
        mark = self._marks.of(symbol)
        if account.hedge:
            long, short = account.positions.get((symbol, LONG)), account.positions.get((symbol, SHORT))
            return (
                (long.value(mark) if long else 0) + account.asked_notional(symbol, LONG, "BUY"),
                -(short.value(mark) if short else 0) + account.asked_notional(symbol, SHORT, "SELL"),
            )
        position = account.positions.get((symbol, BOTH))
        value = position.value(mark) if position else 0
        return (
            abs(value + account.asked_notional(symbol, BOTH, "BUY")),
            abs(value - account.asked_notional(symbol, BOTH, "SELL")),
        )

    def symbol(self, account: FuturesAccount, instrument: Instrument) -> SymbolMargin:
        """What a symbol ties up now."""
        name = instrument.symbol
        mark, leverage = self._marks.of(name), account.leverage(name)
        perpetual = terms(instrument)
        buying, selling = self.notionals(account, name)
        worst = buying + selling if account.hedge else max(buying, selling)
        held = list(account.held(symbol=name))
        values = [abs(position.value(mark)) for position in held]
        position_initial = sum(_ceil(value, leverage) for value in values)
        return SymbolMargin(
            initial=max(_ceil(worst, leverage), position_initial),
            position_initial=position_initial,
            maintenance=sum(perpetual.maintenance(value) for value in values),
            profit=sum(position.profit(mark) for position in held),
        )

    def side(self, account: FuturesAccount, instrument: Instrument, side: str) -> SideMargin:
        """What one position side of a symbol ties up now."""
        symbol, leverage = instrument.symbol, account.leverage(instrument.symbol)
        bids, asks = (account.asked_notional(symbol, side, way) for way in ("BUY", "SELL"))
        position = account.positions.get((symbol, side))
        value = position.value(self._marks.of(symbol)) if position is not None else 0
        position_initial = _ceil(abs(value), leverage)
        worst = max(abs(value + bids), abs(value - asks))
        return SideMargin(
            initial=max(_ceil(worst, leverage), position_initial),
            position_initial=position_initial,
            maintenance=terms(instrument).maintenance(abs(value)) if value else 0,
            bids=bids,
            asks=asks,
        )

    def asset(self, account: FuturesAccount, asset: str) -> AssetMargin:
        """What a margin asset has and what is tied up in it."""
        symbols = {position.symbol: position.instrument for position in account.held(asset)}
        for symbol in account.asked_symbols():
            listing = self._engine.listings.get(symbol)
            if listing is not None and listing.instrument.quote == asset:
                symbols[symbol] = listing.instrument
        initial = position_initial = maintenance = cross_maintenance = profit = cross_profit = tied = 0
        for symbol, instrument in symbols.items():
            margin = self.symbol(account, instrument)
            initial += margin.initial
            position_initial += margin.position_initial
            maintenance += margin.maintenance
            profit += margin.profit
            if symbol in account.isolated:
                tied += margin.order_initial
            else:
                tied += margin.initial
                cross_maintenance += margin.maintenance
                cross_profit += margin.profit
        cross_wallet = account.cross_wallet(asset)
        free = cross_wallet + cross_profit - tied
        return AssetMargin(
            wallet=account.wallet(asset),
            cross_wallet=cross_wallet,
            profit=profit,
            cross_profit=cross_profit,
            initial=initial,
            position_initial=position_initial,
            maintenance=maintenance,
            cross_maintenance=cross_maintenance,
            available=max(0, free),
            # An unrealised profit carries positions but cannot leave the account.
            withdrawable=max(0, min(free, cross_wallet - tied)),
            free=free,
        )

    def liquidation_price(self, account: FuturesAccount, position: Position) -> int:
        """Mark price at which a position is liquidated, all else unchanged; 0 when there is none."""
        wallet = self._backing(account, position)
        others = 0
        if position.symbol not in account.isolated:
            others = sum(
                terms(other.instrument).maintenance(abs(other.value(self._marks.of(other.symbol))))
                for other in account.held(position.instrument.quote)
                if other is not position and other.symbol not in account.isolated
            )
        return liquidation_price(
            terms(position.instrument),
            wallet - others,
            position.steps * position.instrument.step,
            position.cost,
        )

    def bankruptcy_ticks(self, account: FuturesAccount, position: Position) -> int:
        """The price, in ticks, at which closing a position uses up all that backs it; at least one."""
        instrument = position.instrument
        left = position.cost - self._backing(account, position)
        per_tick = position.steps * instrument.quote_per
        # Rounded towards the owner: a sale not below it, a purchase not above it.
        return max(1, -(-left // per_tick) if position.steps > 0 else left // per_tick)

    def _backing(self, account: FuturesAccount, position: Position) -> int:
        """Money behind a position: its isolated wallet, or the cross wallet with the others' profits."""
        if position.symbol in account.isolated:
            return position.isolated
        asset = position.instrument.quote
        return account.cross_wallet(asset) + sum(
            other.profit(self._marks.of(other.symbol))
            for other in account.held(asset)
            if other is not position and other.symbol not in account.isolated
        )


def terms(instrument: Instrument) -> Perpetual:
    """The perpetual's terms; every instrument of this market has them."""
    if instrument.perpetual is None:
        raise RuntimeError(f"{instrument.symbol} is not a perpetual")
    return instrument.perpetual


def liquidation_price(perpetual: Perpetual, wallet: int, quantity: int, cost: int) -> int:
    """Price in 1e-8 units where wallet and profit fall to the maintenance margin; 0 when none does.

    `quantity` is signed, in 1e-8 units of base; `cost` is signed, quantity times entry price. Solves
    wallet + quantity * price - cost = |quantity| * price * ratio - cum in the bracket it falls into.
    """
    if not quantity:
        return 0
    for bracket in perpetual.brackets:
        denominator = abs(quantity) * bracket.ratio - quantity * SCALE
        price = (wallet + bracket.cum - cost) * SCALE * SCALE // denominator
        notional = abs(quantity) * price // SCALE
        if notional < bracket.cap or bracket is perpetual.brackets[-1]:
            return max(0, price)
    return 0


def _ceil(value: int, divisor: int) -> int:
    return -(-value // divisor)


def opening_margin(quote: int, leverage: int) -> int:
    """Margin set aside for an isolated position of this notional."""
    return _ceil(quote, leverage)
