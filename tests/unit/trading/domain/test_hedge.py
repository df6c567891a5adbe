"""Which position of a hedge-mode account an order is for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.hedge import on_sides, position_sides, wrong_side
from trading.domain.orders import OrderIntent
from trading.domain.values import Market, OrderType, PositionSide, Side, TimeInForce

LONG, SHORT, BOTH = PositionSide.LONG, PositionSide.SHORT, PositionSide.BOTH


def intent(side: Side, steps: int) -> OrderIntent:
    return OrderIntent("BTCUSDT", side, OrderType.MARKET, TimeInForce.IOC, steps, None, False, "test")


def told(intents: tuple[OrderIntent, ...]) -> list[tuple[str, str, int, bool]]:
    return [(i.side.value, i.position_side.value, i.quantity, i.reduce_only) for i in intents]


def test_a_flip_closes_the_long_before_it_opens_the_short() -> None:
    divided = on_sides([intent(Side.SELL, 4), intent(Side.SELL, 3)], long=5, short=0)
    assert told(divided) == [
        ("SELL", "LONG", 4, True),
        ("SELL", "LONG", 1, True),
        ("SELL", "SHORT", 2, False),
    ]


def test_a_purchase_buys_the_short_back_first() -> None:
    assert told(on_sides([intent(Side.BUY, 5)], long=2, short=5)) == [("BUY", "SHORT", 5, True)]


@given(
    side=st.sampled_from(Side),
    sizes=st.lists(st.integers(1, 9), max_size=4),
    long=st.integers(0, 20),
    short=st.integers(0, 20),
)
def test_nothing_is_lost_and_no_position_is_closed_twice(
    side: Side, sizes: list[int], long: int, short: int
) -> None:
    divided = on_sides([intent(side, size) for size in sizes], long=long, short=short)
    assert sum(i.quantity for i in divided) == sum(sizes)
    closed = sum(i.quantity for i in divided if i.reduce_only)
    assert closed == min(sum(sizes), long if side is Side.SELL else short)


@pytest.mark.parametrize(
    ("market", "hedge", "side", "position", "reduces", "words"),
    [
        (Market.spot, False, Side.BUY, BOTH, False, ""),
        (Market.spot, True, Side.BUY, BOTH, False, ""),
        (Market.spot, False, Side.BUY, LONG, False, "outside hedge mode"),
        (Market.usdm, False, Side.SELL, SHORT, False, "outside hedge mode"),
        (Market.usdm, True, Side.SELL, BOTH, False, "LONG or SHORT"),
        (Market.usdm, True, Side.SELL, SHORT, False, ""),
        (Market.usdm, True, Side.SELL, LONG, True, ""),
        (Market.usdm, True, Side.SELL, SHORT, True, "does not reduce"),
    ],
)
def test_the_position_must_be_one_the_account_has(
    market: Market, hedge: bool, side: Side, position: PositionSide, reduces: bool, words: str
) -> None:
    wrong = wrong_side(market, side, position, hedge=hedge, reduce_only=reduces)
    assert (words in wrong) if words else wrong == ""


def test_spot_has_one_position_whatever_the_account_says() -> None:
    assert position_sides(Market.spot, hedge=True) == (BOTH,)
    assert position_sides(Market.usdm, hedge=True) == (LONG, SHORT)
