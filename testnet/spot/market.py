"""The spot market as a whole: its engine, its clearing and what it keeps."""

from __future__ import annotations

from testnet.accounts import Accounts
from testnet.engine import Engine, EngineSink
from testnet.spot.clearing import BalancesChanged, SpotClearing


class SpotMarket:
    """Builds the parts of the spot market and ties them together."""

    def __init__(self, accounts: Accounts, sink: EngineSink, balances_changed: BalancesChanged) -> None:
        self.engine = Engine("spot", sink)
        self.engine.clearing = SpotClearing(self.engine, accounts, balances_changed)
