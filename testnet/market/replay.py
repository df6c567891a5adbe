"""A replayed market: prices follow recorded candles, or recorded trades one by one, exactly."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from testnet.clock import MarketClock
from testnet.engine import Engine
from testnet.instruments import Instrument
from testnet.klines import MINUTE_MS, Bar, Klines
from testnet.listing import Listing, SymbolStatus
from testnet.market.candles import Candle, CandleFile
from testnet.market.makers import Makers
from testnet.market.profiles import profile_of
from testnet.values import SCALE

_MIN_POINTS, _MAX_POINTS = 12, 240
_POINT_EVERY_MS = 30_000


class Point(NamedTuple):
    """One print of the path: market time, price in ticks, quantity in steps, the taker's side if known."""

    time_ms: int
    price: int
    steps: int
    side: str = ""


def candle_path(candle: Candle, length_ms: int, instrument: Instrument, seed: int) -> list[Point]:
    """A path that opens, reaches both extremes and closes exactly as the candle did.

    Its quantities add up to the candle's volume floored to the step, with at least one step a print.
    """
    rng = random.Random(f"{seed}:{instrument.symbol}:{candle.open_ms}")
    tick = instrument.tick
    open_, high, low, close = (value // tick for value in candle[1:5])
    count = max(_MIN_POINTS, min(_MAX_POINTS, length_ms // _POINT_EVERY_MS))
    # Rising candles more often touch their low first, falling ones their high.
    low_first = rng.random() < (0.7 if close >= open_ else 0.3)
    one, two = sorted(rng.sample(range(1, count - 1), 2))
    corners = [
        (0, open_),
        (one, low if low_first else high),
        (two, high if low_first else low),
        (count - 1, close),
    ]
    prices = _bridge(corners, low, high, rng)
    weights = [rng.expovariate(1.0) for _ in range(count)]
    total = candle.volume // instrument.step
    scale = total / sum(weights)
    steps = [max(1, int(weight * scale)) for weight in weights]
    steps[-1] = max(1, steps[-1] + total - sum(steps))
    times = [candle.open_ms + index * (length_ms - 1) // (count - 1) for index in range(count)]
    return [Point(*row) for row in zip(times, prices, steps, strict=True)]


def _bridge(corners: list[tuple[int, int]], low: int, high: int, rng: random.Random) -> list[int]:
    prices = [corners[0][1]]
    width = (high - low) / 8
    for (start, first), (end, last) in pairwise(corners):
        for index in range(start + 1, end):
            part = (index - start) / (end - start)
            noise = rng.gauss(0.0, width * (part * (1 - part)) ** 0.5)
            prices.append(min(high, max(low, round(first + (last - first) * part + noise))))
        prices.append(last)
    return prices


def load_history(klines: Klines, file: CandleFile, before: int, minutes_from: int, seed: int) -> None:
    """Fill candles from the file's first `before` candles.

    From `minutes_from` on, one-minute bars come from the same paths a replay would follow. Recorded
    trades have real minutes, which are used as they are.
    """
    if file.trades is not None:
        for bar in file.trades.bars[:before]:
            klines.absorb(bar)
        return
    for candle in file.candles[:before]:
        if candle.open_ms < minutes_from or file.length_ms < MINUTE_MS:
            klines.absorb_coarse(_whole(candle, file.instrument), file.length_ms)
            continue
        points = candle_path(candle, file.length_ms, file.instrument, seed)
        for bar in _minutes(points, candle.open_ms, file.length_ms, file.instrument):
            klines.absorb(bar)


def _whole(candle: Candle, instrument: Instrument) -> Bar:
    open_, high, low, close = (value // instrument.tick for value in candle[1:5])
    steps = candle.volume // instrument.step
    # The files carry no quote volume; the middle of the four prices is the usual estimate.
    mean = (open_ + high + low + close) // 4
    quote = steps * mean * instrument.quote_per
    return Bar(candle.open_ms, open_, high, low, close, steps, quote, 1, steps // 2, quote // 2)


def _minutes(points: list[Point], open_ms: int, length_ms: int, instrument: Instrument) -> list[Bar]:
    scratch = Klines()
    scratch.start_minute(open_ms, points[0].price)
    bars: list[Bar] = []
    for point in points:
        while scratch.minute and point.time_ms >= scratch.minute.open_ms + MINUTE_MS:
            bars.append(scratch.close_minute()[0][1])
        quote = point.steps * point.price * instrument.quote_per
        scratch.record(point.price, point.steps, quote, taker_buys=point.time_ms % 2 == 0)
    while scratch.minute and scratch.minute.open_ms < open_ms + length_ms:
        bars.append(scratch.close_minute()[0][1])
    return bars


class ReplayFeed:
    """Drives one symbol along its recorded candles or trades, then halts it."""

    def __init__(
        self, listing: Listing, file: CandleFile, start_ms: int, seed: int, clock: MarketClock
    ) -> None:
        self._listing = listing
        self._file = file
        self._seed = seed
        self._clock = clock
        self._rng = random.Random(f"{seed}:replay:{listing.instrument.symbol}")
        self.makers = Makers(listing, self._rng)
        self._width = _usual_width(listing)
        self._end_ms = file.candles[-1].open_ms + file.length_ms
        self._cursor_ms = start_ms - 1  # points up to here have been printed
        self._upcoming: Iterator[Point] | None = None
        self._next: Point | None = None
        self._last: Point | None = None

    def advance(self, engine: Engine, start_ms: int, end_ms: int, common: float) -> None:
        """Print every point before `end_ms`."""
        if self._file.trades is not None:
            # Trades of a time in which the symbol was halted did not happen here. (A candle is completed.)
            self._cursor_ms = max(self._cursor_ms, start_ms - 1)
        self._print_until(engine, end_ms - 1)
        if self._file.trades is not None:
            self._quote(engine, (end_ms - start_ms) / 1000)
        if end_ms >= self._end_ms:
            self._listing.status = SymbolStatus.BREAK

    def open_minute(self, engine: Engine, open_ms: int) -> None:
        """Print the point at this very instant, so that a candle's open is its first trade."""
        self._print_until(engine, open_ms)
        if self._file.trades is not None and self._last is None:
            self._quote(engine, math.inf)

    def close_minute(self, open_ms: int) -> None:
        """A recording carries no truth to note."""

    def _print_until(self, engine: Engine, until_ms: int) -> None:
        if self._upcoming is None:
            self._upcoming, self._next = self._points(self._cursor_ms), None
        while True:
            point = self._next if self._next is not None else next(self._upcoming, None)
            if point is None or point.time_ms > until_ms:
                self._next = point
                break
            self._next = None
            if point.time_ms > self._cursor_ms:
                self._print(engine, point)
        self._cursor_ms = max(self._cursor_ms, until_ms)

    def _points(self, after_ms: int) -> Iterator[Point]:
        instrument = self._file.instrument
        if self._file.trades is not None:
            for trade in self._file.trades.after(after_ms):
                side = "BUY" if trade.is_buy else "SELL"
                steps = trade.quantity // instrument.step
                yield Point(trade.time_ms, trade.price // instrument.tick, steps, side)
            return
        candles = self._file.candles
        first = bisect_right(candles, after_ms + 1, key=lambda candle: candle.open_ms) - 1
        for index in range(max(0, first), len(candles)):
            for point in candle_path(candles[index], self._file.length_ms, instrument, self._seed):
                if point.time_ms > after_ms:
                    yield point

    def _print(self, engine: Engine, point: Point) -> None:
        """Trade exactly at the point's price, users at better prices first."""
        listing, book = self._listing, self._listing.book
        listing.path_price = point.price
        self._clock.now_ms = max(point.time_ms, self._clock.now_ms - self._clock.now_ms % MINUTE_MS)
        side = point.side
        if side:
            self.makers.make_way(engine, point.price)
            book.side(side).cut_background(point.price)
        else:
            side = self.makers.clear(engine, point.price, self._rng)
        contra = book.contra(side)
        level = contra.levels.get(point.price)
        have = level.steps if level is not None else 0
        if have < point.steps:
            contra.add(point.price, point.steps - have)
            book.update_id += 1
        engine.background_take(listing, side, point.price, point.steps)
        last, self._last = self._last, point
        if not point.side:
            self.makers.requote(engine, point.price, max(0.5, point.price * 5e-5))
        elif last is None or (last.price, last.side) != (point.price, point.side):
            self._quote(engine, 0.0)

    def _quote(self, engine: Engine, seconds: float) -> None:
        """Stand where the last recorded trade shows the touch: a buyer took the ask, a seller the bid."""
        half = self._width / 2
        price, side = self._listing.tape.last_price, "BUY"
        if self._last is not None:
            price, side = self._last.price, self._last.side
        middle = price + (half if side == "SELL" else -half)
        self.makers.requote(engine, middle, half, seconds=seconds)

    def set_liquidity(self, factor: float) -> None:
        """Scale the size of new quotes."""
        self.makers.liquidity = factor

    def truth(self) -> list[tuple[int, int]]:
        """Nothing is known of a recorded market's regimes."""
        return []

    def state(self) -> dict[str, Any]:
        """What a restart needs to continue."""
        return {"cursor": self._cursor_ms, "path_price": self._listing.path_price}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""
        self._cursor_ms = int(state["cursor"])
        self._upcoming = self._next = None
        self._listing.path_price = state["path_price"]


def _usual_width(listing: Listing) -> int:
    profile = profile_of(listing.instrument, listing.character)
    return max(1, round(profile.spread_bps * listing.character.price * SCALE / listing.instrument.tick / 1e4))
