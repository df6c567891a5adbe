"""Recorded trades and tops of the book of one instrument, in the order they happened."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trading.domain.backtest.series import IntArray
from trading.domain.values import Instrument

TRADE, TOP = 0, 1


@dataclass(frozen=True, eq=False)
class Tape:
    """Columns of ticks, steps and venue nanoseconds; each group ascending in time.

    Attributes
    ----------
    top_ns, bid, bid_steps, ask, ask_steps : (Q,), best prices and displayed sizes.
    trade_ns, price, steps : (T,).  sold : (T,), 1 where the taker sold (the buyer was the maker).
    """

    instrument: Instrument
    top_ns: IntArray
    bid: IntArray
    bid_steps: IntArray
    ask: IntArray
    ask_steps: IntArray
    trade_ns: IntArray
    price: IntArray
    steps: IntArray
    sold: IntArray

    def __post_init__(self) -> None:
        tops = {len(c) for c in (self.top_ns, self.bid, self.bid_steps, self.ask, self.ask_steps)}
        trades = {len(c) for c in (self.trade_ns, self.price, self.steps, self.sold)}
        if len(tops) != 1 or len(trades) != 1:
            raise ValueError("expected columns of one length")
        if not len(self.top_ns):
            raise ValueError("a tape without tops of the book cannot be replayed")
        if (np.diff(self.top_ns) < 0).any() or (np.diff(self.trade_ns) < 0).any():
            raise ValueError("expected ascending times")
        if (self.bid <= 0).any() or (self.ask <= self.bid).any():
            raise ValueError("expected two-sided tops with bid below ask")
        if (self.price <= 0).any() or (self.steps <= 0).any():
            raise ValueError("expected trades of positive price and quantity")

    @cached_property
    def order(self) -> tuple[IntArray, IntArray]:
        """(Q + T,) twice: kind and index of every event; a trade before the top that shows its effect."""
        kinds = np.concatenate((np.full(len(self.trade_ns), TRADE), np.full(len(self.top_ns), TOP)))
        index = np.concatenate((np.arange(len(self.trade_ns)), np.arange(len(self.top_ns))))
        times = np.concatenate((self.trade_ns, self.top_ns))
        order = np.lexsort((index, kinds, times))
        return kinds[order].astype(np.int64), index[order].astype(np.int64)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, instrument scale included."""
        scale = f"{self.instrument.symbol} {self.instrument.tick_size} {self.instrument.step_size}"
        sha = hashlib.sha256(scale.encode())
        for column in (
            self.top_ns, self.bid, self.bid_steps, self.ask, self.ask_steps,
            self.trade_ns, self.price, self.steps, self.sold,
        ):  # fmt: skip
            sha.update(np.ascontiguousarray(column).astype("<i8").tobytes())
        return sha.hexdigest()
