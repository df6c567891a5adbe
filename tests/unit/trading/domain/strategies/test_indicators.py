"""Indicators of the trend strategy against the science cases T01 to T07 and against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.trading.domain.strategies.cases import agrees, case
from trading.domain.strategies.average_true_range import TrueRange, next_true_range
from trading.domain.strategies.channel import channel_side
from trading.domain.strategies.exposure import banded_target, next_side
from trading.domain.strategies.volatility import (
    ReturnSpread,
    annual_volatility,
    next_return_spread,
    volatility_target,
)


def test_t01_ewma_volatility_of_moskowitz_ooi_and_pedersen() -> None:
    told, spread = case("T01")["args"], ReturnSpread()
    for value in told["returns"]:
        spread = next_return_spread(spread, value, told["com"])
    assert agrees(annual_volatility(spread, told["periods"]), case("T01")["expected"], "T01")


def test_t03_wilders_average_true_range() -> None:
    told, state = case("T03")["args"], TrueRange()
    for i, expected in enumerate(case("T03")["expected"]):
        state = next_true_range(state, told["high"][i], told["low"][i], told["close"][i], told["n"])
        if expected is None:
            assert state.bars < told["n"]
        else:
            assert agrees(state.value, expected, "T03")


def test_t04_the_donchian_channel_leaves_the_current_bar_out() -> None:
    told, side, sides = case("T04")["args"], 0, []
    for i, close in enumerate(told["close"]):
        if i >= told["entry"]:
            side = channel_side(side, told["high"][:i], told["low"][:i], close, told["entry"], told["exit"])
        sides.append(side)
    assert sides == case("T04")["expected"]


@pytest.mark.parametrize("number", ["T06", "T07"])
def test_t06_t07_exposure_scales_to_the_volatility_target_up_to_the_cap(number: str) -> None:
    told = case(number)["args"]
    target = volatility_target(told["signal"], told["target"], told["vol"], told["cap"])
    assert agrees(target, case(number)["expected"], number)


def test_the_running_volatility_is_that_of_the_weighted_sums() -> None:
    returns = np.random.default_rng(3).normal(0.05, 0.02, 500)
    decay, spread = 60.0 / 61.0, ReturnSpread()
    for value in returns.tolist():
        spread = next_return_spread(spread, value, 60.0)
    weights = decay ** np.arange(len(returns) - 1, -1, -1)
    variance = np.average((returns - np.average(returns, weights=weights)) ** 2, weights=weights)
    assert annual_volatility(spread, 365.0) == pytest.approx(math.sqrt(365.0 * variance), rel=1e-12)


def test_a_market_that_does_not_move_gets_no_exposure() -> None:
    assert volatility_target(1.0, 0.25, 0.0, 1.0) == 0.0
    assert annual_volatility(ReturnSpread(), 365.0) == 0.0


def test_a_side_is_taken_above_the_upper_threshold_and_left_below_the_lower_one() -> None:
    path, side = [], 0
    for up in (0.60, 0.65, 0.66, 0.55, 0.50, 0.49, 0.60):
        side = next_side(side, up, 0.0, 0.65, 0.5)
        path.append(side)
    assert path == [0, 0, 1, 1, 1, 0, 0]


def test_a_side_turns_at_once_when_the_other_one_is_entered() -> None:
    assert next_side(1, 0.2, 0.8, 0.65, 0.5) == -1
    assert next_side(-1, 0.8, 0.2, 0.65, 0.5) == 1


@pytest.mark.parametrize(
    ("held", "wanted", "target"),
    [(0.5, 0.6, 0.5), (0.5, 0.61, 0.61), (0.05, 0.0, 0.0), (0.05, -0.04, -0.04), (0.0, 0.05, 0.05)],
)
def test_the_band_holds_adjustments_back_and_lets_exits_and_turns_pass(
    held: float, wanted: float, target: float
) -> None:
    assert banded_target(held, wanted, 0.1) == target


def test_a_channel_is_broken_beyond_its_edge_and_not_at_it() -> None:
    highs, lows = [12.0, 11.0, 10.0], [8.0, 9.0, 9.5]
    assert channel_side(0, highs, lows, 12.0, 3, 2) == 0
    assert channel_side(0, highs, lows, 12.01, 3, 2) == 1
    assert channel_side(1, highs, lows, 9.0, 3, 2) == 1
    assert channel_side(1, highs, lows, 8.99, 3, 2) == 0
    assert channel_side(-1, highs, lows, 11.0, 3, 2) == -1
    assert channel_side(-1, highs, lows, 11.01, 3, 2) == 0
