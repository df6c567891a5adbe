"""Market making over recorded trades and tops of the book: quotes in, queue-aware maker fills out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from trading.domain.backtest.arithmetic import NO_LIMIT, mul_div
from trading.domain.backtest.costs import fee
from trading.domain.backtest.fold import average_price, carried_after, cost_quote, fold_trade, reserve
from trading.domain.backtest.ledger import FillKind
from trading.domain.backtest.limits import Use, limit_table
from trading.domain.backtest.queueing import FillModel, Resting
from trading.domain.backtest.rails import ALLOWED, VENUE_FILTER, judge
from trading.domain.backtest.recent import MINUTE_NS, nearly
from trading.domain.backtest.replay_result import ReplayResult, replay_result
from trading.domain.backtest.scale import base_quantity, notional, scale_of
from trading.domain.backtest.tape import TRADE, Tape
from trading.domain.backtest.touches import ticks_above, ticks_below
from trading.domain.clock import NS_PER_MS, NS_PER_S, interval_ns
from trading.domain.risk import RiskLimits
from trading.domain.strategies import Bar, Execution, Observation, Quotes, Strategy, WorkingQuote
from trading.domain.values import UNITS, to_units

STEP_NS = 100 * NS_PER_MS


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """Assumptions of a replay; amounts in quote currency, rates in parts of 1e-8.

    Attributes
    ----------
    cash, inventory : at the start; base quantity of the inventory, valued at the middle.
    maker : commission rate; negative is not taken (a rebate has to be earned first).
    feed_ns, order_ns : latency of what we see, and of what we send.
    every_ns : the strategy is stepped at book changes, at most this often, and at closed bars.
    interval : of the bars it sees, made from the trades.
    """

    cash: Decimal = Decimal(100_000)
    inventory: Decimal = Decimal(0)
    maker: int = 100_000
    model: FillModel = FillModel.queue
    feed_ns: int = 5 * NS_PER_MS
    order_ns: int = 10 * NS_PER_MS
    every_ns: int = STEP_NS
    interval: str = "1m"
    limits: RiskLimits | None = None

    def __post_init__(self) -> None:
        if self.cash < 0 or self.inventory < 0 or self.cash + self.inventory == 0:
            raise ValueError(f"expected cash or inventory, were {self.cash} and {self.inventory}")
        if min(self.maker, self.feed_ns, self.order_ns) < 0 or self.every_ns <= 0:
            raise ValueError("expected no negative commission or latency, and time between steps")


@dataclass(slots=True)
class _Book:
    """What we hold and have at the venue, by the venue's clock."""

    cash: int
    position: int
    cost: int = 0
    realized: int = 0
    carried: int = 0
    resting: dict[int, Resting] = field(default_factory=dict)
    coming: deque[tuple[int, int, Resting | None]] = field(default_factory=deque)
    """(arrival, side, order): None cancels; a cancel and what replaces it arrive together."""
    fills: list[tuple[int, ...]] = field(default_factory=list)
    refusals: list[tuple[int, ...]] = field(default_factory=list)
    told: list[Execution] = field(default_factory=list)
    sent: deque[tuple[int, int, Resting]] = field(default_factory=deque)
    """(arrival, signed steps, order) of the last minute."""


