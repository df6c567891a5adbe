"""The Python engine: any strategy, several instruments and strategies on one account, in order of time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, cast

import numpy as np

from trading.domain.backtest.account import Account
from trading.domain.backtest.arithmetic import PARTS, mul_div, slotted
from trading.domain.backtest.checkpoint import read_lanes, write_lanes
from trading.domain.backtest.fold import cost_quote
from trading.domain.backtest.inputs import Inputs
from trading.domain.backtest.lane import Lane
from trading.domain.backtest.ledger import FILL_COLUMNS, FUNDING_COLUMNS, REFUSAL_COLUMNS, Ledger
from trading.domain.backtest.leg import NO_SLOWER, Leg
from trading.domain.backtest.result import BacktestResult
from trading.domain.backtest.series import BarSeries, FundingSeries, IntArray, slower_bars
from trading.domain.strategies import Bar
from trading.domain.values import Market, to_units

_ALWAYS = 1 << 62
BLOCK: Final = 4096
"""Bars turned into Python numbers at a time: few enough to stay in the processor's cache."""


class BacktestRun:
    """A run that can be advanced in pieces, looked at between them, written down and taken up again.

    Whatever the pieces, the result is the same to the byte.
    """

    def __init__(self, inputs: Inputs) -> None:
        settings = inputs.settings
        self._inputs = inputs
        self._account = Account(to_units(settings.cash), int(settings.leverage * PARTS))
        self._cursor = 0
        spot = inputs.series[0].instrument.market is Market.spot
        for number, series in enumerate(inputs.series):
            funding = inputs.funding.get(series.symbol, FundingSeries())
            slower = _slower(series, inputs.slower_of(series.symbol))
            lane = Lane(number, series, funding, settings, self._account, slower)
            lane.legs = [
                Leg(
                    a.strategy,
                    a.params,
                    a.share,
                    series.symbol,
                    series.interval,
                    spot or settings.long_only,
                    slotted(inputs.limit_table(a)),
                )
                for a in inputs.assignments
                if a.symbol == series.symbol
            ]
            if any(leg.reads_funding for leg in lane.legs):
                lane.know_rates(funding)
            for leg in lane.legs:
                leg.quantity = mul_div(lane.quantity, leg.share, PARTS)
            self._account.lanes.append(lane)
        self._account.open(settings.groups)
        self._alone = len(self._account.lanes) == 1 and len(self._account.lanes[0].legs) == 1
        self._groups = [] if self._alone else _groups(inputs.series)
        self.total = len(inputs.series[0]) if self._alone else len(self._groups)

    @property
    def done(self) -> int:
        """Steps of `total` behind us: bars of a single strategy, else moments at which something happens."""
        return self._cursor

    @property
    def finished(self) -> bool:
        """Whether the last bar has closed."""
        return self._cursor >= self.total

    def advance(self, steps: int = _ALWAYS) -> bool:
        """Live through at most so many steps; return whether the run is finished."""
        stop = min(self.total, self._cursor + steps)
        if self._alone:
            _run_alone(self._account.lanes[0], self._cursor, stop)
        else:
            for at in range(self._cursor, stop):
                kind, events = self._groups[at]
                _open_group(self._account, events) if kind else _close_group(self._account, events)
        self._cursor = stop
        return self.finished

    @property
    def begun(self) -> bool:
        """Whether a bar of every instrument has closed, so that there is a result."""
        return all(self._lengths())

    def result(self) -> BacktestResult:
        """Return the record up to now; of several instruments as of their last closed bars.

        Raises
        ------
        ValueError : an instrument has no closed bar yet.
        """
        lanes = self._account.lanes
        lengths = self._lengths()
        if not all(lengths):
            raise ValueError("nothing has happened yet")
        # A bar that is open has no close yet at which what happened in it could be counted.
        rows = {
            name: _table(
                [row for lane in lanes for row in getattr(lane, attribute) if row[at] < lengths[lane.number]],
                columns,
            )
            for name, attribute, columns, at in (
                ("fills", "fills", FILL_COLUMNS, FILL_COLUMNS.index("bar")),
                ("refusals", "refusals", REFUSAL_COLUMNS, REFUSAL_COLUMNS.index("bar")),
                ("funding", "paid", FUNDING_COLUMNS, FUNDING_COLUMNS.index("bar")),
            )
        }
        series = tuple(s.first(n) for s, n in zip(self._inputs.series, lengths, strict=True))
        return BacktestResult(self._inputs, series, Ledger(**rows), complete=self.finished)

    def _lengths(self) -> list[int]:
        if self._alone:
            return [self._cursor]
        closed = [0] * len(self._account.lanes)
        for kind, events in self._groups[: self._cursor]:
            if not kind:
                for lane, bar in events:
                    closed[lane] = bar + 1
        return closed

    def checkpoint(self) -> str:
        """Return everything needed to go on later, as JSON text."""
        return json.dumps(
            {"header": self._digest(), "cursor": self._cursor, **write_lanes(self._account)},
            allow_nan=False,
        )

    def restore(self, text: str) -> None:
        """Go on from a checkpoint of a run with the same inputs.

        Raises
        ------
        ValueError : the text is no checkpoint, or of other inputs.
        """
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("header") != self._digest():
            raise ValueError("the checkpoint belongs to a run with other bars, strategies or settings")
        read_lanes(self._account, data)
        self._cursor = int(data["cursor"])

    def _digest(self) -> str:
        return hashlib.sha256(json.dumps(self._inputs.header(), sort_keys=True).encode()).hexdigest()


