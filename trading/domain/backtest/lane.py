"""One instrument of a run: its bars, its position, its orders in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from trading.domain.apportionment import split_steps
from trading.domain.backtest.account import ALONE, Account
from trading.domain.backtest.arithmetic import PARTS, mul_div, slotted
from trading.domain.backtest.costs import collared_ticks, fee, funding_payment, slipped
from trading.domain.backtest.execution import trade_market
from trading.domain.backtest.fold import average_price, carried_after, cost_quote, fold_trade
from trading.domain.backtest.impact import trailing_day
from trading.domain.backtest.ledger import FillKind
from trading.domain.backtest.leg import Leg
from trading.domain.backtest.limits import NOTHING_USED
from trading.domain.backtest.rails import REPEATED_EXECUTION
from trading.domain.backtest.scale import base_quantity, market_value, notional, scale_of
from trading.domain.backtest.series import BarSeries, FloatArray, FundingSeries, IntArray
from trading.domain.backtest.settings import FillMode, Settings, SizeRule
from trading.domain.backtest.sizing import child_steps, fixed_steps, netted_steps, planned_steps
from trading.domain.backtest.timing import arrivals, funding_ranges
from trading.domain.backtest.touches import (
    LIQUIDATED,
    NOTHING,
    STOP,
    exit_inside,
    liquidation_ticks,
    protection_ticks,
    trailing_stop,
)
from trading.domain.strategies import Bar, Execution
from trading.domain.values import UNITS, to_units

_MARKET, _STOP, _TAKE_PROFIT, _MAKER, _LIQUIDATION = map(int, FillKind)
_NOTHING_USED: Final = slotted(NOTHING_USED)

Flight = tuple[int, int, int, int, tuple[int, ...]]
"""An order on its way: (bar it arrives at, signed steps, orders, decided_ns, shares of the legs)."""


class Lane:
    """State of one instrument; its methods are what can happen to it, in the order it happens in a bar."""

    __slots__ = (
        "account", "arrival", "band", "best", "busy", "capital", "carried", "carried_by", "close", "close_ns", "cost",
        "costs", "daily", "fills", "flights", "funded", "funding_from", "funding_marks", "funding_ns",
        "funding_rates", "high", "legs", "low", "mark", "max_child", "number", "off", "open",
        "open_ns", "paid", "position", "quantity", "rates", "realized", "refusals", "same_close", "scale",
        "series", "settings", "settled", "sigma", "slower", "stop", "take_profit", "through",
        "tick_ratio", "trail", "usable", "worth",
    )  # fmt: skip

    def __init__(
        self,
        number: int,
        series: BarSeries,
        funding: FundingSeries,
        settings: Settings,
        account: Account,
        slower: Mapping[int, Mapping[str, Bar]],
    ) -> None:
        self.number = number
        self.series = series
        self.settings = settings
        self.account = account
        self.slower = slower
        self.scale = slotted(scale_of(series.instrument))
        self.costs = slotted(settings.cost_table())
        self.legs: list[Leg] = []
        self.quantity = self.capital = 0
        if settings.size is SizeRule.allocation and settings.size_amount is not None:
            self.capital = to_units(settings.size_amount)
        if settings.size is SizeRule.quantity and settings.size_amount is not None:
            self.quantity = series.instrument.steps(settings.size_amount)
        self.usable, self.band, self.max_child = (
            settings.usable_parts,
            settings.band_parts,
            settings.max_child_units,
        )
        self.same_close = settings.fill is FillMode.same_close
        self.through = 0 if settings.touch_fills else 1
        self.tick_ratio = series.instrument.tick_size.as_integer_ratio()
        # Views: a number read from one is a Python int, at half the cost of reading it from an array.
        self.open, self.high, self.low, self.close = (
            _view(c) for c in (series.open, series.high, series.low, series.close)
        )
        self.open_ns, self.close_ns = _view(series.open_ns), _view(series.close_ns)
        self.arrival = _view(arrivals(series, settings))
        self.daily, self.sigma = (_view(c) for c in trailing_day(series, self.costs.impact))
        self.funding_rates, self.funding_marks = _view(funding.rates), _view(funding.marks)
        self.funding_ns = _view(funding.times_ns)
        self.funding_from = _view(funding_ranges(series, funding))
        self.rates: list[float | None] = []
        self.funded = len(funding.times_ns) > 0

        self.position = self.cost = self.realized = self.carried = 0
        self.carried_by: dict[str, int] = {}
        self.off = False
        self.worth = 0.0
        self.mark = self.open[0]
        self.best = 0
        self.stop = self.take_profit = self.trail = 0
        self.flights: deque[Flight] = deque()
        self.busy = False
        self.settled = True
        self.fills: list[tuple[int, ...]] = []
        self.refusals: list[tuple[int, ...]] = []
        self.paid: list[tuple[int, ...]] = []

    def know_rates(self, funding: FundingSeries) -> None:
        """Work out the rate each close knows, for legs that read it."""
        rates = funding.in_force(self.series.close_ns).tolist()
        self.rates = [None if rate != rate else rate for rate in rates]

    def opened(self, i: int) -> None:
        """Live through bar `i` up to its close: funding, arriving orders, exits inside the bar."""
        if self.account.measured and i > 0 and len(self.account.lanes) == 1:
            self.mark = self.close[i - 1]
            self.account.measure_all(self.close_ns[i - 1])
        at = last = 0
        if self.funded:
            at, last = self.funding_from[i], self.funding_from[i + 1]
            while at < last and self.funding_ns[at] <= self.open_ns[i]:
                self._fund(i, at)
                at += 1
        flights = self.flights
        while flights and flights[0][0] <= i:
            _, steps, count, decided_ns, shares = flights.popleft()
            self._send(i, self.open[i], self.open_ns[i], steps, count, decided_ns, shares)
        while at < last:
            self._fund(i, at)
            at += 1
        if self.position != 0 and (self.stop or self.take_profit or self.trail or self.scale.futures == 1):
            self._exits(i)
            self._remember_best(i)
        self._set_busy()

    def decide(self, i: int) -> None:
        """Compare what is wanted with what is held and in flight at the close of bar `i`, send the rest."""
        if self.off:
            # Switched off: its position is held under its protection, as live.
            self._set_busy()
            return
        price, legs = self.close[i], self.legs
        if self.quantity and len(legs) == 1:
            wanted = fixed_steps(legs[0].quantity, legs[0].target)
        else:
            wanted = self._wanted(price)
        protected = self.stop or self.take_profit or self.trail
        in_flight = 0
        for leg in legs:
            if leg.protection is not None:
                protected = True
        if protected:
            self._protect(price)
        for flight in self.flights:
            in_flight += flight[1]
        band = 0 if len(self.legs) > 1 and self._decided(price) else self.band
        steps, count = planned_steps(
            self.scale, wanted, self.position, in_flight, price, band, self.max_child
        )
        if steps:
            now = self.close_ns[i]
            shares = ALONE if len(legs) == 1 else self._shares(steps, price)
            if self.same_close:
                self._send(i, price, now, steps, count, now, shares)
            else:
                self.flights.append((self.arrival[i], steps, count, now, shares))
                in_flight += steps
                self.busy = True
                self.settled = self.position + in_flight == wanted
                return
        self.settled = self.position + in_flight == wanted
        self._set_busy()

    def _set_busy(self) -> None:
        self.busy = bool(self.flights) or (
            self.position != 0
            and (
                self.scale.futures == 1
                or self.stop > 0
                or self.take_profit > 0
                or self.trail > 0
                or self.account.measured
            )
        )

    def _wanted(self, price: int) -> int:
        if not self.quantity:
            return netted_steps(self.scale, [(self._capital(leg), leg.target) for leg in self.legs], price)
        wanted = 0
        for leg in self.legs:
            wanted += fixed_steps(leg.quantity, leg.target)
        return wanted

    def _capital(self, leg: Leg) -> int:
        if self.capital:
            return mul_div(self.capital, leg.share, PARTS)
        equity = self.account.equity()
        return mul_div(mul_div(equity, self.usable, PARTS), leg.share, PARTS) if equity > 0 else 0

    def _protect(self, price: int) -> None:
        sets = [leg.protection for leg in self.legs if leg.protection is not None]
        side = 1 if sum(leg.target for leg in self.legs) >= 0 else -1
        trailed = self.trail > 0
        self.stop = self.take_profit = self.trail = 0
        for wanted in sets:
            stop, profit, trail = protection_ticks(
                side, wanted.stop or 0.0, wanted.take_profit or 0.0, wanted.trailing or 0.0, self.scale
            )
            # One set per net position: of several the one nearest to the market.
            tighter = max if side > 0 else min
            nearer = min if side > 0 else max
            self.stop = tighter(self.stop, stop) if self.stop and stop else self.stop or stop
            both = self.take_profit and profit
            self.take_profit = nearer(self.take_profit, profit) if both else self.take_profit or profit
            self.trail = min(self.trail, trail) if self.trail and trail else self.trail or trail
        if self.trail > 0 and not trailed and self.position != 0:
            self.best = price

    def _want(self, leg: Leg, price: int) -> int:
        if self.quantity:
            return fixed_steps(leg.quantity, leg.target)
        return netted_steps(self.scale, [(self._capital(leg), leg.target)], price)

    def _decided(self, price: int) -> bool:
        # As the planner: one of several wants a move beyond the band of its own part, that the venue takes alone.
        scale = self.scale
        smallest = max(1, scale.min_steps, scale.market_min_steps)
        for leg in self.legs:
            want = self._want(leg, price)
            move = abs(want - leg.attributed)
            takes = move >= smallest and move * price * scale.num >= scale.min_value
            if takes and move > mul_div(abs(want), self.band, PARTS):
                return True
        return False

    def _shares(self, steps: int, price: int) -> tuple[int, ...]:
        # As the planner: who wants to move this way, and how far; else by capital.
        side = 1 if steps > 0 else -1
        moves = [max(0, side * (self._want(leg, price) - leg.attributed)) for leg in self.legs]
        return tuple(moves) if any(moves) else tuple(leg.share for leg in self.legs)

    def _send(
        self,
        i: int,
        touch: int,
        time_ns: int,
        steps: int,
        count: int,
        decided_ns: int,
        shares: Sequence[int],
    ) -> None:
        account, scale = self.account, self.scale
        side, size = (1, steps) if steps > 0 else (-1, -steps)
        leg = self.legs[0] if len(self.legs) == 1 else self._owner(shares)
        limits, use, sends, limit = leg.limits, _NOTHING_USED, 0, 0
        for number in range(count):
            child = size if count == 1 else child_steps(size, count, number)
            if limits.in_force:
                limit = collared_ticks(touch, side, self.costs.collar_bps)
                use = account.use(self, leg, side * child, touch, limit, time_ns, sends)
            verdict, filled, quote, commission, slippage, reserved = trade_market(
                scale,
                limits,
                self.costs,
                side,
                child,
                touch,
                self.position,
                account.cash if scale.futures == 0 else account.margin_room(self, touch),
                use,
                self.daily[i],
                self.sigma[i],
            )
            if verdict:
                self.refusals.append((time_ns, self.number, i, verdict, side * child, touch))
                self.settled = False
                if verdict == REPEATED_EXECUTION:
                    account.switch_off(leg)
                continue
            if filled < child:
                self.settled = False
            if limits.in_force:
                account.went_out(time_ns, self, leg, side * child, limit)
                sends += 1
            self._book(
                i, time_ns, side * filled, touch, quote, commission, slippage, reserved, _MARKET,
                decided_ns, shares,
            )  # fmt: skip

    def _owner(self, shares: Sequence[int]) -> Leg:
        # A netted order goes out in the name of the strategy that has most of it, as live.
        return self.legs[max(range(len(shares)), key=lambda n: shares[n])]

    def _book(
        self,
        i: int,
        time_ns: int,
        signed: int,
        ticks: int,
        quote: int,
        commission: int,
        slippage: int,
        reserved: int,
        kind: int,
        decided_ns: int,
        shares: Sequence[int],
    ) -> None:
        account, before, realized, scale = self.account, self.position, self.realized, self.scale
        position, cost, self.realized = fold_trade(before, self.cost, realized, signed, quote)
        if account.watched:
            carried = carried_after(before, self.carried, signed, reserved, quote)
            account.carries(self, carried, position, shares)
            self.carried = carried
        if account.measured:
            owner = self.legs[0] if len(self.legs) == 1 else self._owner(shares)
            account.booked(self, owner, signed, quote, commission, self.realized - realized, time_ns)
        self.position, self.cost = position, cost
        self.worth = cost_quote(cost, position)
        account.cash -= (quote if signed > 0 else -quote) + commission
        if before == 0 or (before > 0) != (position > 0):
            self.best = ticks
        self.fills.append(
            (time_ns, decided_ns, self.number, i, signed, ticks, quote, commission, slippage, kind)
        )
        legs, sign = self.legs, 1 if signed > 0 else -1
        size = sign * signed
        base = base_quantity(scale, size)
        price = quote / UNITS / base
        if len(legs) == 1:
            # What the strategy holds is what the lane holds.
            leg, seen = legs[0], legs[0].observation
            leg.attributed = position
            if position:
                seen.position = base_quantity(scale, position)
                seen.average_price = average_price(scale, cost, position)
            else:
                seen.position = seen.average_price = seen.unrealized = 0.0
            leg.executions.append(Execution(sign * base, price, commission / UNITS, kind == _MAKER, time_ns))
            return
        for leg, part in zip(legs, split_steps(size, shares), strict=True):
            if part:
                self._tell(leg, sign * part, price, commission / UNITS * part / size, kind, time_ns)

    def _tell(self, leg: Leg, signed: int, price: float, paid: float, kind: int, time_ns: int) -> None:
        scale, seen = self.scale, leg.observation
        leg.attributed = held = leg.attributed + signed
        if held:
            seen.position = base_quantity(scale, held)
            seen.average_price = average_price(scale, self.cost, self.position)
        else:
            seen.position = seen.average_price = seen.unrealized = 0.0
        leg.executions.append(Execution(base_quantity(scale, signed), price, paid, kind == _MAKER, time_ns))

    def _fund(self, i: int, at: int) -> None:
        if self.position == 0:
            return
        mark = self.funding_marks[at] or self.open[i]
        paid = funding_payment(self.scale, self.position, mark, self.funding_rates[at])
        self.account.cash -= paid
        self.paid.append((self.funding_ns[at], self.number, i, self.position, mark, paid))

    def _exits(self, i: int) -> None:
        side = 1 if self.position > 0 else -1
        stop = trailing_stop(side, self.best, self.trail, self.stop)
        what, price = exit_inside(
            side, stop, self.take_profit, self.open[i], self.low[i], self.high[i], self.through
        )
        if self.scale.futures == 1:
            rest = self.account.equity() - market_value(self.scale, self.position, self.mark)
            level = liquidation_ticks(self.scale, self.position, rest, self.costs.maintenance)
            extreme = self.low[i] if side > 0 else self.high[i]
            crossed = level > 0 and (extreme <= level if side > 0 else extreme >= level)
            # A stop nearer to the market saves the position, unless the bar opened beyond both.
            if crossed and not (what == STOP and (price > level if side > 0 else price < level)):
                what, price = LIQUIDATED, level
        if what == NOTHING:
            return
        steps = abs(self.position)
        amount = notional(self.scale, price, steps)
        if what == STOP:
            quote = slipped(amount, -side, self.costs.slippage)
            kind, commission = _STOP, fee(quote, self.costs.taker)
        elif what == LIQUIDATED:
            # The venue keeps what margin is left: the maintenance part of the notional.
            quote, kind = amount, _LIQUIDATION
            commission = fee(quote, self.costs.maintenance)
        else:
            quote, kind = amount, _TAKE_PROFIT
            commission = fee(quote, self.costs.maker)
        shares = [abs(leg.attributed) for leg in self.legs]
        now = self.close_ns[i]
        self._book(i, now, -side * steps, price, quote, commission, abs(quote - amount), 0, kind, now, shares)
        for leg in self.legs:
            leg.leave()
        self.stop = self.take_profit = self.trail = 0
        self.settled = not self.flights

    def _remember_best(self, i: int) -> None:
        # Only for the bars after this one: inside a bar nobody knows whether the high came first.
        if self.position > 0:
            self.best = max(self.best, self.high[i])
        elif self.position < 0:
            self.best = min(self.best, self.low[i])


def _view(column: IntArray | FloatArray) -> Any:
    return np.ascontiguousarray(column).data
