"""A strategy's result is what it paid and got, with what it still holds at present prices."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.losses import Tally, TradeResult, drawdown_ppm, fold, value
from trading.domain.values import Side

D = Decimal
BOUGHT = TradeResult(1, 10, 7, Side.BUY, D(2), D(200), D("0.2"), D(0), D(0), 1)
SOLD = replace(BOUGHT, fill=2, order=11, side=Side.SELL, quote=D(180), commission=D("0.18"), realized=D(-20))


def test_a_round_trip_at_a_loss_is_what_it_cost_with_fees_and_begins_a_streak() -> None:
    tally = fold(Tally(), [BOUGHT, SOLD])
    assert (tally.cash, dict(tally.holdings), tally.streak) == (D("-20.38"), {}, 1)
    assert tally.last_loss_ns == 1
    assert value(tally, {}) == D("-20.38")


def test_what_is_held_counts_at_its_present_price_and_without_one_nothing_is_said() -> None:
    tally = fold(Tally(), [BOUGHT])
    assert value(tally, {7: D(90)}) == D("-20.2")
    assert value(tally, {7: None}) is None
    assert value(tally, {}) is None


def test_commission_taken_in_the_base_asset_is_held_no_more_and_not_paid_twice() -> None:
    tally = fold(Tally(), [replace(BOUGHT, commission=D(0), kept=D("0.002"))])
    assert (tally.cash, tally.holdings[7]) == (D(-200), D("1.998"))


def test_a_win_ends_a_streak_and_pieces_of_one_order_are_one_trade() -> None:
    pieces = [
        replace(SOLD, fill=n, order=20, quantity=D(1), realized=D(r)) for n, r in ((3, -5), (4, -5), (5, 30))
    ]
    assert fold(Tally(), pieces[:2]).streak == 1
    assert fold(Tally(), pieces).streak == 0, "in all the order won"
    losses = [replace(SOLD, fill=10 + n, order=30 + n) for n in range(4)]
    assert fold(Tally(), losses).streak == 4
    assert fold(Tally(), [*losses, replace(SOLD, fill=99, order=99, realized=D(1))]).streak == 0


@given(st.lists(st.sampled_from([BOUGHT, SOLD]), max_size=6), st.integers(0, 6))
def test_folding_in_two_parts_or_again_changes_nothing(trades: list[TradeResult], cut: int) -> None:
    numbered = [replace(trade, fill=n + 1, order=n + 1) for n, trade in enumerate(trades)]
    whole = fold(Tally(), numbered)
    assert fold(fold(Tally(), numbered[:cut]), numbered) == whole
    assert fold(whole, numbered) == whole


@pytest.mark.parametrize(
    ("worth", "peak", "capital", "ppm"),
    [
        ("0", "0", "0", 0),
        ("90", "100", "1000", 10_000),
        ("0", "1", "3", 333_334),
        ("-5", "0", "0", 1_000_000),
    ],
)
def test_a_fall_is_measured_against_the_capital_at_work_and_rounded_up(
    worth: str, peak: str, capital: str, ppm: int
) -> None:
    assert drawdown_ppm(D(worth), D(peak), D(capital)) == ppm
