"""A market's portrait: the distributions by which a generated and a recorded market are compared."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from testnet.market.compare.statistics import (
    autocorrelation,
    gaps,
    kurtosis,
    log_returns,
    mean,
    quantile,
    root_mean_square,
)

DEPTH_BPS = (1, 5, 10, 25)
HORIZONS_S = (1, 10, 60)
Figures = dict[str, float]


class Quote(NamedTuple):
    """One price level: price and quantity in 1e-8 units."""

    price: int
    quantity: int


class Print(NamedTuple):
    """One public trade: market time, price and quantity in 1e-8 units, the taker's direction."""

    time_ms: int
    price: int
    quantity: int
    is_buy: bool


def notional(quote: Quote) -> float:
    """Quote currency of a level."""
    return quote.price * quote.quantity / 1e16


class Sitter:
    """Collects samples of one market; `figures` sums them up."""

    def __init__(self, tick: int) -> None:
        self._tick = tick
        self._spread_ticks: list[float] = []
        self._spread_bps: list[float] = []
        self._touch: list[float] = []
        self._depth: dict[int, list[float]] = {bps: [] for bps in DEPTH_BPS}
        self._levels: list[float] = []
        self._mids: list[float] = []
        self._prints: list[Print] = []
        self.seconds = 0.0
        self.level_updates = 0
        self._last: tuple[Quote, Quote] | None = None
        self._changes: list[float] = []

    def top(self, bid: Quote, ask: Quote) -> None:
        """Sample the best bid and ask; called at a fixed rate, so that samples weigh by time."""
        spread = ask.price - bid.price
        self._spread_ticks.append(spread / self._tick)
        self._spread_bps.append(2e4 * spread / (ask.price + bid.price))
        self._touch += [notional(bid), notional(ask)]
        if self._last is not None:
            self._changes.append(float(self._last != (bid, ask)))
        self._last = (bid, ask)

    def book(self, bids: Iterable[Quote], asks: Iterable[Quote], mid: float) -> None:
        """Sample both sides, best first, once a second of market time; `mid` in 1e-8 units."""
        self._mids.append(mid)
        for side in (bids, asks):
            sums = dict.fromkeys(DEPTH_BPS, 0.0)
            count = 0
            for level in side:
                distance = abs(level.price - mid) / mid * 1e4
                if distance > DEPTH_BPS[-1]:
                    break
                count += distance <= 10
                value = notional(level)
                for bps in DEPTH_BPS:
                    if distance <= bps:
                        sums[bps] += value
            self._levels.append(count)
            for bps, total in sums.items():
                self._depth[bps].append(total)

    def trade(self, trade: Print) -> None:
        """Note one public trade."""
        self._prints.append(trade)

    def figures(self) -> Figures:
        """Every figure by name; names end in their unit."""
        found: Figures = {}
        found |= _quantiles("spread_ticks", self._spread_ticks)
        found["spread_one_tick_share"] = mean([float(ticks == 1) for ticks in self._spread_ticks])
        found |= _quantiles("spread_bps", self._spread_bps)
        found |= _quantiles("touch_quote", self._touch)
        for bps, samples in self._depth.items():
            found |= _quantiles(f"depth_{bps}bps_quote", samples)
        found |= _quantiles("levels_within_10bps", self._levels)
        found |= self._trading()
        found |= self._moving()
        found["level_updates_per_s"] = self.level_updates / self.seconds
        found["touch_changed_share"] = mean(self._changes)
        return found

    def _trading(self) -> Figures:
        found = _quantiles("trade_quote", [p.price * p.quantity / 1e16 for p in self._prints])
        found["trade_mean_quote"] = mean([p.price * p.quantity / 1e16 for p in self._prints])
        found["trades_per_s"] = len(self._prints) / self.seconds
        found["volume_quote_per_s"] = sum(p.price * p.quantity for p in self._prints) / 1e16 / self.seconds
        orders = _taker_orders(self._prints)
        found["taker_orders_per_s"] = len(orders) / self.seconds
        found |= _quantiles("order_quote", [value for _, _, value in orders])
        found["buy_share"] = mean([float(p.is_buy) for p in self._prints])
        signs = [1.0 if p.is_buy else -1.0 for p in self._prints]
        order_signs = [1.0 if is_buy else -1.0 for _, is_buy, _ in orders]
        for lag in (1, 10):
            found[f"trade_sign_autocorrelation_lag{lag}"] = autocorrelation(signs, lag)
            found[f"order_sign_autocorrelation_lag{lag}"] = autocorrelation(order_signs, lag)
        found |= _quantiles("order_gap_ms", gaps([time_ms for time_ms, _, _ in orders]))
        found["busiest_second_over_mean"] = _busiest(self._prints) / max(found["trades_per_s"], 1e-12)
        return found

    def _moving(self) -> Figures:
        found: Figures = {}
        for span in HORIZONS_S:
            returns = log_returns(self._mids, span)
            found[f"volatility_{span}s_bps"] = 1e4 * root_mean_square(returns)
            if span < HORIZONS_S[-1]:
                found[f"kurtosis_{span}s"] = kurtosis(returns)
        still = [float(earlier == later) for earlier, later in pairwise(self._mids)]
        found["seconds_without_move_share"] = mean(still)
        return found


def _quantiles(name: str, samples: Iterable[float]) -> Figures:
    ordered = sorted(samples)
    shares = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
    return {f"{name}_{label}": quantile(ordered, share) for label, share in shares.items()}


def _taker_orders(prints: list[Print]) -> list[tuple[int, bool, float]]:
    # The venue does not tell which trades belong to one taker; same direction in the same millisecond
    # is the usual reading.
    orders: list[tuple[int, bool, float]] = []
    for trade in prints:
        value = trade.price * trade.quantity / 1e16
        if orders and orders[-1][:2] == (trade.time_ms, trade.is_buy):
            orders[-1] = (trade.time_ms, trade.is_buy, orders[-1][2] + value)
        else:
            orders.append((trade.time_ms, trade.is_buy, value))
    return orders


def _busiest(prints: list[Print]) -> float:
    counts: dict[int, int] = {}
    for trade in prints:
        second = trade.time_ms // 1000
        counts[second] = counts.get(second, 0) + 1
    return float(max(counts.values(), default=0)) if counts else math.nan
