"""Two engines and the loop as plain Python: the same rows, the same bytes, however a run is cut."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.checks import limits
from tests.property.backtest.markets import Erratic, ErraticParams, perpetual, series
from trading.domain.backtest import Assignment, BacktestRun, Costs, FillMode, Inputs, Settings, SizeRule, run
from trading.domain.backtest.compiled import run_compiled
from trading.domain.values import UNITS, from_units

COSTS = st.builds(
    Costs,
    taker_bps=st.sampled_from([Decimal(0), Decimal(10), Decimal("4.5")]),
    maker_bps=st.sampled_from([Decimal(0), Decimal(2)]),
    slippage_bps=st.sampled_from([Decimal(0), Decimal("1.5"), Decimal(20)]),
    impact=st.sampled_from([Decimal(0), Decimal(1), Decimal(30)]),
    maintenance_bps=st.sampled_from([Decimal(40), Decimal(500)]),
)
SIZES = st.sampled_from(
    [
        {"size": SizeRule.fraction},
        {"size": SizeRule.allocation, "size_amount": Decimal(30_000)},
        {"size": SizeRule.quantity, "size_amount": Decimal("1.5")},
        {"size": SizeRule.quantity, "size_amount": Decimal("0.00013")},
    ]
)
LIMITS = st.sampled_from(
    [
        None,
        limits(max_notional=40_000 * UNITS, exposure_symbol=50_000 * UNITS, exposure_strategy=45_000 * UNITS),
        limits(
            max_notional=10**6 * UNITS,
            max_quantity=10 * UNITS,
            exposure_symbol=10**6 * UNITS,
            exposure_strategy=10**6 * UNITS,
            exposure_account=10**6 * UNITS,
            exposure_global=10**6 * UNITS,
            orders_per_minute=1,
        ),
    ]
)


@st.composite
def runs(draw: Any) -> Inputs:
    """A run of the erratic strategy under any assumptions."""
    bars, seed = draw(st.integers(2, 250)), draw(st.integers(0, 10_000))
    fill = draw(st.sampled_from(list(FillMode)))
    late = fill is FillMode.next_open
    assumptions = Settings(
        fill=fill,
        costs=draw(COSTS),
        long_only=draw(st.booleans()),
        latency_bars=draw(st.integers(0, 3)) if late else 0,
        latency_ns=draw(st.sampled_from([0, 250_000_000, 150_000_000_000])) if late else 0,
        limits=draw(LIMITS),
        rebalance_band=draw(st.sampled_from([Decimal(0), Decimal("0.1")])),
        max_child=draw(st.sampled_from([None, Decimal(7_000)])),
        leverage=draw(st.sampled_from([Decimal(1), Decimal(20)])),
        touch_fills=draw(st.booleans()),
        **draw(SIZES),
    )
    strategy, params = Erratic(), ErraticParams(draw(st.booleans()))
    if draw(st.booleans()):
        market, funding = perpetual(seed, bars)
        return Inputs([market], [Assignment("BTCUSDT", strategy, params)], assumptions, {"BTCUSDT": funding})
    return Inputs([series(seed, bars)], [Assignment("BTCUSDT", strategy, params)], assumptions)


def same(left: Any, right: Any) -> None:
    for name in ("fills", "refusals", "funding"):
        assert getattr(left.ledger, name).tolist() == getattr(right.ledger, name).tolist(), name
    assert left.equity.tolist() == right.equity.tolist()
    assert left.final_equity == right.final_equity == from_units(int(left.equity[-1]))
    assert left.sha256 == right.sha256


@given(runs())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_compiled_loop_as_plain_python_gives_the_rows_of_the_python_engine(inputs: Inputs) -> None:
    same(run(inputs), run_compiled(inputs, interpreted=True))


@given(runs())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_machine_code_gives_the_rows_of_the_python_engine(inputs: Inputs) -> None:
    pytest.importorskip("numba", reason="the compiled engine needs numba")
    same(run(inputs), run_compiled(inputs))


@given(runs(), st.lists(st.integers(1, 120), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_run_cut_into_pieces_and_taken_up_elsewhere_has_the_same_bytes(
    inputs: Inputs, pieces: list[int]
) -> None:
    whole = run(inputs)
    backtest = BacktestRun(inputs)
    for piece in pieces:
        backtest.advance(piece)
        text, backtest = backtest.checkpoint(), BacktestRun(inputs)
        backtest.restore(text)
    backtest.advance()
    same(whole, backtest.result())