def run(inputs: Inputs) -> BacktestResult:
    """Run to the end in one piece."""
    backtest = BacktestRun(inputs)
    backtest.advance()
    return backtest.result()


def _run_alone(lane: Lane, first: int, stop: int) -> None:
    for start in range(first, stop, BLOCK):
        _run_block(lane, start, min(stop, start + BLOCK))


def _run_block(lane: Lane, first: int, stop: int) -> None:
    # The hot loop: what a bar costs when nothing happens is the strategy, ten stores and four tests.
    leg = lane.legs[0]
    step, params, state, observation, bar = (
        leg.strategy.step, leg.params, leg.state, leg.observation, leg.bar
    )  # fmt: skip
    slower, fixed, series, part = lane.slower, lane.quantity > 0, lane.series, slice(first, stop)
    columns = zip(
        range(first, stop),
        series.open_ns[part].tolist(),
        series.close_ns[part].tolist(),
        *(series.price(c[part]).tolist() for c in (series.open, series.high, series.low, series.close)),
        series.volume[part].tolist(),
        series.quote_volume[part].tolist(),
        series.trades[part].tolist(),
        series.taker_base[part].tolist(),
        strict=True,
    )
    observation.bar = cast(Bar, bar)
    shown = bool(observation.fills)
    rates = lane.rates if leg.reads_funding else None
    for (
        i, bar.open_ns, close_ns, bar.open, bar.high, bar.low, close, bar.volume, bar.quote_volume, bar.trades,
        bar.taker_base,
    ) in columns:  # fmt: skip
        if lane.busy:
            lane.opened(i)
        bar.close_ns = observation.now_ns = close_ns
        bar.close = observation.bid = observation.ask = close
        if lane.position:
            observation.unrealized = observation.position * close - lane.worth
        if leg.executions:
            leg.told()
            shown = True
        elif shown:
            observation.fills = ()
            shown = False
        if slower:
            observation.slower = slower.get(i, NO_SLOWER)
        if rates is not None:
            observation.funding = rates[i]
        state, desired = step(params, state, observation)
        if desired is not None and desired is not leg.seen and leg.take(desired):
            lane.settled = False
        if not lane.settled or (not fixed and (leg.target or lane.position)):
            lane.mark = lane.close[i]
            lane.decide(i)
    leg.state = state


def _open_group(account: Account, events: Sequence[tuple[int, int]]) -> None:
    for number, i in events:
        lane = account.lanes[number]
        if lane.busy:
            lane.opened(i)


