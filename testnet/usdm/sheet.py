"""One perpetual's sheet: mark, index and premium with their candles, and its funding."""

from __future__ import annotations

from collections import deque
from typing import Any

from testnet.klines import Bar, Klines
from testnet.usdm.contracts import MINUTE_MS, Perpetual
from testnet.usdm.funding import FundingRow, PremiumAverage, funding_rate, premium_index
from testnet.values import SCALE

KINDS = ("mark", "index", "premium")
KEEP_MINUTES, KEEP_OTHER = 3_000, 1_500  # candles of each kind and interval
KEEP_FUNDING = 3_000
BASIS_MS = 150_000  # the basis is averaged over two and a half minutes
Candles = dict[str, list[int]]


class Sheet:
    """Prices in 1e-8 units, rates and premiums as fractions times 1e8, market time in ms."""

    def __init__(self) -> None:
        self.mark = 0
        self.index = 0
        self.premium = 0
        self.basis = 0
        self.last_rate = 0
        self.next_funding_ms = 0
        self.updated_ms = 0
        self.average = PremiumAverage()
        self.history: deque[FundingRow] = deque(maxlen=KEEP_FUNDING)
        self.recorded: dict[int, int] = {}  # rates a replay prescribes, by time
        self.klines = {kind: Klines(KEEP_MINUTES, KEEP_OTHER) for kind in KINDS}

    def move(
        self, terms: Perpetual, time_ms: int, *, index: int, middle: int, last: int, impact: tuple[int, int]
    ) -> None:
        """Take in the index, the middle of the book, the last trade and the impact prices of a moment.

        The mark is the median of: the index carried by the last funding rate to the next funding time; the
        index plus the averaged basis; the last trade.

        Source: the venue's mark price rule; an exponential mean of the same length takes the place of its
        moving average, so that the rule does not depend on how often it is evaluated.
        """
        elapsed = max(0, time_ms - self.updated_ms) if self.updated_ms else BASIS_MS * 1_000
        self.basis += (middle - index - self.basis) * elapsed // (BASIS_MS + elapsed)
        if self.next_funding_ms <= time_ms - terms.funding_ms:
            self.next_funding_ms = terms.next_funding_ms(time_ms)
        to_go = max(0, self.next_funding_ms - time_ms)
        carried = index + index * self.last_rate * to_go // (SCALE * terms.funding_ms)
        self.mark = max(1, sorted((carried, index + self.basis, last))[1])
        self.index = index
        self.premium = premium_index(*impact, index)
        self.updated_ms = time_ms
        for kind, value in self._values():
            klines = self.klines[kind]
            if klines.minute is None:
                klines.start_minute(time_ms // MINUTE_MS * MINUTE_MS, value)
            klines.quote(value)

    def _values(self) -> tuple[tuple[str, int], ...]:
        return ("mark", self.mark), ("index", self.index), ("premium", self.premium)

    def close_minute(self, boundary_ms: int) -> Candles | None:
        """Close the candles of the minute that ends here and sample its premium; None before the first move."""
        if not self.updated_ms:
            return None
        candles: Candles = {}
        for kind, value in self._values():
            klines = self.klines[kind]
            bar = klines.minute
            if bar is None or bar.open_ms + MINUTE_MS != boundary_ms:
                # The symbol stood still for a while: begin again with this minute.
                klines.start_minute(boundary_ms - MINUTE_MS, value)
                bar = klines.minute
            if bar is not None:
                candles[kind] = [bar.open, bar.high, bar.low, bar.close, bar.trades]
            klines.close_minute()
        self.average.add(self.premium)
        return candles

    def absorb(self, open_ms: int, candles: Candles) -> None:
        """Put one closed minute back, as `close_minute` gave it."""
        for kind, (open_, high, low, close, count) in candles.items():
            klines = self.klines[kind]
            klines.minute = Bar(open_ms, open_, high, low, close, trades=count)
            klines.close_minute()

    def rate(self, terms: Perpetual) -> int:
        """The rate the running interval would settle at if it ended now."""
        prescribed = self.recorded.get(self.next_funding_ms)
        if prescribed is not None:
            return prescribed
        return funding_rate(self.average.value() if self.average.count else self.premium, terms)

    def settle_funding(self, terms: Perpetual, time_ms: int) -> FundingRow:
        """End the interval at its funding time and begin the next."""
        row = FundingRow(time_ms, self.rate(terms), self.mark)
        self.next_funding_ms = terms.next_funding_ms(time_ms)
        self.settled(row)
        return row

    def settled(self, row: FundingRow) -> None:
        """Note a settled funding; also used by recovery."""
        self.history.append(row)
        self.last_rate = row.rate
        self.average.clear()

    def settle_price(self) -> int:
        """The mean index of the last hour: what a settlement now would use."""
        closes = [bar.close for bar in self.klines["index"].recent_minutes(60)]
        return sum(closes) // len(closes) if closes else self.index

    # -- over a restart --------------------------------------------------------------------

    def running(self) -> list[int]:
        """The little that moves with every step, for the feed's state."""
        return [
            self.mark,
            self.index,
            self.premium,
            self.basis,
            self.last_rate,
            self.next_funding_ms,
            self.updated_ms,
            self.average.weighted,
            self.average.count,
        ]

    def resume(self, running: list[int]) -> None:
        """Continue from `running()`."""
        (
            self.mark,
            self.index,
            self.premium,
            self.basis,
            self.last_rate,
            self.next_funding_ms,
            self.updated_ms,
            self.average.weighted,
            self.average.count,
        ) = running

    def state(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        return {
            "running": self.running(),
            "history": [list(row) for row in self.history],
            "klines": {kind: klines.state() for kind, klines in self.klines.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()` after it went through JSON."""
        self.resume(state["running"])
        self.history.extend(FundingRow(*row) for row in state["history"])
        for kind, raw in state["klines"].items():
            self.klines[kind].restore(raw)
