"""Both engines against the fewest lines that do the same, in both fill modes: same trades, same equity to the cent."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.backtest.markets import series
from trading.domain.backtest import (
    Assignment,
    BacktestResult,
    BarSeries,
    Costs,
    FillMode,
    Inputs,
    Settings,
    SizeRule,
    run,
)
from trading.domain.backtest.compiled import run_compiled
from trading.domain.strategies.moving_average import MovingAverage, MovingAverageParams

CASH, UNIT = Decimal(1_000_000), Decimal("0.00000001")
FEE = Decimal("0.001")


def bare(market: BarSeries, fast: int, slow: int, fill: FillMode) -> tuple[list[tuple[int, int]], Decimal]:
    """One coin long while the fast average is above the slow one: (bar, side) of each trade, and the equity.

    Averages are sums of whole ticks, so they tie where they are equal and nowhere else.
    """
    tick = market.instrument.tick_size
    opens, closes = market.open.tolist(), market.close.tolist()
    cash, held, wish = CASH, 0, 0
    trades: list[tuple[int, int]] = []

    def trade(bar: int, ticks: int) -> None:
        nonlocal cash, held
        if wish == held:
            return
        side = wish - held
        price = ticks * tick
        cash -= side * price + (price * FEE).quantize(UNIT, rounding=ROUND_CEILING)
        held = wish
        trades.append((bar, side))

    for bar, (opened, close) in enumerate(zip(opens, closes, strict=True)):
        if fill is FillMode.next_open:
            trade(bar, opened)
        if bar + 1 >= slow:
            gap = sum(closes[bar + 1 - fast : bar + 1]) * slow - sum(closes[bar + 1 - slow : bar + 1]) * fast
            wish = 1 if gap > 0 else 0 if gap < 0 else wish
        if fill is FillMode.same_close:
            trade(bar, close)
    return trades, cash + held * closes[-1] * tick


def agree(found: BacktestResult, trades: list[tuple[int, int]], equity: Decimal) -> None:
    bars, signed = found.ledger.column("fills", "bar"), found.ledger.column("fills", "steps")
    assert [(int(bar), 1 if steps > 0 else -1) for bar, steps in zip(bars, signed, strict=True)] == trades
    assert abs(found.final_equity - equity) < Decimal("0.01")


@given(
    st.integers(0, 9_999), st.integers(30, 200), st.integers(1, 8), st.integers(1, 15),
    st.sampled_from(list(FillMode)),
)  # fmt: skip
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_both_engines_and_the_bare_kernel_agree(
    seed: int, bars: int, fast: int, more: int, fill: FillMode
) -> None:
    pytest.importorskip("numba", reason="the compiled engine needs numba")
    market, slow = series(seed, bars), fast + more
    assumptions = Settings(
        cash=CASH,
        costs=Costs(taker_bps=Decimal(10)),
        size=SizeRule.quantity,
        size_amount=Decimal(1),
        fill=fill,
    )
    inputs = Inputs(
        [market],
        [Assignment(market.symbol, MovingAverage(), MovingAverageParams(fast, slow))],
        assumptions,
    )
    trades, equity = bare(market, fast, slow, fill)
    agree(run(inputs), trades, equity)
    agree(run_compiled(inputs), trades, equity)