def _close_group(account: Account, events: Sequence[tuple[int, int]]) -> None:
    # All marks first: what one lane decides must not depend on another's old price.
    for number, i in events:
        account.lanes[number].mark = account.lanes[number].close[i]
    if account.measured:
        lane, i = account.lanes[events[0][0]], events[0][1]
        account.measure_all(lane.close_ns[i])
    for number, i in events:
        lane = account.lanes[number]
        for leg in lane.legs:
            _observe(lane, leg, i)
            leg.state, desired = leg.strategy.step(leg.params, leg.state, leg.observation)
            if desired is not None and desired is not leg.seen and leg.take(desired):
                lane.settled = False
    for number, i in events:
        lane = account.lanes[number]
        follows = lane.quantity == 0 and (lane.position or any(leg.target for leg in lane.legs))
        if not lane.settled or follows:
            lane.decide(i)


def _observe(lane: Lane, leg: Leg, i: int) -> None:
    series, bar, seen = lane.series, leg.bar, leg.observation
    top, bottom = lane.tick_ratio
    bar.open_ns, bar.close_ns = lane.open_ns[i], lane.close_ns[i]
    bar.open, bar.high = lane.open[i] * top / bottom, lane.high[i] * top / bottom
    bar.low, bar.close = lane.low[i] * top / bottom, lane.close[i] * top / bottom
    bar.volume, bar.quote_volume = float(series.volume[i]), float(series.quote_volume[i])
    bar.trades, bar.taker_base = int(series.trades[i]), float(series.taker_base[i])
    seen.now_ns, seen.bid, seen.ask = bar.close_ns, bar.close, bar.close
    if leg.attributed:
        cost = lane.cost * abs(leg.attributed) // abs(lane.position) if lane.position else 0
        seen.unrealized = seen.position * bar.close - cost_quote(cost, leg.attributed)
    leg.told()
    if leg.reads_funding:
        seen.funding = lane.rates[i]
    seen.slower = lane.slower.get(i, NO_SLOWER) if lane.slower else NO_SLOWER


def _groups(series: Sequence[BarSeries]) -> list[tuple[int, list[tuple[int, int]]]]:
    """What happens when: (1 open or 0 close, [(lane, bar), ...]), closes before opens of the same moment."""
    sizes = [len(s) for s in series]
    times = np.concatenate([c for s in series for c in (s.open_ns, s.close_ns)])
    kinds = np.concatenate([k for n in sizes for k in (np.ones(n, np.int64), np.zeros(n, np.int64))])
    lanes = np.concatenate([np.full(2 * n, at, np.int64) for at, n in enumerate(sizes)])
    bars = np.concatenate([b for n in sizes for b in (np.arange(n), np.arange(n))])
    order = np.lexsort((lanes, kinds, times))
    times, kinds, lanes, bars = times[order], kinds[order], lanes[order], bars[order]
    new = np.concatenate(([True], (times[1:] != times[:-1]) | (kinds[1:] != kinds[:-1])))
    starts = np.flatnonzero(new).tolist()
    pairs = list(zip(lanes.tolist(), bars.tolist(), strict=True))
    ends = [*starts[1:], len(pairs)]
    return [(int(kinds[a]), pairs[a:b]) for a, b in zip(starts, ends, strict=True)]


def _slower(series: BarSeries, intervals: Sequence[str]) -> dict[int, Mapping[str, Bar]]:
    found: dict[int, dict[str, Bar]] = {}
    for interval in intervals:
        for at, bar in slower_bars(series, interval):
            found.setdefault(at, {})[interval] = bar
    return {at: MappingProxyType(bars) for at, bars in found.items()}


def _table(rows: list[tuple[int, ...]], columns: Sequence[str]) -> IntArray:
    if not rows:
        return np.zeros((0, len(columns)), np.int64)
    table = np.array(rows, dtype=np.int64)
    # Lanes are read one after the other; the order of time is restored, stable within a lane.
    return table[np.argsort(table[:, 0], kind="stable")]
