"""What a replay says: fills, equity by the middle, and how the market moved after each fill."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Final

import numpy as np

from trading.domain.backtest.ledger import FILL_COLUMNS, REFUSAL_COLUMNS
from trading.domain.backtest.queueing import FillModel
from trading.domain.backtest.rails import CODES
from trading.domain.backtest.scale import scale_of
from trading.domain.backtest.series import FloatArray, IntArray
from trading.domain.backtest.tape import Tape
from trading.domain.clock import NS_PER_S
from trading.domain.values import from_units

HORIZONS_S: Final = (1, 10, 60)


@dataclass(frozen=True, eq=False)
class ReplayResult:
    """The record of a replay; money in quote units, times in venue nanoseconds.

    Attributes
    ----------
    fills, refusals : rows as in `ledger.py`; `bar` counts the fills.
    """

    tape: Tape
    model: FillModel
    cash: int
    inventory: int
    fills: IntArray
    refusals: IntArray

    @cached_property
    def equity(self) -> IntArray:
        """(Q,), cash plus holding at the middle of each top, rounded down."""
        scale = scale_of(self.tape.instrument)
        spent = np.where(self.fills[:, 4] > 0, self.fills[:, 6], -self.fills[:, 6]) + self.fills[:, 7]
        cash = self._at_tops(-spent) + self.cash
        doubled = (self.tape.bid + self.tape.ask) * self.position
        return np.asarray(cash + doubled * scale.num // (2 * scale.den), dtype=np.int64)

    @cached_property
    def position(self) -> IntArray:
        """(Q,), signed steps held at each top."""
        return self._at_tops(self.fills[:, 4]) + self.inventory

    def _at_tops(self, changes: IntArray) -> IntArray:
        total = np.concatenate(([0], np.cumsum(changes)))
        return np.asarray(total[np.searchsorted(self.fills[:, 0], self.tape.top_ns, side="right")], np.int64)

    @property
    def profit(self) -> Decimal:
        """Equity at the end less equity at the first top, quote currency."""
        scale = scale_of(self.tape.instrument)
        middle = int(self.tape.bid[0] + self.tape.ask[0])
        start = self.cash + middle * self.inventory * scale.num // (2 * scale.den)
        return from_units(int(self.equity[-1]) - start)

    @property
    def fees(self) -> Decimal:
        """Commission paid, quote currency."""
        return from_units(int(self.fills[:, 7].sum()))

    @property
    def volume(self) -> Decimal:
        """Notional of all fills, quote currency."""
        return from_units(int(self.fills[:, 6].sum()))

    @property
    def refusals_by_rail(self) -> dict[str, int]:
        """How many quotes each rail or filter stopped; a quote that would have taken counts as filtered."""
        verdicts, counts = np.unique(self.refusals[:, 3], return_counts=True)
        return {CODES[v - 1]: n for v, n in zip(verdicts.tolist(), counts.tolist(), strict=True)}

    def markouts_bps(self, horizon_s: int) -> FloatArray:
        """(F,), move of the middle in our favour from each fill's price to `horizon_s` later, in bps.

        Negative is adverse selection. NaN where the tape ends before the horizon.
        """
        times = self.fills[:, 0] + horizon_s * NS_PER_S
        at = np.searchsorted(self.tape.top_ns, times, side="right") - 1
        middle = (self.tape.bid[at] + self.tape.ask[at]) / 2
        moved = np.sign(self.fills[:, 4]) * (middle / self.fills[:, 5] - 1.0) * 1e4
        return np.asarray(np.where(times <= self.tape.top_ns[-1], moved, np.nan), dtype=np.float64)

    def mean_markout_bps(self, horizon_s: int) -> float | None:
        """Return the mean of `markouts_bps`, None where no fill has such a horizon."""
        known = self.markouts_bps(horizon_s)
        known = known[np.isfinite(known)]
        return float(known.mean()) if len(known) else None

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over tape, model, start and every row."""
        sha = hashlib.sha256(f"{self.tape.digest} {self.model} {self.cash} {self.inventory}".encode())
        for table in (self.fills, self.refusals, self.equity):
            sha.update(np.ascontiguousarray(table).astype("<i8").tobytes())
        return sha.hexdigest()


def replay_result(
    tape: Tape,
    *,
    cash: int,
    inventory: int,
    fills: Sequence[tuple[int, ...]],
    refusals: Sequence[tuple[int, ...]],
    model: FillModel,
) -> ReplayResult:
    """Return the record of rows in the order they happened."""
    return ReplayResult(
        tape,
        model,
        cash,
        inventory,
        np.array(fills, dtype=np.int64).reshape(len(fills), len(FILL_COLUMNS)),
        np.array(refusals, dtype=np.int64).reshape(len(refusals), len(REFUSAL_COLUMNS)),
    )
