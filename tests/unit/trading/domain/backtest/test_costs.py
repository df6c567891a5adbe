import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.fakes.instruments import spot, usdm
from trading.domain.backtest import Costs, Settings
from trading.domain.backtest.arithmetic import PARTS
from trading.domain.backtest.costs import (
    CostTable,
    fee,
    fillable_steps,
    funding_payment,
    impact_rate,
    slipped,
)
from trading.domain.backtest.scale import notional, scale_of
from trading.domain.values import UNITS

CASES = json.loads((Path(__file__).resolve().parents[4] / "data/science_cases.json").read_text())
B20 = next(case for case in CASES if case["id"] == "B20")


def parts(rate: float) -> int:
    return round(rate * PARTS)


def test_case_b20_a_perpetual_round_trip_costs_what_the_definition_says():
    scale, told, expected = scale_of(usdm()), B20["args"], B20["expected"]
    steps = round(told["qty"] / 0.00001)
    slip = parts(told["slip_bps"] / 10_000)
    paid = slipped(notional(scale, round(told["entry"] * 100), steps), 1, slip)
    got = slipped(notional(scale, round(told["exit"] * 100), steps), -1, slip)
    fees = fee(paid, parts(told["fee_in"])) + fee(got, parts(told["fee_out"]))
    funding = sum(
        funding_payment(scale, steps, round(mark * 100), parts(rate)) for mark, rate in told["fundings"]
    )
    tolerance = B20["tol"] * abs(expected["net"])
    assert (got - paid) / UNITS == pytest.approx(expected["gross"], abs=tolerance)
    assert fees / UNITS == pytest.approx(expected["fees"], abs=tolerance)
    assert -funding / UNITS == pytest.approx(expected["funding"], abs=tolerance)
    assert (got - paid - fees - funding) / UNITS == pytest.approx(expected["net"], abs=tolerance)


def test_a_fee_is_cut_to_the_unit():
    # 123.45678901 quote at 10 bps is 0.12345678901: the ninth decimal is given away by the venue.
    assert fee(12_345_678_901, parts(0.001)) == 12_345_678


def test_slippage_always_counts_against_us():
    assert slipped(10_001, 1, parts(0.0001)) == 10_003  # 1.0001 rounded up
    assert slipped(10_001, -1, parts(0.0001)) == 9_999


@pytest.mark.parametrize(
    ("position", "rate", "paid"),
    [(50_000, 0.0001, 3.0), (50_000, -0.0001, -3.0), (-50_000, 0.0001, -3.0), (-50_000, -0.0001, 3.0)],
)
def test_longs_pay_a_positive_funding_rate_and_shorts_receive_it(position, rate, paid):
    scale = scale_of(usdm())
    assert funding_payment(scale, position, 6_000_000, parts(rate)) == paid * UNITS


def table(**changes):
    values = {
        "taker": 0,
        "maker": 0,
        "slippage": parts(0.0001),
        "collar_bps": 20,
        "maintenance": 0,
        "impact": 1.0,
    }
    return CostTable(**(values | changes))


def test_impact_is_half_spread_plus_the_square_root_law():
    # 1 bp + 1 x 0.02 x sqrt(100 / 40,000) = 1 bp + 10 bps
    assert impact_rate(table(), 100, 40_000.0, 0.02) == parts(0.0011)


def test_without_volume_the_order_trades_as_badly_as_its_collar_allows():
    assert impact_rate(table(), 100, 0.0, 0.02) == parts(0.0020)


def test_what_would_leave_the_collar_does_not_fill():
    # Up to 19 bps of impact: sqrt(q / 40,000) = 0.095, q = 361.
    assert fillable_steps(table(), 10_000, 40_000.0, 0.02) == 361
    assert fillable_steps(table(), 361, 40_000.0, 0.02) == 361


def test_slippage_beyond_the_collar_is_refused_up_front():
    with pytest.raises(ValueError, match="beyond the collar"):
        Settings(costs=Costs(slippage_bps=Decimal(21)))


@pytest.mark.parametrize("name", ["taker_bps", "maker_bps", "slippage_bps", "impact"])
def test_a_negative_cost_is_refused(name):
    with pytest.raises(ValueError, match=name):
        Costs(**{name: Decimal(-1)})


def test_a_market_lot_that_is_no_multiple_of_the_step_is_refused():
    with pytest.raises(ValueError, match="no multiple"):
        scale_of(spot(MARKET_LOT_SIZE__stepSize="0.000015"))