class Replay:
    """One strategy making a market on one tape."""

    def __init__(self, tape: Tape, strategy: Strategy, params: Any, settings: ReplaySettings) -> None:
        self._tape, self._strategy, self._params, self._settings = tape, strategy, params, settings
        self._scale = scale_of(tape.instrument)
        self._limits = limit_table(settings.limits, tape.instrument.step_units)
        self._tick = tape.instrument.tick_size.as_integer_ratio()
        start = tape.instrument.floor_steps(settings.inventory)
        first_mid = int(tape.bid[0] + tape.ask[0]) // 2
        self._book = _Book(
            to_units(settings.cash), start, notional(self._scale, first_mid, start) if start else 0
        )
        self._start = start
        self._state = strategy.initial(params)
        self._bid = self._ask = self._bid_steps = self._ask_steps = 0
        self._bars = _BarMaker(settings.interval, int(tape.top_ns[0]), self._price(first_mid))
        self._seen = Observation(tape.instrument.symbol, settings.interval, self._bars.bar, 0)
        self._stepped_ns = -settings.every_ns

    def run(self) -> ReplayResult:
        """Play the tape to its end."""
        tape = self._tape
        kinds, index = tape.order
        tops = [c.tolist() for c in (tape.top_ns, tape.bid, tape.bid_steps, tape.ask, tape.ask_steps)]
        trades = [c.tolist() for c in (tape.trade_ns, tape.price, tape.steps, tape.sold)]
        for kind, at in zip(kinds.tolist(), index.tolist(), strict=True):
            if kind == TRADE:
                now, price, steps, sold = (column[at] for column in trades)
                self._arrive(now)
                self._trade(now, price, steps, 1 if sold else -1)
                closed = self._bars.trade(now, self._price(price), base_quantity(self._scale, steps))
                if closed and self._bid:
                    self._step(now, "bar")
            else:
                now, self._bid, self._bid_steps, self._ask, self._ask_steps = (c[at] for c in tops)
                self._top(now)
                self._arrive(now)
                if now - self._stepped_ns >= self._settings.every_ns:
                    self._step(now, "book")
        return replay_result(
            tape,
            cash=to_units(self._settings.cash),
            inventory=self._start,
            fills=self._book.fills,
            refusals=self._book.refusals,
            model=self._settings.model,
        )

    def _price(self, ticks: int) -> float:
        return ticks * self._tick[0] / self._tick[1]

    def _arrive(self, now: int) -> None:
        book = self._book
        while book.coming and book.coming[0][0] <= now:
            arrival, side, order = book.coming.popleft()
            book.resting.pop(side, None)
            if order is not None and self._accepted(order, arrival):
                order.live_ns = arrival
                order.join(*((self._bid, self._bid_steps) if side > 0 else (self._ask, self._ask_steps)))
                book.resting[side] = order

    def _accepted(self, order: Resting, arrival: int) -> bool:
        book, opposite = self._book, self._ask if order.side > 0 else self._bid
        verdict = VENUE_FILTER  # post-only: an order that would take is refused
        if opposite and order.side * (opposite - order.ticks) > 0:
            value = notional(self._scale, order.ticks, order.left)
            verdict = judge(
                self._scale,
                self._limits,
                order.side,
                order.ticks,
                order.left,
                value,
                0,
                (self._bid + self._ask) // 2,
                book.position,
                book.cash if self._scale.futures == 0 else NO_LIMIT,
                self._use(order, arrival),
            )
        if verdict != ALLOWED:
            book.refusals.append((arrival, 0, 0, verdict, order.side * order.left, order.ticks))
            return False
        opens = [sum(o.left for o in book.resting.values() if o.side == side) for side in (1, -1)]
        order.reserved = reserve(book.position, order.side * order.left, value, *opens)
        book.sent.append((arrival, order.side * order.left, order))
        return True

    def _use(self, order: Resting, arrival: int) -> Use:
        book = self._book
        sent, signed = book.sent, order.side * order.left
        while sent and sent[0][0] <= arrival - MINUTE_NS:
            sent.popleft()
        near = [at for at, steps, before in sent if nearly(signed, order.ticks, steps, before.ticks)]
        resting = book.resting.values()
        held = book.carried + sum(o.reserved for o in resting)
        buy, sell = (sum(o.left for o in resting if o.side == side) for side in (1, -1))
        values = [
            sum(notional(self._scale, o.ticks, o.left) for o in resting if o.side == side) for side in (1, -1)
        ]
        net = book.carried if book.position > 0 else -book.carried
        return Use(
            open_buy=buy,
            open_sell=sell,
            symbol=held,
            strategy=held,
            strategy_symbol=held,
            account=held,
            everything=held,
            net_account=net,
            account_buy=values[0],
            account_sell=values[1],
            net_global=net,
            global_buy=values[0],
            global_sell=values[1],
            open_orders=len(resting),
            open_orders_strategy=len(resting),
            sent=len(sent),
            sent_strategy=len(sent),
            executions=sum(1 for _, _, before in sent if before.traded and before.side == order.side),
            near_age_ns=arrival - max(near) if near else NO_LIMIT,
            crossing=next((o.ticks for o in resting if o.side != order.side), 0),
        )

    def _trade(self, now: int, price: int, steps: int, side: int) -> None:
        # A taker who sold meets the bids, one who bought meets the asks.
        order = self._book.resting.get(side)
        if order is not None:
            filled = order.see_trade(price, steps, self._settings.model)
            if filled:
                self._fill(order, filled, now)

    def _top(self, now: int) -> None:
        for order in list(self._book.resting.values()):
            best, shown, opposite = (
                (self._bid, self._bid_steps, self._ask)
                if order.side > 0
                else (self._ask, self._ask_steps, self._bid)
            )
            if order.crossed_by(opposite, self._settings.model):
                self._fill(order, order.left, now)
            else:
                order.see_top(best, shown)

    def _fill(self, order: Resting, steps: int, now: int) -> None:
        book = self._book
        signed = order.side * steps
        quote = notional(self._scale, order.ticks, steps)
        commission = fee(quote, self._settings.maker)
        # What its order had reserved goes over to the position, pro rata.
        moved = mul_div(order.reserved, steps, order.left)
        order.reserved -= moved
        book.carried = carried_after(book.position, book.carried, signed, moved, quote)
        book.position, book.cost, book.realized = fold_trade(
            book.position, book.cost, book.realized, signed, quote
        )
        book.cash -= (quote if signed > 0 else -quote) + commission
        book.fills.append(
            (
                now,
                order.decided_ns,
                0,
                len(book.fills),
                signed,
                order.ticks,
                quote,
                commission,
                0,
                FillKind.MAKER,
            )
        )
        book.told.append(
            Execution(
                base_quantity(self._scale, signed), self._price(order.ticks), commission / UNITS, True, now
            )
        )
        order.traded = True
        order.left -= steps
        if order.left == 0:
            del book.resting[order.side]

    def _step(self, now: int, trigger: str) -> None:
        # What the venue did up to `now` is seen `feed_ns` later, and what we then want arrives later still.
        book, seen = self._book, self._seen
        self._stepped_ns = now
        seen.trigger = "bar" if trigger == "bar" else "book"
        seen.now_ns = now + self._settings.feed_ns
        seen.bar = self._bars.bar
        seen.bid, seen.ask = self._price(self._bid), self._price(self._ask)
        seen.bid_size, seen.ask_size = (
            base_quantity(self._scale, self._bid_steps),
            base_quantity(self._scale, self._ask_steps),
        )
        seen.position = base_quantity(self._scale, book.position)
        seen.average_price = average_price(self._scale, book.cost, book.position)
        middle = (seen.bid + seen.ask) / 2
        seen.unrealized = seen.position * middle - cost_quote(book.cost, book.position)
        seen.fills = tuple(book.told)
        book.told.clear()
        seen.quotes = tuple(
            WorkingQuote(
                "BUY" if o.side > 0 else "SELL", self._price(o.ticks), base_quantity(self._scale, o.left)
            )
            for o in book.resting.values()
        )
        self._state, desired = self._strategy.step(self._params, self._state, seen)
        if desired is not None:
            self._requote(seen.now_ns, desired.quotes)

    def _requote(self, decided: int, quotes: Quotes | None) -> None:
        # Prices are rounded away from the middle, so that a quote never asks for less than was meant.
        bid = ask = (0, 0)
        if quotes is not None:
            bid = (ticks_below(quotes.bid_price, self._scale), self._whole_steps(quotes.bid_size))
            ask = (ticks_above(quotes.ask_price, self._scale), self._whole_steps(quotes.ask_size))
        for side, (ticks, steps) in ((1, bid), (-1, ask)):
            last = self._last_wish(side)
            if last == (ticks, steps) or (steps == 0 and last is None):
                continue
            order = Resting(side, ticks, steps, decided, 0) if steps > 0 and ticks > 0 else None
            self._book.coming.append((decided + self._settings.order_ns, side, order))

    def _whole_steps(self, size: float) -> int:
        return int(size * self._scale.step_den / self._scale.step_num + 1e-6)

    def _last_wish(self, side: int) -> tuple[int, int] | None:
        for _, coming, order in reversed(self._book.coming):
            if coming == side:
                return None if order is None else (order.ticks, order.left)
        working = self._book.resting.get(side)
        return None if working is None else (working.ticks, working.left)


