"""Maintenance margin and distance to liquidation, against numbers worked out by hand from the venue's formula.

Table: the first three steps of a contract as the venue publishes them, 0.4 % below 50,000, 0.5 % below 250,000 and
1 % from there on; the deducted amounts follow from continuity: 50,000 x 0.1 % = 50, and 50 + 250,000 x 0.5 % = 1,300.
"""

import pytest

from trading.domain.margin import (
    MILLION,
    MarginBracket,
    MarginHeld,
    flat_brackets,
    liquidating_move,
    maintenance_margin,
    maintenance_of,
    with_order,
)
from trading.domain.values import UNITS, Side

TABLE = (
    MarginBracket(50_000 * UNITS, 400_000, 0),
    MarginBracket(250_000 * UNITS, 500_000, 50 * UNITS),
    MarginBracket(1_000_000 * UNITS, 1_000_000, 1_300 * UNITS),
)


def position(notional: int, *, short: bool = False, traded: bool = False) -> MarginHeld:
    return MarginHeld(notional * UNITS, short, TABLE, traded)


@pytest.mark.parametrize(
    ("notional", "expected"),
    [
        (0, 0),
        (10_000, 40),
        (50_000, 200),  # both sides of the step agree
        (100_000, 450),  # 50,000 at 0.4 % and 50,000 at 0.5 %
        (250_000, 1_200),
        (300_000, 1_700),  # 200 + 1,000 + 50,000 at 1 %
        (2_000_000, 18_700),  # above the table: the last step goes on
    ],
)
def test_maintenance_is_progressive_like_a_tax(notional: int, expected: int) -> None:
    assert maintenance_margin(notional * UNITS, TABLE) == expected * UNITS


def test_a_fraction_of_a_unit_counts_as_a_whole_one() -> None:
    assert maintenance_margin(1, TABLE) == 1


def test_without_a_table_nothing_is_known() -> None:
    with pytest.raises(ValueError, match="brackets"):
        maintenance_margin(UNITS, ())


@pytest.mark.parametrize(
    ("balance", "short", "price"),
    [
        # long 5 at 60,000: (20,000 + 1,300 - 300,000) / (5 x (0.01 - 1)); 281,515 is in the third step
        (20_000, False, 56_303.0303),
        # the way down passes a step: (60,000 + 50 - 300,000) / (5 x (0.005 - 1)); 241,156 is in the second
        (60_000, False, 48_231.1558),
        # (260,000 + 0 - 300,000) / (5 x (0.004 - 1)); 40,161 is in the first
        (260_000, False, 8_032.1285),
        # short 5 at 60,000: (20,000 + 1,300 + 300,000) / (5 x 1.01)
        (20_000, True, 63_623.7624),
    ],
)
def test_the_distance_is_that_of_the_venues_liquidation_price(
    balance: int, short: bool, price: float
) -> None:
    move = liquidating_move(balance * UNITS, [position(300_000, short=short)])
    assert move == int(abs(price - 60_000) / 60_000 * MILLION)


def test_one_balance_stands_for_all_positions() -> None:
    # a long and a short of 100,000, both moved against: 2,000 of 20,000 a per cent; at 9.5 % the long asks
    # 90,500 x 0.5 % - 50 = 402.5 and the short 109,500 x 0.5 % - 50 = 497.5, of the 1,000 left
    held = [position(100_000), position(100_000, short=True)]
    move = liquidating_move(20_000 * UNITS, held)
    assert 95_000 <= move < 96_000
    # exactly: 20,000 - 200,000 x = 900 in both together, because the terms in x cancel
    assert move == 95_500
    assert maintenance_of(held) == 900 * UNITS


@pytest.mark.parametrize(("balance", "move"), [(1_699, 0), (1_700, 0), (300_000, MILLION)])
def test_the_ends_of_the_scale(balance: int, move: int) -> None:
    assert liquidating_move(balance * UNITS, [position(300_000)]) == move


def test_nothing_held_is_never_liquidated() -> None:
    assert liquidating_move(0, []) == MILLION
    assert liquidating_move(-1, []) == 0


def test_an_order_raises_the_position_it_is_about_into_a_dearer_step() -> None:
    other, own = position(100_000, short=True), position(200_000, traded=True)
    after = with_order([other, own], Side.BUY, 100_000 * UNITS, TABLE)
    assert maintenance_of(after) == (450 + 1_700) * UNITS
    flipped = with_order([own], Side.SELL, 50_000 * UNITS, TABLE)
    assert flipped == (MarginHeld(250_000 * UNITS, True, TABLE, True),)
    assert with_order([other], Side.BUY, UNITS, TABLE)[1] == MarginHeld(UNITS, False, TABLE, True)
    assert with_order([other], Side.BUY, 0, TABLE) == (other,)


def test_a_flat_rate_is_one_step_for_everything() -> None:
    assert maintenance_margin(10**9 * UNITS, flat_brackets(10_000)) == 10**7 * UNITS
