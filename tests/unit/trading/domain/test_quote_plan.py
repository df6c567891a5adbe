"""Numbers of a quote: on the grid, inside capital, largest order and holding."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.fakes.instruments import spot, usdm
from trading.domain.orders import OrderStatus
from trading.domain.planner import WorkingOrder
from trading.domain.quote_plan import Amendment, QuoteCode, Room, plan_quotes, quote_numbers, room
from trading.domain.strategies import Quotes
from trading.domain.values import Market, Side

SPOT = spot()
BOOK = {"best_bid": Decimal("19999.00"), "best_ask": Decimal("20001.00")}
WIDE = Room(10**9, 10**9)


def working(side: Side, price: str, size: str, status: str = "NEW") -> WorkingOrder:
    return WorkingOrder(
        "w1", side, SPOT.steps(Decimal(size)), SPOT.ticks(Decimal(price)), OrderStatus(status)
    )


def planned(wanted: Quotes | None, *orders: WorkingOrder, **changes: Any) -> Any:
    return plan_quotes(wanted, orders, SPOT, **{"room": WIDE, **BOOK, **changes})


def test_prices_are_rounded_away_from_the_middle_and_sizes_down() -> None:
    wanted = Quotes(19999.997, 0.0123456, 20000.003, 0.0123456)
    assert quote_numbers(wanted, Side.BUY, SPOT) == (1_999_999, 1_234)
    assert quote_numbers(wanted, Side.SELL, SPOT) == (2_000_001, 1_234)


def test_a_float_that_stands_for_a_number_on_the_grid_is_that_number() -> None:
    # 0.1 + 0.2 is 0.30000000000000004, and three times 6666.65 is one part in 1e16 beside 19999.95
    wanted = Quotes(3 * 6666.65, 0.1 + 0.2, 20000.10, 0.3)
    assert quote_numbers(wanted, Side.BUY, SPOT) == (1_999_995, 30_000)
    assert quote_numbers(wanted, Side.SELL, SPOT) == (2_000_010, 30_000)


def test_no_quote_is_no_number() -> None:
    assert quote_numbers(Quotes(0.0, 0.0, 20000.0, 0.000001), Side.BUY, SPOT) == (0, 0)
    assert quote_numbers(Quotes(0.0, 0.0, 20000.0, 0.000001), Side.SELL, SPOT) == (0, 0)


def test_spot_buys_up_to_its_capital_and_sells_what_it_holds() -> None:
    # 1000 at 20000 is 0.05; 0.02 is held
    found = room(SPOT, held=Decimal("0.02"), capital=Decimal(1000), price=Decimal(20000))
    assert (found.buy, found.sell) == (3_000, 2_000)


def test_a_part_of_a_step_that_is_held_is_not_sold_and_counts_against_the_capital() -> None:
    found = room(SPOT, held=Decimal("0.0200079"), capital=Decimal(1000), price=Decimal(20000))
    assert (found.buy, found.sell) == (2_999, 2_000)


def test_futures_may_be_as_far_short_as_long() -> None:
    contract = usdm()
    whole = contract.floor_steps(Decimal("0.05"))
    held = contract.floor_steps(Decimal("0.02"))
    found = room(contract, held=Decimal("0.02"), capital=Decimal(1000), price=Decimal(20000))
    assert (found.buy, found.sell) == (whole - held, whole + held)


def test_no_side_is_larger_than_the_largest_order() -> None:
    found = room(
        SPOT, held=Decimal("0.04"), capital=Decimal(10_000), price=Decimal(20000), largest=Decimal(200)
    )
    assert (found.buy, found.sell) == (1_000, 1_000)


def test_more_is_held_than_the_capital_is_worth() -> None:
    assert room(SPOT, held=Decimal("0.09"), capital=Decimal(1000), price=Decimal(20000)).buy == 0


@pytest.mark.parametrize(("capital", "price"), [("-1", "20000"), ("1000", "0")])
def test_a_room_of_nonsense_is_refused(capital: str, price: str) -> None:
    with pytest.raises(ValueError, match="positive price and no negative capital"):
        room(SPOT, held=Decimal(0), capital=Decimal(capital), price=Decimal(price))


def test_a_quote_in_its_place_is_left_alone() -> None:
    wanted = Quotes(19999.5, 0.01, 0.0, 0.0)
    assert planned(wanted, working(Side.BUY, "19999.50", "0.01")).is_empty


@pytest.mark.parametrize("price", ["19999.40", "19999.60"])
def test_on_spot_a_quote_that_moves_is_replaced_by_one_request(price: str) -> None:
    wanted = Quotes(19999.5, 0.01, 0.0, 0.0)
    plan = planned(wanted, working(Side.BUY, price, "0.01"))
    assert (plan.cancels, plan.places) == ([], [])
    ((new, old),) = plan.intents
    assert (new.price, new.quantity, old) == (1_999_950, 1_000, "w1")
    assert plan.notes == [(Side.BUY, QuoteCode.MOVES)]


@pytest.mark.parametrize(
    ("size", "status", "room"),
    [
        ("0.01", "PARTIALLY_FILLED", WIDE),  # the venue replaces only what has not traded
        ("0.01", "NEW", Room(1_999, 0)),  # there is not room for both
    ],
)
def test_a_quote_that_cannot_be_replaced_is_taken_back_before_the_new_one_is_placed(
    size: str, status: str, room: Room
) -> None:
    plan = planned(Quotes(19999.5, 0.01, 0.0, 0.0), working(Side.BUY, "19999.40", size, status), room=room)
    assert (plan.cancels, plan.intents) == (["w1"], [])
    assert plan.notes == [(Side.BUY, QuoteCode.CANCEL_FIRST)]


def test_before_its_pace_a_quote_too_far_away_stands_and_one_too_near_goes() -> None:
    wanted, paced = Quotes(19999.5, 0.01, 0.0, 0.0), {Side.BUY, Side.SELL}
    far = planned(wanted, working(Side.BUY, "19999.40", "0.01"), paced=paced)
    assert far.is_empty
    assert far.notes == [(Side.BUY, QuoteCode.PACED)]
    assert planned(wanted, working(Side.BUY, "19999.60", "0.01"), paced=paced).cancels == ["w1"]
    larger = planned(wanted, working(Side.BUY, "19999.40", "0.02"), paced=paced)
    assert (larger.amends, larger.cancels) == ([Amendment("w1", 1_000)], [])


def test_on_usdm_a_quote_moves_away_in_place_and_comes_nearer_anew() -> None:
    contract = replace(SPOT, market=Market.usdm)
    wanted = Quotes(19999.5, 0.01, 0.0, 0.0)
    away = plan_quotes(wanted, [working(Side.BUY, "19999.60", "0.02")], contract, room=WIDE, **BOOK)
    assert (away.amends, away.cancels, away.intents) == ([Amendment("w1", 1_000, 1_999_950)], [], [])
    nearer = plan_quotes(wanted, [working(Side.BUY, "19999.40", "0.01")], contract, room=WIDE, **BOOK)
    assert (nearer.amends, nearer.cancels, nearer.intents) == ([], ["w1"], [])


@pytest.mark.parametrize(
    ("status", "cancels"), [("RESERVED", []), ("SENDING", []), ("UNKNOWN", ["w1"]), ("NEW", [])]
)
def test_what_is_being_replaced_is_left_to_the_replacement_unless_that_is_in_doubt(
    status: str, cancels: list[str]
) -> None:
    old = working(Side.BUY, "19999.40", "0.01")
    new = replace(working(Side.BUY, "19999.50", "0.01", status), client_order_id="w2", replaces="w1")
    plan = planned(Quotes(19999.5, 0.01, 0.0, 0.0), old, new)
    assert (plan.cancels, plan.intents) == (cancels, [])
    assert sorted(planned(None, old, new).cancels) == sorted(
        {"RESERVED": ["w1", "w2"], "NEW": ["w2"]}.get(status, ["w1"])
    )


def test_a_quote_that_was_asked_to_go_or_is_being_changed_is_not_replaced() -> None:
    wanted, order = Quotes(19999.5, 0.01, 0.0, 0.0), working(Side.BUY, "19999.40", "0.01")
    going = planned(wanted, replace(order, is_going=True))
    assert (going.cancels, going.intents) == (["w1"], [])
    changing = planned(wanted, replace(order, is_changing=True))
    assert changing.is_empty
    assert changing.notes == [(Side.BUY, QuoteCode.OUTCOME_PENDING)]


def test_a_quote_that_shrinks_keeps_its_place() -> None:
    plan = planned(Quotes(19999.5, 0.004, 0.0, 0.0), working(Side.BUY, "19999.50", "0.01"))
    assert (plan.amends, plan.cancels, plan.places) == ([Amendment("w1", 400)], [], [])


def test_an_order_on_the_wire_is_waited_for() -> None:
    plan = planned(Quotes(19999.5, 0.01, 0.0, 0.0), working(Side.BUY, "19999.40", "0.01", "UNKNOWN"))
    assert plan.is_empty
    assert plan.notes == [(Side.BUY, QuoteCode.OUTCOME_PENDING)]


def test_a_quote_that_would_take_is_not_placed() -> None:
    plan = planned(Quotes(20001.0, 0.01, 20002.0, 0.01))
    assert [intent.side for intent in plan.places] == [Side.SELL]
    assert plan.notes == [(Side.BUY, QuoteCode.WOULD_TAKE)]


def test_a_quote_that_would_meet_ones_own_is_not_placed() -> None:
    plan = planned(Quotes(20000.5, 0.01, 0.0, 0.0), working(Side.SELL, "20000.20", "0.01"))
    assert (plan.places, plan.cancels) == ([], ["w1"])
    assert (Side.BUY, QuoteCode.WOULD_MEET_OWN) in plan.notes


def test_too_little_to_be_taken_by_the_venue_is_not_shown() -> None:
    plan = planned(Quotes(19999.5, 0.0002, 0.0, 0.0))  # 4 USDT; the venue takes 5
    assert plan.is_empty
    assert plan.notes == [(Side.BUY, QuoteCode.BELOW_VENUE_MINIMUM)]


def test_a_size_beyond_its_room_is_cut_and_said_so() -> None:
    plan = planned(Quotes(19999.5, 0.01, 20000.5, 0.01), room=Room(400, 0))
    assert [(intent.side, intent.quantity) for intent in plan.places] == [(Side.BUY, 400)]
    assert plan.notes == [(Side.BUY, QuoteCode.CUT), (Side.SELL, QuoteCode.CUT)]


def test_a_paced_side_waits_and_may_still_be_taken_back() -> None:
    both = {Side.BUY, Side.SELL}
    assert planned(Quotes(19999.5, 0.01, 0.0, 0.0), paced=both).notes == [(Side.BUY, QuoteCode.PACED)]
    assert planned(None, working(Side.BUY, "19999.40", "0.01"), paced=both).cancels == ["w1"]
