"""Two engines and the loop as plain Python: the same rows, the same bytes, however a run is cut."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.checks import limits
from tests.property.backtest.markets import Erratic, ErraticParams, perpetual, series
from trading.domain.backtest import (
    Assignment,
    BacktestRun,
    BarSeries,
    Costs,
    FillMode,
    Inputs,
    Settings,
    SizeRule,
    run,
)
from trading.domain.backtest.compiled import run_compiled
from trading.domain.backtest.limits import LossLimits
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
CAPS = (
    "max_notional", "soft_notional", "exposure_symbol", "exposure_strategy", "exposure_strategy_symbol",
    "exposure_group", "exposure_account", "exposure_global", "net_account", "net_global",
)  # fmt: skip
SECOND = 1_000_000_000


@st.composite
def bounds(draw: Any) -> dict[str, Any]:
    """Limits, each either far away or where a run of 100,000 meets it; one in four runs has none."""
    if draw(st.integers(0, 3)) == 0:
        return {}
    far, few = st.just(10**9), st.sampled_from([1, 2, 4, 1_000, 1_000])
    amounts = st.one_of(far, far, far, st.sampled_from([20_000, 45_000, 70_000, 90_000]))
    found = limits(
        min_notional=draw(st.sampled_from([0, 10, 5_000])) * UNITS,
        max_quantity=draw(st.sampled_from([2 * UNITS, 10**6 * UNITS])),
        **{name: draw(amounts) * UNITS for name in CAPS},
        orders_per_minute=draw(few),
        orders_per_minute_strategy=draw(few),
        repeated_executions=draw(st.sampled_from([3, 1_000, 1_000, 1_000])),
        sends_per_decision=draw(st.sampled_from([2, 1_000, 1_000])),
        slippage_bps=draw(st.sampled_from([20, 20, 20, 19])),
        near_window_ns=draw(st.sampled_from([0, 0, 2, 61])) * SECOND,
        loss_cooldown_ns=draw(st.sampled_from([0, 0, 600])) * SECOND,
        leverage_max=draw(st.sampled_from([20, 20, 19])),
        margin_ratio_max=draw(st.sampled_from([10_000, 500_000, 1_000_000])),
        liquidation_distance_min=draw(st.sampled_from([0, 40_000, 100_000])),
    )
    losses = LossLimits(draw(st.sampled_from([None, 300 * UNITS])), draw(st.sampled_from([None, 10_000])))
    groups = draw(st.sampled_from([{}, {"majors": ("BTCUSDT", "ETHUSDT")}]))
    return {"limits": found, "losses": losses, "groups": groups}


OWN = st.sampled_from([LossLimits(), LossLimits(), LossLimits(250 * UNITS, 9_000, 3)])


def in_seconds(minutes: BarSeries) -> BarSeries:
    """The same bars in seconds: then orders of several bars fall into one minute."""
    opened = minutes.open_ns[0] + (minutes.open_ns - minutes.open_ns[0]) // 60
    columns = (minutes.open, minutes.high, minutes.low, minutes.close)
    rest = (minutes.volume, minutes.quote_volume, minutes.trades, minutes.taker_base)
    return BarSeries(minutes.instrument, "1s", opened, opened + SECOND - 1_000_000, *columns, *rest)


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
        **draw(bounds()),
        rebalance_band=draw(st.sampled_from([Decimal(0), Decimal("0.1")])),
        max_child=draw(st.sampled_from([None, Decimal(7_000)])),
        leverage=draw(st.sampled_from([Decimal(1), Decimal(20)])),
        touch_fills=draw(st.booleans()),
        **draw(SIZES),
    )
    params, own = ErraticParams(draw(st.booleans())), draw(OWN)
    assignment = Assignment("BTCUSDT", Erratic(), params, losses=own)
    if draw(st.booleans()):
        market, funding = perpetual(seed, bars)
        return Inputs([market], [assignment], assumptions, {"BTCUSDT": funding})
    market = series(seed, bars)
    return Inputs([in_seconds(market) if draw(st.booleans()) else market], [assignment], assumptions)


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
