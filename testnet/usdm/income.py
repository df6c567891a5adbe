"""What changed the wallets, one row a cause; a user's rows add up to the wallet."""

from __future__ import annotations

from collections import deque
from dataclasses import astuple, dataclass
from typing import Any

TRANSFER = "TRANSFER"
REALIZED_PNL = "REALIZED_PNL"
COMMISSION = "COMMISSION"
FUNDING_FEE = "FUNDING_FEE"
INSURANCE_CLEAR = "INSURANCE_CLEAR"
KINDS = (TRANSFER, REALIZED_PNL, FUNDING_FEE, COMMISSION, INSURANCE_CLEAR)
MAX_ROWS = 400_000  # per account; beyond it the oldest are forgotten


@dataclass(frozen=True, slots=True)
class Income:
    """One change of one wallet, in 1e-8 units; `seq` is also its transaction id."""

    seq: int
    account_id: str
    kind: str
    asset: str
    units: int
    symbol: str
    info: str
    trade_id: str
    time_ms: int


class IncomeBook:
    """Every row, by account, oldest first."""

    def __init__(self) -> None:
        self.rows: dict[str, deque[Income]] = {}

    def add(self, income: Income) -> None:
        """Append a row."""
        self.rows.setdefault(income.account_id, deque(maxlen=MAX_ROWS)).append(income)

    def of(self, account_id: str) -> list[Income]:
        """One account's rows."""
        return list(self.rows.get(account_id, ()))

    def state(self) -> list[list[Any]]:
        """Everything, as plain JSON."""
        return [list(astuple(row)) for rows in self.rows.values() for row in rows]

    def restore(self, state: list[list[Any]]) -> None:
        """Continue from `state()`."""
        for row in state:
            self.add(Income(*row))
