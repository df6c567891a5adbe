"""What exits may be, which way a machine may move them, and how a trail follows the best price."""

from __future__ import annotations

import pytest

from trading.domain.brackets import Exits, TakeProfit, check_exits, ratchet, tightened
from trading.domain.values import Side

LONG, SHORT = Side.SELL, Side.BUY


@pytest.mark.parametrize(
    ("exits", "words"),
    [
        (Exits(stop=1000), "the stop lies on the wrong side of the entry"),
        (Exits(take_profits=(TakeProfit(1000),)), "the take-profit lies on the wrong side of the entry"),
        (Exits(stop=900, stop_limit=901), "limit of a stop lies beyond"),
        (Exits(stop_limit=901), "needs a stop"),
        (Exits(take_profits=(TakeProfit(1200, 5000), TakeProfit(1100, 5000))), "from the nearest"),
        (Exits(take_profits=(TakeProfit(1100, 9000), TakeProfit(1200, 2000))), "at most the whole"),
        (Exits(take_profits=(TakeProfit(1100, 0),)), "positive"),
        (
            Exits(stop=900, stop_limit=890, take_profits=(TakeProfit(1100, 4000), TakeProfit(1200, 6000))),
            None,
        ),
    ],
)
def test_a_long_positions_exits(exits: Exits, words: str | None) -> None:
    told = check_exits(exits, LONG, 1000)
    assert (told is None) if words is None else (told is not None and words in told)


def test_a_short_positions_exits_are_the_mirror() -> None:
    assert check_exits(Exits(stop=1100, take_profits=(TakeProfit(900),)), SHORT, 1000) is None
    assert check_exits(Exits(stop=900), SHORT, 1000) is not None
    assert check_exits(Exits(stop=1100, take_profits=(TakeProfit(1200),)), SHORT, None) is not None


def test_a_machine_only_tightens() -> None:
    before = Exits(stop=900, trailing_bps=100, exit_at_ns=50)
    assert tightened(before, Exits(stop=950, trailing_bps=50, exit_at_ns=40), LONG) == Exits(
        stop=950, trailing_bps=50, exit_at_ns=40
    )
    assert tightened(before, Exits(stop=850, trailing_bps=200, exit_at_ns=90), LONG) == before
    assert tightened(before, Exits(), LONG) == before
    assert tightened(Exits(stop=1100), Exits(stop=1050), SHORT).stop == 1050
    assert tightened(Exits(stop=1100), Exits(stop=1150), SHORT).stop == 1100


def test_a_trail_follows_the_best_price_and_never_gives_room_back() -> None:
    assert ratchet(LONG, None, 1000, 500, least_move_bps=0) == 950
    assert ratchet(LONG, 950, 1100, 500, least_move_bps=0) == 1045
    assert ratchet(LONG, 1045, 1000, 500, least_move_bps=0) == 1045
    assert ratchet(LONG, 950, 1001, 500, least_move_bps=20) == 950  # not worth a new order
    assert ratchet(SHORT, None, 1000, 500, least_move_bps=0) == 1050
    assert ratchet(SHORT, 1050, 900, 500, least_move_bps=0) == 945
