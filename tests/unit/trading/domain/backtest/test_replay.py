from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import pytest

from tests.fakes.instruments import spot
from trading.domain.backtest.queueing import FillModel
from trading.domain.backtest.replay import Replay, ReplaySettings, sensitivity
from trading.domain.backtest.tape import Tape
from trading.domain.strategies import Desired, Quotes, Strategy, parameter

MS = 1_000_000
T0 = 1_700_000_000_000_000_000


def tape(tops, trades=()):
    """tops: (ms, bid, bid coins, ask, ask coins); trades: (ms, price, coins, sold); prices in quote."""

    def column(rows, at, scale=1):
        return np.array([round(row[at] * scale) for row in rows], dtype=np.int64)

    return Tape(
        spot(),
        T0 + column(tops, 0, MS),
        column(tops, 1, 100),
        column(tops, 2, 100_000),
        column(tops, 3, 100),
        column(tops, 4, 100_000),
        T0 + column(trades, 0, MS),
        column(trades, 1, 100),
        column(trades, 2, 100_000),
        column(trades, 3),
    )


@dataclass(frozen=True)
class Params:
    """Sizes in coins, 0 for no quote on that side."""

    bid: float = parameter(1.0)
    ask: float = parameter(0.0)
    price: float = parameter(0.0)


class Join(Strategy):
    """Quotes at the best prices, or its bid at a fixed one."""

    name = "join"
    Params = Params

    def __init__(self):
        self.shown = []

    def warmup(self, params):
        return 0

    def initial(self, params):
        return None

    def step(self, params, state, seen):
        self.shown.append((seen.trigger, seen.now_ns, seen.position, seen.fills, seen.quotes, seen.bar.close))
        bid = params.price or seen.bid
        return state, Desired(0.0, quotes=Quotes(bid, params.bid, seen.ask, params.ask))


FREE = ReplaySettings(maker=0, feed_ns=0, order_ns=0)
QUIET = [(n * 100, 100.0, 2.0, 100.1, 2.0) for n in range(40)]


def play(tops, trades=(), params=None, **changes):
    return Replay(tape(tops, trades), Join(), params or Params(), replace(FREE, **changes)).run()


def test_a_bid_fills_once_the_queue_ahead_of_it_is_served():
    # Two coins were there first. The strategy joins at 0 ms; with no latency it is in the book at the next event.
    trades = [(150, 100.0, 1.5, 1), (250, 100.0, 0.5, 1), (350, 100.0, 0.4, 1), (450, 100.0, 3.0, 1)]
    shown = [
        (n * 100, 100.0, {2: 0.5, 3: 0.0}.get(n, 2.0 if n < 2 else 0.0) or 0.0001, 100.1, 2.0)
        for n in range(6)
    ]
    result = play(shown, trades, every_ns=10_000 * MS)
    assert result.fills[:, 0].tolist() == [T0 + 350 * MS, T0 + 450 * MS]
    assert (result.fills[:, 4] / 100_000).tolist() == [0.4, 0.6]


def test_only_takers_of_the_other_side_fill_a_quote():
    assert len(play(QUIET, [(1_000, 100.0, 50.0, 0)]).fills) == 0
    assert len(play(QUIET, [(1_000, 100.0, 50.0, 1)]).fills) == 1


def test_the_three_beliefs_are_ordered_from_generous_to_strict():
    trades = [(1_050 + 200 * n, 100.0, 0.7, 1) for n in range(9)]
    found = sensitivity(tape(QUIET, trades), Join(), Params(), FREE)
    bought = {model: int(found[model].position[-1]) for model in FillModel}
    assert bought[FillModel.touch] > bought[FillModel.queue] > bought[FillModel.through] == 0


def test_an_order_reaches_the_book_only_after_its_latency():
    trades = [(130, 100.0, 50.0, 1)]
    assert len(play(QUIET, trades, feed_ns=50 * MS, order_ns=80 * MS).fills) == 1
    assert len(play(QUIET, trades, feed_ns=50 * MS, order_ns=81 * MS).fills) == 0


def test_a_quote_that_would_take_when_it_arrives_is_refused():
    tops = [(0, 100.0, 2.0, 100.1, 2.0), (100, 99.8, 2.0, 99.9, 2.0), (10_000, 99.8, 2.0, 99.9, 2.0)]
    result = play(tops, params=Params(price=100.0), order_ns=150 * MS, every_ns=20_000 * MS)
    assert (len(result.fills), result.refusals_by_rail) == (0, {"venue_filter": 1})


def test_spot_cannot_quote_what_it_does_not_hold():
    assert set(play(QUIET, params=Params(0.0, 1.0)).refusals_by_rail) == {"free_balance"}
    held = play(QUIET, [(1_000, 100.1, 50.0, 0)], params=Params(0.0, 1.0), inventory=Decimal(1))
    assert held.position[-1] == 0


def test_an_unchanged_wish_keeps_its_place_in_the_queue():
    strategy = Join()
    Replay(tape(QUIET), strategy, Params(), FREE).run()
    assert {quotes for *_, quotes, _ in strategy.shown[2:]} == {strategy.shown[2][4]}
    assert strategy.shown[2][4][0].size == 1.0


def test_the_strategy_is_stepped_at_most_as_often_as_asked_and_at_closed_bars():
    strategy = Join()
    tops = [(n * 10, 100.0, 2.0, 100.1, 2.0) for n in range(100)]
    Replay(tape(tops), strategy, Params(), FREE).run()
    assert len(strategy.shown) == 10
    strategy = Join()
    trades = [(1_000, 100.05, 1.0, 1), (61_000, 100.2, 1.0, 0)]
    Replay(tape([*tops[:1], (61_500, 100.0, 2.0, 100.1, 2.0)], trades), strategy, Params(), FREE).run()
    assert [(trigger, close) for trigger, *_, close in strategy.shown] == [
        ("book", 100.05),
        ("bar", 100.05),
        ("book", 100.05),
    ]


def test_fees_equity_and_profit_follow_from_the_fills():
    tops = [*QUIET, (4_000, 110.0, 2.0, 112.0, 2.0)]
    result = play(tops, [(1_000, 99.9, 5.0, 1)], maker=100_000)
    assert (result.fees, result.volume) == (Decimal("0.1"), 100)
    assert result.profit == Decimal("10.9")  # one coin bought at 100, the middle at 111, 10 bps of 100 paid


def test_markouts_say_how_the_market_moved_after_each_fill():
    tops = [*QUIET, (4_000, 99.0, 2.0, 99.2, 2.0), (30_000, 99.0, 2.0, 99.2, 2.0)]
    result = play(tops, [(1_000, 99.9, 5.0, 1)], every_ns=60_000 * MS)
    # 1 s later the middle was still 100.05, 10 s later 99.10; the tape ends before 60 s.
    assert result.markouts_bps(1) == pytest.approx([5.0])
    assert result.mean_markout_bps(10) == pytest.approx(-90.0)
    assert result.mean_markout_bps(60) is None


def test_the_same_tape_gives_the_same_digest():
    trades = [(1_050 + 200 * n, 100.0, 0.7, 1) for n in range(9)]
    assert play(QUIET, trades).sha256 == play(QUIET, trades).sha256
    assert play(QUIET, trades).sha256 != play(QUIET, trades[:-1]).sha256


def test_a_crossed_book_is_refused():
    with pytest.raises(ValueError, match="bid below ask"):
        tape([(0, 100.0, 1.0, 100.0, 1.0)])
