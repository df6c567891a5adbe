"""What happened in a run, as rows of whole numbers: fills, refusals, funding, and round trips made of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from trading.domain.backtest.arithmetic import mul_div
from trading.domain.backtest.fold import fold_trade
from trading.domain.backtest.series import IntArray


class FillKind(IntEnum):
    """Why a fill happened."""

    MARKET = 0
    STOP = 1
    TAKE_PROFIT = 2
    MAKER = 3
    LIQUIDATION = 4


FILL_COLUMNS: Final = (
    "time_ns", "decided_ns", "lane", "bar", "steps", "ticks", "quote", "fee", "slippage", "kind",
)  # fmt: skip
"""A fill: market times, which symbol and bar of it, signed steps, ticks it was priced at, and quote units:
`quote` changed hands (slippage included), `fee`, and `slippage` against the ticks. Inside a bar the time is
the bar's close, the moment it is known."""

REFUSAL_COLUMNS: Final = ("time_ns", "lane", "bar", "verdict", "steps", "ticks")
"""An order that was stopped: the verdict is a number of `rails.CODES`, counted from 1."""

FUNDING_COLUMNS: Final = ("time_ns", "lane", "bar", "steps", "ticks", "paid")
"""A funding time held through: signed steps, mark price, quote units paid (negative: received)."""

TRIP_COLUMNS: Final = (
    "lane", "side", "entry_ns", "exit_ns", "entry_bar", "exit_bar", "steps", "entry_quote", "exit_quote",
    "fees", "funding", "net",
)  # fmt: skip
"""A round trip, flat to flat: `steps` is all that was opened, quotes are what opening and closing moved;
`net` = realized - fees - funding."""

T_EXIT_NS: Final = TRIP_COLUMNS.index("exit_ns")


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """The rows of a run in the order they happened; each (rows, columns) of int64."""

    fills: IntArray
    refusals: IntArray
    funding: IntArray

    def column(self, table: str, name: str) -> IntArray:
        """(rows,), one named column of `fills`, `refusals` or `funding`."""
        columns = {"fills": FILL_COLUMNS, "refusals": REFUSAL_COLUMNS, "funding": FUNDING_COLUMNS}[table]
        return np.asarray(getattr(self, table)[:, columns.index(name)], dtype=np.int64)


def round_trips(fills: IntArray, funding: IntArray, lane: int) -> IntArray:
    """(trips, 12), the closed round trips of one lane, in the order of their exits.

    A fill that flips the position ends one trip and begins the next; its quote and fee are split by
    quantity. Funding belongs to the trip that was open when it was paid.

    Parameters
    ----------
    fills : (F, 10).  funding : (K, 6).  Both in the order they happened.
    """
    trips: list[tuple[int, ...]] = []
    due = [row for row in funding.tolist() if row[1] == lane]
    paid = 0
    position, cost, realized = 0, 0, 0
    entry_ns, entry_bar, opened, entry_quote, exit_quote, fees, funded = 0, 0, 0, 0, 0, 0, 0
    for time_ns, _, number, bar, signed, _, quote, commission, _, _ in fills.tolist():
        if number != lane:
            continue
        # Funding that fell due before this fill; what is due at the fill's own moment was held through.
        while paid < len(due) and due[paid][0] <= time_ns:
            funded += due[paid][5]
            paid += 1
        size, before = abs(signed), position
        closing = min(abs(before), size) if before * signed < 0 else 0
        closing_quote = quote if closing == size else mul_div(quote, closing, size)
        closing_fee = commission if closing == size else mul_div(commission, closing, size)
        if before == 0:
            entry_ns, entry_bar, opened, entry_quote, exit_quote, fees = time_ns, bar, 0, 0, 0, 0
            funded = 0
        position, cost, realized = fold_trade(before, cost, realized, signed, quote)
        if closing:
            exit_quote += closing_quote
            fees += closing_fee
        if closing and closing == abs(before):
            side, net = (1 if before > 0 else -1), realized - fees - funded
            trips.append(
                (lane, side, entry_ns, time_ns, entry_bar, bar, opened, entry_quote, exit_quote, fees, funded, net)
            )  # fmt: skip
            entry_ns, entry_bar, opened, entry_quote, exit_quote, fees = time_ns, bar, 0, 0, 0, 0
            funded, realized = 0, 0
        if size > closing:
            opened += size - closing
            entry_quote += quote - closing_quote
            fees += commission - closing_fee
    return np.array(trips, dtype=np.int64).reshape(len(trips), len(TRIP_COLUMNS))
