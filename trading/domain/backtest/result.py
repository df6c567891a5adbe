"""What a run says: equity over time, every fill, refusal and funding payment, and what it was made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np

from trading.domain.backtest.inputs import Inputs
from trading.domain.backtest.ledger import T_EXIT_NS, FillKind, Ledger, round_trips
from trading.domain.backtest.rails import CODES
from trading.domain.backtest.scale import market_value, scale_of
from trading.domain.backtest.series import BarSeries, IntArray
from trading.domain.values import from_units, to_units


@dataclass(frozen=True, eq=False)
class BacktestResult:
    """The record of a run; money in quote units of 1e-8, times in market nanoseconds.

    Attributes
    ----------
    inputs : what the run was made of.  ledger : what happened.
    series : the bars of each lane, as far as the run got.
    complete : whether it reached the last bar; a partial result is one in its own right.
    """

    inputs: Inputs
    series: tuple[BarSeries, ...]
    ledger: Ledger
    complete: bool = True

    @cached_property
    def header(self) -> Mapping[str, Any]:
        """What the run was made of as plain data: strategies and parameters, settings, digests of bars and funding.

        Two runs with equal headers have equal bytes.
        """
        whole = self.inputs.header()
        return whole if self.complete else whole | {"partial": [len(series) for series in self.series]}

    @cached_property
    def cash(self) -> int:
        """At the start, quote units."""
        return to_units(self.inputs.settings.cash)

    @cached_property
    def times_ns(self) -> IntArray:
        """(T,), when equity is known: the first bar's open, then every close of any lane, ascending."""
        if len(self.series) == 1:
            return np.concatenate((self.series[0].open_ns[:1], self.series[0].close_ns))
        closes = np.unique(np.concatenate([s.close_ns for s in self.series]))
        start = min(int(s.open_ns[0]) for s in self.series)
        return np.concatenate(([start], closes)).astype(np.int64)

    @cached_property
    def equity(self) -> IntArray:
        """(T,), cash plus every holding at its last close."""
        return self._cash_series() + self.exposure

    @cached_property
    def exposure(self) -> IntArray:
        """(T,), signed value of all holdings at their last close."""
        return _sum([self.value_of(lane) for lane in range(len(self.series))])

    @cached_property
    def gross_exposure(self) -> IntArray:
        """(T,), sum of the absolute values of all holdings."""
        return _sum([np.abs(self.value_of(lane)) for lane in range(len(self.series))])

    def positions(self, lane: int = 0) -> IntArray:
        """(N,), signed steps of a lane at each of its own closes."""
        fills = self.ledger.fills[self.ledger.column("fills", "lane") == lane]
        changes = np.zeros(len(self.series[lane]), np.int64)
        np.add.at(changes, fills[:, 3], fills[:, 4])
        return np.cumsum(changes)

    def value_of(self, lane: int) -> IntArray:
        """(T,), value of one lane's holding, rounded down; zero before its first close."""
        series, scale = self.series[lane], scale_of(self.series[lane].instrument)
        held = self.positions(lane)
        if int(np.abs(held).max()) * int(series.close.max()) * scale.num >= 2**63:
            raise ValueError(f"{series.symbol}: the holding is worth more than 64 bits can count")
        value = held * series.close * scale.num
        if scale.den != 1:
            value //= scale.den
        if len(self.series) == 1:
            return np.concatenate(([0], value))
        at = np.searchsorted(series.close_ns, self.times_ns, side="right") - 1
        return np.where(at >= 0, value[np.maximum(at, 0)], 0).astype(np.int64)

    def _cash_series(self) -> IntArray:
        moves = np.zeros(len(self.times_ns), np.int64)
        for lane, series in enumerate(self.series):
            fills = self.ledger.fills[self.ledger.fills[:, 2] == lane]
            spent = np.where(fills[:, 4] > 0, fills[:, 6], -fills[:, 6]) + fills[:, 7]
            at = np.searchsorted(self.times_ns, series.close_ns[fills[:, 3]])
            np.subtract.at(moves, at, spent)
            paid = self.ledger.funding[self.ledger.funding[:, 1] == lane]
            at = np.searchsorted(self.times_ns, series.close_ns[paid[:, 2]])
            np.subtract.at(moves, at, paid[:, 5])
        return np.cumsum(moves) + self.cash

    @cached_property
    def trips(self) -> IntArray:
        """(trips, 12), closed round trips in the order of their exits; see `TRIP_COLUMNS`."""
        rows = [round_trips(self.ledger.fills, self.ledger.funding, lane) for lane in range(len(self.series))]
        every = np.concatenate(rows)
        return every[np.argsort(every[:, T_EXIT_NS], kind="stable")]

    @property
    def fees(self) -> int:
        """Commission paid, quote units."""
        return int(self.ledger.column("fills", "fee").sum())

    @property
    def slippage(self) -> int:
        """Paid beyond the touch, quote units."""
        return int(self.ledger.column("fills", "slippage").sum())

    @property
    def funding(self) -> int:
        """Funding paid less received, quote units."""
        return int(self.ledger.column("funding", "paid").sum())

    @property
    def traded(self) -> int:
        """Sum of what changed hands over all fills, quote units."""
        return int(self.ledger.column("fills", "quote").sum())

    @property
    def final_equity(self) -> Decimal:
        """Equity at the last close, quote currency; without making the whole curve."""
        fills, total = self.ledger.fills, self.cash - self.funding - self.fees
        total -= int((np.sign(fills[:, 4]) * fills[:, 6]).sum())
        for lane, series in enumerate(self.series):
            mine = fills if len(self.series) == 1 else fills[fills[:, 2] == lane]
            steps = int(mine[:, 4].sum())
            total += market_value(scale_of(series.instrument), steps, int(series.close[-1]))
        return from_units(total)

    @property
    def liquidations(self) -> int:
        """How often a position was liquidated."""
        return int((self.ledger.column("fills", "kind") == FillKind.LIQUIDATION).sum())

    @property
    def refusals_by_rail(self) -> dict[str, int]:
        """How many orders each rail stopped."""
        verdicts, counts = np.unique(self.ledger.column("refusals", "verdict"), return_counts=True)
        return {CODES[v - 1]: n for v, n in zip(verdicts.tolist(), counts.tolist(), strict=True)}

    @cached_property
    def equity_sha256(self) -> str:
        """SHA-256 over (time_ns, equity units) pairs as little-endian 64-bit integers."""
        pairs = np.stack((self.times_ns, self.equity), axis=1).astype("<i8")
        return hashlib.sha256(pairs.tobytes()).hexdigest()

    def canonical_bytes(self) -> bytes:
        """Return the whole record as bytes: the header as sorted JSON, then the tables.

        Equal for equal inputs, whichever engine ran them and however often it was interrupted.
        """
        head = json.dumps(self.header, sort_keys=True, separators=(",", ":"), allow_nan=False)
        tables: Sequence[IntArray] = (
            self.times_ns,
            self.equity,
            self.ledger.fills,
            self.ledger.refusals,
            self.ledger.funding,
        )
        parts = [head.encode()]
        for table in tables:
            parts.append(f"\n{','.join(map(str, table.shape))}\n".encode())
            parts.append(np.ascontiguousarray(table).astype("<i8").tobytes())
        return b"".join(parts)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of `canonical_bytes`."""
        return hashlib.sha256(self.canonical_bytes()).hexdigest()


def _sum(columns: Sequence[IntArray]) -> IntArray:
    total = columns[0]
    for column in columns[1:]:
        total = total + column
    return total
