"""What the machine of `test_brackets` found, each once more by hand. Quantities in steps, prices in ticks."""

from __future__ import annotations

from tests.property.test_brackets import Brackets
from trading.domain.brackets import Exits, Role, TakeProfit
from trading.domain.brackets.layout import slices_at_venue
from trading.domain.orders import OrderStatus as St
from trading.domain.values import Market

ONE = Exits(stop=900, take_profits=(TakeProfit(1100),))
TWO = Exits(stop=900, take_profits=(TakeProfit(1050, 5000), TakeProfit(1100, 5000)))
PART = Exits(stop=900, take_profits=(TakeProfit(1050, 3000), TakeProfit(1100, 3000)))


def begun_with(market: Market, exits: Exits, quantity: int) -> Brackets:
    machine = Brackets()
    machine.begin(market=market, exits=exits, quantity=quantity)
    return machine


def buy(machine: Brackets, *parts: int) -> None:
    for part in parts:
        machine.entry_fills(part=part, at_once=False)
        machine.the_venue_keeps_up()


def resting(machine: Brackets) -> list[tuple[int | None, int | None, int]]:
    """(stop, take-profit, steps) of each slice, by size."""
    found = [(piece.stop, piece.take_profit, piece.quantity) for piece, _ in slices_at_venue(machine.legs)]
    return sorted(found, key=lambda entry: (entry[2], entry[1] or 0))


def test_a_share_being_sold_at_the_market_is_not_sold_again() -> None:
    machine = begun_with(Market.usdm, ONE, 5)
    machine.the_market_moves(price=1100)
    buy(machine, 2, 3)
    assert [leg.quantity for leg in machine.of_lane(Role.EXIT)] == [2, 3]
    machine.teardown()
    assert machine.position == 0


def test_on_spot_the_rest_keeps_its_stop_while_a_share_is_being_sold() -> None:
    machine = begun_with(Market.spot, TWO, 20)
    machine.the_market_moves(price=1050)
    buy(machine, 20)
    assert [leg.quantity for leg in machine.of_lane("coins") if leg.role is Role.EXIT] == [10]
    assert resting(machine) == [(900, 1100, 10)]


def test_a_take_profit_is_placed_while_the_stop_still_covers_what_has_been_sold() -> None:
    machine = begun_with(Market.usdm, TWO, 2)
    machine.the_market_moves(price=1050)
    buy(machine, 2)
    (share,) = machine.of_lane(Role.EXIT)
    machine.fill(share, 1)
    machine.the_market_moves(price=880)
    machine.the_venue_keeps_up()
    machine.teardown()
    assert machine.position == 0


def test_slots_full_of_fragments_are_joined_on_usdm() -> None:
    machine = begun_with(Market.usdm, ONE, 3)
    buy(machine, 1, 1)
    assert len(resting(machine)) == 4
    buy(machine, 1)
    machine.teardown()
    assert sum(steps for stop, _, steps in resting(machine) if stop == 900) == 3
    assert sum(steps for _, profit, steps in resting(machine) if profit == 1100) == 3


def test_slots_full_of_fragments_are_joined_on_spot_until_all_is_guarded() -> None:
    machine = begun_with(Market.spot, PART, 20)
    buy(machine, 10, 10)
    machine.teardown()
    assert resting(machine) == [(900, None, 4), (900, None, 4), (900, 1050, 6), (900, 1100, 6)]


def test_a_stop_moved_while_an_older_one_is_being_executed_guards_the_rest() -> None:
    machine = begun_with(Market.spot, Exits(stop=900), 6)
    buy(machine, 3)
    machine.the_stop_is_moved(new=910)
    machine.entry_fills(part=3, at_once=False)
    machine.fill(machine.of_lane("coins")[0], 1)
    machine.the_venue_keeps_up()
    assert resting(machine) == [(900, None, 2), (910, None, 3)]
    machine.never_two_live_sets()
    machine.teardown()


def test_a_stop_moved_twice_leaves_one_level_beside_the_one_being_executed() -> None:
    machine = begun_with(Market.spot, TWO, 8)
    buy(machine, 8)
    machine.fill(machine.legs[0], 1)
    for level in (910, 930):
        machine.the_stop_is_moved(new=level)
        machine.the_venue_keeps_up()
        machine.never_two_live_sets()
    assert [stop for stop, _, _ in resting(machine)] == [900, 930]
    assert machine.legs[0].status is St.PARTIALLY_FILLED


def test_what_is_too_small_at_its_limit_price_counts_as_too_small() -> None:
    machine = begun_with(Market.spot, Exits(stop=900, stop_limit=890), 4)
    buy(machine, 1, 1, 1)  # 3 x 890 < 2700 <= 3 x 900
    machine.teardown()
    assert resting(machine) == []
    buy(machine, 1)
    assert resting(machine) == [(900, None, 4)]


def test_slices_share_a_slot_while_triggered_stops_hold_the_others() -> None:
    machine = begun_with(Market.spot, PART, 16)
    buy(machine, 3, 13)
    for leg in [leg for leg in machine.legs if leg.role is Role.STOP][:2]:
        machine.fill(leg, 1 if leg.quantity == 3 else 2)
    machine.the_venue_keeps_up()
    machine.teardown()
    assert resting(machine) == [(900, None, 2), (900, None, 2), (900, 1050, 3), (900, None, 5)]