class _BarMaker:
    """Bars out of trades; `bar` is the last closed one, before that a flat one at the first middle."""

    def __init__(self, interval: str, start_ns: int, price: float) -> None:
        self._length = interval_ns(interval)
        self._open_ns = start_ns // self._length * self._length
        self.bar = Bar(self._open_ns - self._length, self._open_ns - 1, price, price, price, price, 0.0)
        self._prices: list[float] = []
        self._volume = 0.0

    def trade(self, now: int, price: float, quantity: float) -> bool:
        """Take a trade; return whether a bar closed before it."""
        closed = now >= self._open_ns + self._length
        if closed:
            last = self.bar.close
            prices = self._prices or [last]
            self.bar = Bar(
                self._open_ns,
                self._open_ns + self._length - NS_PER_S // 1000,
                prices[0],
                max(prices),
                min(prices),
                prices[-1],
                self._volume,
                trades=len(self._prices),
            )
            self._open_ns = now // self._length * self._length
            self._prices, self._volume = [], 0.0
        self._prices.append(price)
        self._volume += quantity
        return closed


def sensitivity(
    tape: Tape, strategy: Strategy, params: Any, settings: ReplaySettings
) -> dict[FillModel, ReplayResult]:
    """Return the same replay under each of the three beliefs about fills."""
    return {
        model: Replay(tape, strategy, params, replace(settings, model=model)).run() for model in FillModel
    }
