"""A market maker's whole replay knows nothing of what comes next: quotes, refusals and fills up to a moment stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.instruments import usdm
from trading.domain.backtest.queueing import FillModel
from trading.domain.backtest.replay import Replay, ReplaySettings
from trading.domain.backtest.replay_result import ReplayResult
from trading.domain.backtest.tape import Tape
from trading.domain.strategies import parse_params
from trading.domain.strategies.market_maker import MarketMaker

SECOND = 1_000_000_000
START = 1_700_000_040 * SECOND
TOPS = 200
PARAMS = {
    "lot": 0.01, "tick_size": 0.01, "inventory_limit": 5, "maker_fee_bps": 0.0, "widest_bps": 1_000.0,
    "sigma_bps": 2.0, "volatility_spike": 100.0, "run_fills": 4, "toxic_fills": 3, "pause_s": 5.0,
    "requote_ticks": 0, "allow_short": True,
}  # fmt: skip


def tape(seed: int, count: int = TOPS) -> Tape:
    """A walk of the best prices with trades that often reach beyond them; the first n do not depend on the count."""
    tops, trades = [], []
    rng = np.random.default_rng(seed)
    mid, now = 600_000, START
    for _ in range(count):
        now += int(rng.integers(SECOND // 5, SECOND))
        mid += int(rng.integers(-300, 301))
        half = int(rng.integers(1, 12))
        tops.append((now, mid - half, int(rng.integers(1, 500)), mid + half, int(rng.integers(1, 500))))
        sold = int(rng.integers(0, 2))
        reach = int(rng.integers(0, 600))
        trades.append(
            (now + SECOND // 10, mid - reach if sold else mid + reach, int(rng.integers(100, 4_000)), sold)
        )
    columns = [
        np.array(column, dtype=np.int64) for rows in (tops, trades) for column in zip(*rows, strict=True)
    ]
    return Tape(usdm(), *columns)


def played(market: Tape, model: FillModel) -> ReplayResult:
    return Replay(
        market, MarketMaker(), parse_params(MarketMaker.Params, PARAMS), ReplaySettings(model=model)
    ).run()


def until(found: ReplayResult, ns: int) -> list[list[int]]:
    return [row for row in found.fills.tolist() + found.refusals.tolist() if row[0] <= ns]


def cut(market: Tape, other: Tape | None, at: int) -> tuple[Tape, int]:
    """The beginning of a tape, and what follows of another one, later."""
    ns = int(market.top_ns[at])
    groups = (("top_ns", "bid", "bid_steps", "ask", "ask_steps"), ("trade_ns", "price", "steps", "sold"))
    changes = {}
    for names in groups:
        keep = getattr(market, names[0]) <= ns
        for name in names:
            column = getattr(market, name)[keep]
            if other is not None:
                column = np.concatenate((column, getattr(other, name)[getattr(other, names[0]) > ns]))
            changes[name] = column
    return replace(market, **changes), ns


few = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("model", list(FillModel))
@few
@given(seed=st.integers(0, 9_999), at=st.integers(20, TOPS - 2))
def test_a_tape_cut_short_gives_the_beginning_of_the_whole(model: FillModel, seed: int, at: int) -> None:
    market = tape(seed)
    short, ns = cut(market, None, at)
    whole = played(market, model)
    assert until(played(short, model), ns) == until(whole, ns)
    assert len(whole.fills) > 3, "a replay without fills proves nothing"


@pytest.mark.parametrize("model", list(FillModel))
@few
@given(seed=st.integers(0, 9_999), at=st.integers(20, TOPS - 2))
def test_another_future_changes_nothing_before_it(model: FillModel, seed: int, at: int) -> None:
    market = tape(seed)
    mixed, ns = cut(market, tape(seed + 1), at)
    assert until(played(mixed, model), ns) == until(played(market, model), ns)
