"""The same book, live and replayed: the same decisions, number by number."""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.integration.trading.services.quoting.conftest import MINUTE_MS, PARAMS, START_MS, maker_on
from trading.domain.backtest.replay import Replay, ReplaySettings
from trading.domain.backtest.tape import Tape
from trading.domain.strategies import Desired, parse_params
from trading.domain.strategies.market_maker import MarketMaker

if TYPE_CHECKING:
    from tests.factories.trading import Desk


@dataclass
class Recorder:
    """Every step of the strategy: what it saw of the book, and what it said."""

    said: list[tuple[int, float, float, Desired]]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    record = Recorder([])
    original = MarketMaker.step

    def watched(self: Any, params: Any, state: Any, seen: Any) -> Any:
        after, desired = original(self, params, state, seen)
        record.said.append((seen.now_ns, seen.bid, seen.ask, desired))
        return after, desired

    monkeypatch.setattr(MarketMaker, "step", watched)
    return record


def books(count: int) -> list[tuple[str, str]]:
    """A walk of the best prices, in ticks of a hundredth."""
    draw, mid, found = random.Random(5), 6_000_000, []
    for _ in range(count):
        mid += draw.randint(-400, 400)
        half = draw.randint(1, 300)
        found.append((f"{(mid - half) / 100:.2f}", f"{(mid + half) / 100:.2f}"))
    return found


def test_live_and_replay_decide_the_same_on_the_same_books(desk: Desk, recorder: Recorder) -> None:
    """The state goes through JSON at every step live and stays in memory in a replay; nothing else may differ."""
    params = {"allow_short": True, "volatility_spike": 1.0, "sigma_bps": 0.3, "stale_s": 4.0}
    tops = books(60)
    desk.quote("BTCUSDT", *tops[0])
    maker = maker_on(desk, **params)
    for bid, ask in tops[1:]:
        maker.look(bid, ask)
        assert maker.step()
    live = list(recorder.said)
    assert len(live) == len(tops)

    recorder.said.clear()
    times = [START_MS + MINUTE_MS - 1] + [START_MS + MINUTE_MS + 1_000 * n for n in range(1, len(tops))]
    prices = [[round(Decimal(price) * 100) for price in column] for column in zip(*tops, strict=True)]
    ones = np.full(len(tops), 100_000, dtype=np.int64)  # one coin, in steps
    nothing = np.array([], dtype=np.int64)
    tape = Tape(
        desk.btc.to_domain(),
        np.array(times, dtype=np.int64) * 1_000_000,
        np.array(prices[0], dtype=np.int64), ones,
        np.array(prices[1], dtype=np.int64), ones,
        nothing, nothing, nothing, nothing,
    )  # fmt: skip
    settings = ReplaySettings(
        maker=0, feed_ns=0, order_ns=10**18
    )  # nothing arrives: both stay without a fill
    Replay(tape, MarketMaker(), parse_params(MarketMaker.Params, PARAMS | params), settings).run()
    assert recorder.said == live
    reasons = {desired.reason for _, _, _, desired in live}
    assert {"QUOTING", "VOLATILITY_SPIKE"} <= reasons, "the walk has to be worth comparing"
