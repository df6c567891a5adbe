"""Funding: at every due time longs pay shorts a fraction of their value at the mark price."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from testnet.accounts import MARKET
from testnet.engine import Engine
from testnet.journal import Journal
from testnet.persistence import Handler, Record
from testnet.usdm.account import FuturesAccounts
from testnet.usdm.clearing import UsdmClearing
from testnet.usdm.income import FUNDING_FEE
from testnet.usdm.positions import Position
from testnet.values import SCALE

# (account id, asset, change of the wallet, isolated position or None when it is cross)
Paid = Callable[[str, str, int, Position | None], None]


class FundingPayments:
    """Pays users by the rule; the background market takes the other side, to the last unit."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        accounts: FuturesAccounts,
        clearing: UsdmClearing,
        now_ms: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._accounts = accounts
        self._clearing = clearing
        self._now_ms = now_ms
        self.paid: Paid | None = None

    def due(self, symbol: str, rate: int, mark: int) -> None:
        """Pay everybody who holds the symbol; `rate` is a fraction and `mark` a price, in 1e-8 units."""
        self._journal.append({"t": "u.funding", "s": symbol, "r": rate, "m": mark, "at": self._now_ms()})
        for account_id, asset, units, position in self._apply(symbol, rate, mark):
            if self.paid is not None:
                self.paid(account_id, asset, units, position)

    def _apply(self, symbol: str, rate: int, mark: int) -> list[tuple[str, str, int, Position | None]]:
        asset = self._engine.listings[symbol].instrument.quote
        rows: list[tuple[str, str, int, Position | None]] = []
        total = 0
        for account in self._accounts.holders(symbol):
            if account.account_id == MARKET:
                continue
            for position in account.held(symbol=symbol):
                units = funding_payment(position, rate, mark)
                if not units:
                    continue
                isolated = symbol in account.isolated
                if isolated:
                    position.isolated += units
                self._clearing.record(account.account_id, FUNDING_FEE, asset, units, symbol, "FUNDING_FEE")
                total += units
                account.updated_ms = self._now_ms()
                rows.append((account.account_id, asset, units, position if isolated else None))
        self._accounts.of(MARKET).add(asset, -total)
        return rows

    def handlers(self) -> Mapping[str, Handler]:
        """The journal record of a funding time."""
        return {"u.funding": self._on_funding}

    def _on_funding(self, record: Record) -> None:
        self._apply(record["s"], record["r"], record["m"])


def funding_payment(position: Position, rate: int, mark: int) -> int:
    """What a position receives (negative: pays), in 1e-8 units: minus its value at the mark times the rate."""
    payment = abs(position.value(mark)) * abs(rate) // SCALE
    return -payment if (position.steps > 0) is (rate > 0) else payment
