"""How caps are held and given back; expected numbers by hand."""

import pytest

from trading.domain.errors import InvariantViolation
from trading.domain.reservation import (
    Carried,
    Reservation,
    exposure_increase,
    is_reducing,
    release_carried,
    release_on_end,
    release_on_fill,
    reserved_notional,
    settle_fill,
)
from trading.domain.values import Side

BUY, SELL = Side.BUY, Side.SELL


@pytest.mark.parametrize(
    ("position", "open_buy", "open_sell", "side", "quantity", "increase"),
    [
        (0, 0, 0, BUY, 10, 10),
        (0, 0, 0, SELL, 10, 10),
        (10, 0, 0, SELL, 10, 0),
        (10, 0, 0, SELL, 20, 0),  # to -10: no larger than before
        (10, 0, 0, SELL, 25, 5),
        (10, 0, 5, BUY, 3, 3),
        (-10, 0, 0, BUY, 10, 0),
        (0, 10, 0, SELL, 10, 0),  # one of two sides only: the worst case stays 10
        (0, 10, 0, BUY, 1, 1),
    ],
)
def test_an_order_adds_what_it_adds_to_the_worst_case(
    position, open_buy, open_sell, side, quantity, increase
):
    assert exposure_increase(position, open_buy, open_sell, side, quantity) == increase


@pytest.mark.parametrize(
    ("side", "quantity", "position", "open_buy", "open_sell", "expected"),
    [
        (SELL, 10, 10, 0, 0, True),
        (SELL, 11, 10, 0, 0, False),
        (SELL, 5, 10, 0, 6, False),  # the other four are promised already
        (SELL, 4, 10, 0, 6, True),
        (SELL, 1, 0, 5, 0, False),  # what is only being bought is not held
        (BUY, 10, -10, 0, 0, True),
        (BUY, 11, -10, 0, 0, False),
        (BUY, 1, 10, 0, 0, False),
        (SELL, 0, 10, 0, 0, False),
    ],
)
def test_reducing_means_shrinking_what_is_held_and_not_promised(
    side, quantity, position, open_buy, open_sell, expected
):
    assert is_reducing(side, quantity, position=position, open_buy=open_buy, open_sell=open_sell) is expected


def test_only_the_part_that_raises_exposure_is_reserved_rounded_up():
    assert reserved_notional(1_000, 10, 10) == 1_000
    assert reserved_notional(1_000, 0, 10) == 0
    assert reserved_notional(1_000, 1, 3) == 334


@pytest.mark.parametrize(("increase", "quantity"), [(-1, 3), (4, 3), (0, 0)])
def test_an_impossible_increase_is_refused(increase, quantity):
    with pytest.raises(ValueError, match="increase"):
        reserved_notional(1_000, increase, quantity)


def test_fills_take_their_share_and_the_last_takes_the_rest():
    reservation, first = release_on_fill(Reservation(3, 100), 1)
    reservation, second = release_on_fill(reservation, 1)
    reservation, third = release_on_fill(reservation, 1)
    assert (first, second, third) == (33, 33, 34)
    assert reservation == Reservation(0, 0)


def test_more_than_was_ordered_cannot_fill():
    with pytest.raises(InvariantViolation):
        release_on_fill(Reservation(3, 100), 4)


def test_an_end_gives_the_rest_back_once():
    reservation, _ = release_on_fill(Reservation(4, 100), 1)
    ended, released = release_on_end(reservation)
    assert released == 75
    assert release_on_end(ended) == (ended, 0)


def test_a_fill_told_after_the_end_is_still_booked_at_what_it_cost():
    # the cancel's report overtook the fill's: 4 of 10 had filled before it
    ended, released = release_on_end(Reservation(10, 1_000))
    assert released == 1_000
    result = settle_fill(ended, Carried(), BUY, 4, quote=380)
    assert result.carried == Carried(4, 380)
    assert result.bucket_delta == 380
    assert result.reservation == Reservation(6, 0, ended=True)


def test_a_buy_moves_its_reservation_to_the_position_and_the_bucket_stays():
    result = settle_fill(Reservation(10, 1_000), Carried(), BUY, 4, quote=390)
    assert result.reservation == Reservation(6, 600)
    assert result.carried == Carried(4, 400)
    assert result.bucket_delta == 0


def test_a_sale_releases_what_the_position_carried_pro_rata():
    result = settle_fill(Reservation(4, 0), Carried(10, 1_000), SELL, 4, quote=500)
    assert result.carried == Carried(6, 600)
    assert result.bucket_delta == -400


def test_a_position_that_is_flat_carries_nothing():
    result = settle_fill(Reservation(3, 0), Carried(3, 100), SELL, 3, quote=1)
    assert result.carried == Carried(0, 0)
    assert result.bucket_delta == -100


def test_a_fill_nobody_reserved_is_booked_at_what_it_cost():
    result = settle_fill(Reservation(5, 0), Carried(), BUY, 5, quote=777)
    assert result.carried == Carried(5, 777)
    assert result.bucket_delta == 777


def test_commission_in_base_never_reaches_the_position():
    # bought 1,000, the venue kept 1; selling the 999 that are left makes the book flat
    bought = settle_fill(Reservation(1_000, 5_000), Carried(), BUY, 1_000, quote=4_900, fee_base=1)
    assert bought.carried == Carried(999, 5_000)
    sold = settle_fill(Reservation(999, 0), bought.carried, SELL, 999, quote=5_100)
    assert sold.carried == Carried(0, 0)
    assert bought.bucket_delta + sold.bucket_delta == -5_000


def test_a_flip_releases_the_old_side_and_carries_the_new():
    # long 10 carrying 1,000; selling 15 with 5 beyond flat, which had reserved 500
    result = settle_fill(Reservation(15, 500), Carried(10, 1_000), SELL, 15, quote=1_500)
    assert result.carried == Carried(-5, 500)
    assert result.bucket_delta == -1_000


def test_a_position_cannot_shrink_below_nothing():
    with pytest.raises(InvariantViolation):
        release_carried(Carried(3, 100), 4)
