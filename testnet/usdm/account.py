"""USD-M accounts: wallets, positions, settings and what open orders ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from testnet.instruments import Instrument
from testnet.usdm.positions import BOTH, Position
from testnet.values import SCALE

DEFAULT_LEVERAGE = 20
DEFAULT_MAKER_RATE = SCALE // 5_000  # 0.02 %
DEFAULT_TAKER_RATE = SCALE // 2_000  # 0.05 %


@dataclass(slots=True)
class FuturesAccount:
    """One owner; wallets and notionals in 1e-8 units, rates as fractions in 1e-8 units."""

    account_id: str
    maker_rate: int = DEFAULT_MAKER_RATE
    taker_rate: int = DEFAULT_TAKER_RATE
    hedge: bool = False
    wallets: dict[str, int] = field(default_factory=dict)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    leverages: dict[str, int] = field(default_factory=dict)
    isolated: set[str] = field(default_factory=set)
    # Notional of open orders that may enlarge a position, by symbol, position side and order side.
    asked: dict[tuple[str, str, str], int] = field(default_factory=dict)
    updated_ms: int = 0

    def wallet(self, asset: str) -> int:
        """The wallet balance of an asset, isolated margin included."""
        return self.wallets.get(asset, 0)

    def add(self, asset: str, units: int) -> None:
        """Change a wallet; losses may take it below zero until the insurance fund clears it."""
        self.wallets[asset] = self.wallets.get(asset, 0) + units

    def leverage(self, symbol: str) -> int:
        """The leverage chosen for a symbol."""
        return self.leverages.get(symbol, DEFAULT_LEVERAGE)

    def position(self, instrument: Instrument, side: str = BOTH) -> Position:
        """A position, created flat."""
        found = self.positions.get((instrument.symbol, side))
        if found is None:
            found = self.positions[instrument.symbol, side] = Position(instrument, side)
        return found

    def held(self, asset: str | None = None, symbol: str | None = None) -> Iterator[Position]:
        """Positions that are not flat."""
        for position in self.positions.values():
            if (
                position.steps
                and (asset is None or position.instrument.quote == asset)
                and (symbol is None or position.symbol == symbol)
            ):
                yield position

    def steps(self, symbol: str, side: str) -> int:
        """Signed steps held, 0 when there is no such position."""
        found = self.positions.get((symbol, side))
        return found.steps if found is not None else 0

    def isolated_wallet(self, asset: str) -> int:
        """The part of a wallet set aside for isolated positions."""
        return sum(position.isolated for position in self.held(asset))

    def cross_wallet(self, asset: str) -> int:
        """The part of a wallet not set aside for isolated positions."""
        return self.wallet(asset) - self.isolated_wallet(asset)

    def ask(self, symbol: str, position_side: str, side: str, units: int) -> None:
        """Change the notional that open orders ask for."""
        key = (symbol, position_side, side)
        total = self.asked.get(key, 0) + units
        if total:
            self.asked[key] = total
        else:
            self.asked.pop(key, None)

    def asked_notional(self, symbol: str, position_side: str, side: str) -> int:
        """Notional of open orders that may enlarge a position."""
        return self.asked.get((symbol, position_side, side), 0)

    def asked_symbols(self) -> set[str]:
        """Symbols with such orders."""
        return {symbol for symbol, _, _ in self.asked}


class FuturesAccounts:
    """Every USD-M account, created when first asked for."""

    def __init__(self) -> None:
        self.by_id: dict[str, FuturesAccount] = {}
        # Accounts that ever traded a symbol: few, where accounts may be many.
        self._traders: dict[str, set[str]] = {}

    def of(self, account_id: str) -> FuturesAccount:
        """One account."""
        found = self.by_id.get(account_id)
        if found is None:
            found = self.by_id[account_id] = FuturesAccount(account_id)
        return found

    def note_trader(self, symbol: str, account_id: str) -> None:
        """Remember that an account trades a symbol, so that `holders` finds it."""
        self._traders.setdefault(symbol, set()).add(account_id)

    def holders(self, symbol: str) -> list[FuturesAccount]:
        """Accounts with a position in a symbol, in the order of their ids."""
        traders = (self.by_id[account_id] for account_id in sorted(self._traders.get(symbol, ())))
        return [account for account in traders if any(account.held(symbol=symbol))]
