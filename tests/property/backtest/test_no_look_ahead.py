"""Whatever comes after a bar changes nothing that was decided, filled or refused up to it."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.backtest.markets import Erratic, ErraticParams, series
from trading.domain.backtest import (
    Assignment,
    BacktestResult,
    BarSeries,
    Costs,
    FillMode,
    Inputs,
    Settings,
    run,
)

IMPACT = Costs(impact=Decimal(1), slippage_bps=Decimal(1))


def result(market: BarSeries, fill: FillMode) -> BacktestResult:
    assignment = Assignment("BTCUSDT", Erratic(), ErraticParams())
    return run(Inputs([market], [assignment], Settings(fill=fill, costs=IMPACT)))


def up_to(found: BacktestResult, bar: int) -> list[list[int]]:
    return [row for row in found.ledger.fills.tolist() + found.ledger.refusals.tolist() if _bar(row) <= bar]


def _bar(row: list[int]) -> int:
    return row[3] if len(row) == 10 else row[2]


@given(st.integers(0, 999), st.integers(5, 119), st.sampled_from(list(FillMode)))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_another_future_leaves_the_past_alone(seed: int, cut: int, fill: FillMode) -> None:
    market, other = series(seed, 120), series(seed + 1, 120)
    changed = {}
    for name in ("open", "high", "low", "close", "volume"):
        column = getattr(market, name).copy()
        column[cut:] = getattr(other, name)[cut:]
        changed[name] = column
    mixed = BarSeries(
        market.instrument, market.interval, market.open_ns, market.close_ns, **changed,
        quote_volume=market.quote_volume, trades=market.trades, taker_base=market.taker_base,
    )  # fmt: skip
    first, second = result(market, fill), result(mixed, fill)
    assert up_to(first, cut - 1) == up_to(second, cut - 1)
    assert first.equity[: cut + 1].tolist() == second.equity[: cut + 1].tolist()


@given(st.integers(0, 999), st.integers(2, 120), st.sampled_from(list(FillMode)))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_shorter_history_gives_the_beginning_of_the_longer_one(seed: int, cut: int, fill: FillMode) -> None:
    market = series(seed, 120)
    whole, part = result(market, fill), result(market.first(cut), fill)
    assert up_to(whole, cut - 1) == part.ledger.fills.tolist() + part.ledger.refusals.tolist()
    assert whole.equity[: cut + 1].tolist() == part.equity.tolist()


@given(st.integers(0, 999))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_order_fills_before_the_first_open_after_its_decision(seed: int) -> None:
    market = series(seed, 150)
    found = result(market, FillMode.next_open)
    fills, decided = found.ledger.column("fills", "time_ns"), found.ledger.column("fills", "decided_ns")
    market_orders = found.ledger.column("fills", "kind") == 0
    assert market_orders.sum() > 5
    assert (fills[market_orders] > decided[market_orders]).all()
    bars = found.ledger.column("fills", "bar")[market_orders]
    assert np.array_equal(fills[market_orders], market.open_ns[bars])
