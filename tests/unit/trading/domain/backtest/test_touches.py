import json
from pathlib import Path

import pytest

from tests.fakes.instruments import usdm
from trading.domain.backtest.scale import notional, scale_of
from trading.domain.backtest.touches import (
    NOTHING,
    STOP,
    TAKE_PROFIT,
    exit_inside,
    limit_fills,
    liquidation_ticks,
    protection_ticks,
    stop_fill,
    target_parts,
    trailing_stop,
)

CASES = json.loads((Path(__file__).resolve().parents[4] / "data/science_cases.json").read_text())
R10 = next(case for case in CASES if case["id"] == "R10")
SCALE = scale_of(usdm())


@pytest.mark.parametrize(
    ("side", "stop", "bar_open", "low", "high", "price"),
    [
        (1, 95, 100, 95, 101, 95),  # the last low that triggers
        (1, 95, 100, 96, 101, 0),  # the first that does not
        (1, 95, 93, 90, 94, 93),  # gapped through: the open is all there is
        (-1, 105, 100, 99, 105, 105),
        (-1, 105, 100, 99, 104, 0),
        (-1, 105, 108, 107, 109, 108),
        (1, 0, 100, 1, 200, 0),
    ],
)
def test_a_stop_fills_at_its_price_or_at_the_worse_open(side, stop, bar_open, low, high, price):
    assert stop_fill(side, stop, bar_open, low, high) == price


@pytest.mark.parametrize(
    ("low", "through", "fills"), [(99, 1, True), (100, 1, False), (100, 0, True), (101, 0, False)]
)
def test_a_limit_needs_a_trade_through_it_unless_a_touch_is_enough(low, through, fills):
    assert limit_fills(1, 100, low, 120, through) is fills


def test_a_bar_that_touches_both_exits_takes_the_stop():
    assert exit_inside(1, 95, 105, 100, 94, 110, 1) == (STOP, 95)
    assert exit_inside(1, 95, 105, 100, 96, 110, 1) == (TAKE_PROFIT, 105)
    assert exit_inside(1, 95, 105, 100, 96, 105, 1) == (NOTHING, 0)
    assert exit_inside(-1, 105, 95, 100, 90, 106, 1) == (STOP, 105)


def test_a_trailing_stop_follows_the_best_price_and_never_loosens_a_fixed_one():
    assert trailing_stop(1, 10_000, 1_000_000, 0) == 9_900  # 1 % of parts of 1e-8
    assert trailing_stop(1, 10_000, 1_000_000, 9_950) == 9_950
    assert trailing_stop(-1, 10_000, 1_000_000, 0) == 10_100
    assert trailing_stop(1, 10_000, 0, 9_000) == 9_000


def test_case_r10_the_liquidation_price_is_that_of_the_venue_s_formula():
    told = R10["args"]
    assert told["side"] in (1, "long")
    steps = round(told["qty"] / 0.00001)
    entry = notional(SCALE, round(told["entry"] * 100), steps)
    wallet = round((told["wallet"] + told.get("maint_amount", 0)) * 10**8)
    ticks = liquidation_ticks(SCALE, steps, wallet - entry, round(told["mmr"] * 10**8))
    assert abs(ticks / 100 - R10["expected"]) <= 0.01
    assert ticks / 100 >= R10["expected"]  # rounded towards the market


def test_a_short_position_is_liquidated_above_its_entry():
    # 1 coin short at 100 with 20 of margin: 120 + p x -1 = 0.005 p, so p = 119.40.
    steps = 100_000
    cash = (100 + 20) * 10**8
    assert liquidation_ticks(SCALE, -steps, cash, 500_000) == 11_940


def test_a_long_position_paid_in_full_cannot_be_liquidated():
    assert liquidation_ticks(SCALE, 100_000, 0, 500_000) == 0


def test_protection_is_rounded_away_from_the_market():
    assert protection_ticks(1, 95.006, 105.004, 0.01, SCALE) == (9_500, 10_501, 1_000_000)
    assert protection_ticks(-1, 105.004, 95.006, 0.0, SCALE) == (10_501, 9_500, 0)
    assert protection_ticks(1, 0.0, 0.29, 0.0, SCALE) == (0, 29, 0)


@pytest.mark.parametrize(
    ("target", "long_only", "parts"),
    [(1.0, 0, 10**9), (-0.5, 0, -5 * 10**8), (-0.5, 1, 0), (0.1, 0, 10**8), (1 / 3, 0, 333_333_333)],
)
def test_targets_become_whole_parts(target, long_only, parts):
    assert target_parts(target, long_only) == parts
