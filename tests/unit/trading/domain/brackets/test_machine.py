"""The bracket machine: one decision from facts, on both markets. Prices in ticks, quantities in steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trading.domain.brackets import (
    TRANSITIONS,
    BracketState,
    Exits,
    Facts,
    Leg,
    Role,
    TakeProfit,
    decide,
)
from trading.domain.errors import IllegalTransition
from trading.domain.orders import OrderStatus
from trading.domain.values import Market, Side

S, St = BracketState, OrderStatus
STOP, PROFIT = 900, 1200


def facts(**changes: Any) -> Facts:
    """A long position of 10 steps at 1000 with a stop and a take-profit, nothing placed yet."""
    plain = {
        "state": S.ARMING,
        "market": Market.spot,
        "exit_side": Side.SELL,
        "exits": Exits(stop=STOP, take_profits=(TakeProfit(PROFIT),)),
        "covered": 10,
        "entry_open": False,
        "legs": (),
        "now_ns": 0,
        "bid": 1000,
        "ask": 1001,
        "entered": 10,
        "min_product": 900,
    }
    return Facts(**(plain | changes))


def oco(group: int = 1, quantity: int = 10, status: OrderStatus = St.NEW, **changes: Any) -> tuple[Leg, ...]:
    stop = Leg(f"s{group}", Role.STOP, group, quantity, 0, status, stop=STOP)
    profit = Leg(f"t{group}", Role.TAKE_PROFIT, group, quantity, 0, status, price=PROFIT, target=0)
    return replace(stop, **changes), replace(profit, **changes)


def stop(quantity: int = 10, status: OrderStatus = St.NEW, **changes: Any) -> Leg:
    return replace(Leg("stop", Role.STOP, 1, quantity, 0, status, stop=STOP), **changes)


def profit(quantity: int = 10, group: int = 2, **changes: Any) -> Leg:
    leg = Leg("profit", Role.TAKE_PROFIT, group, quantity, 0, St.NEW, stop=PROFIT, target=0)
    return replace(leg, **changes)


def sizes(decision: Any) -> list[tuple[int | None, int | None, int]]:
    return [(p.slice.stop, p.slice.take_profit, p.slice.quantity) for p in decision.places]


def keys(decision: Any) -> set[str]:
    return {cancel.key for cancel in decision.cancels}


class TestArming:
    def test_on_spot_stop_and_take_profit_leave_as_one_oco(self) -> None:
        decision = decide(facts())
        assert decision.state is S.ARMING
        assert sizes(decision) == [(STOP, PROFIT, 10)]
        assert decision.unprotected == 10

    def test_on_usdm_they_lie_side_by_side(self) -> None:
        decision = decide(facts(market=Market.usdm, min_product=0))
        assert sizes(decision) == [(STOP, None, 10), (None, PROFIT, 10)]

    def test_what_rests_as_wanted_is_protected(self) -> None:
        decision = decide(facts(legs=oco()))
        assert (decision.state, decision.places, decision.cancels) == (S.PROTECTED, (), ())
        assert decision.unprotected == 0

    @pytest.mark.parametrize("status", [St.RESERVED, St.SENDING, St.UNKNOWN])
    def test_an_order_in_doubt_is_never_placed_again(self, status: OrderStatus) -> None:
        """Pain 4: an unknown outcome or a look-up that fails means "find out", never "place another"."""
        decision = decide(facts(legs=oco(status=status)))
        assert decision.places == ()
        assert decision.cancels == ()
        assert decision.unprotected == 10  # it is not known to rest

    def test_more_of_the_entry_fills_and_only_the_difference_is_added(self) -> None:
        decision = decide(facts(covered=15, entered=15, entry_open=True, legs=oco()))
        assert sizes(decision) == [(STOP, PROFIT, 5)]
        assert decision.cancels == ()

    def test_a_difference_too_small_to_sell_waits_for_more(self) -> None:
        """Pain 20: what the venue would refuse is not sent, and is no reason to take the rest down."""
        decision = decide(facts(covered=12, entered=12, min_product=900 * 5, legs=oco()))
        assert (decision.places, decision.cancels, decision.unprotected) == ((), (), 0)

    def test_slices_that_fill_every_slot_are_joined(self) -> None:
        legs = tuple(leg for group in range(1, 5) for leg in oco(group, 3))
        decision = decide(facts(covered=20, entered=20, legs=legs))
        assert decision.places == ()
        assert len(decision.cancels) == 8
        assert decision.state is S.RESIZING

    def test_too_small_to_sell_at_all_waits_for_the_entry_or_is_over(self) -> None:
        assert decide(facts(covered=1, min_product=5000, entry_open=True)).state is S.PENDING
        over = decide(facts(covered=1, min_product=5000))
        assert (over.state, over.note) == (S.DONE, "DUST")

    def test_a_short_position_is_guarded_from_the_other_side(self) -> None:
        exits = Exits(stop=1100, take_profits=(TakeProfit(800),))
        decision = decide(facts(market=Market.usdm, exit_side=Side.BUY, exits=exits, min_product=0))
        assert sizes(decision) == [(1100, None, 10), (None, 800, 10)]
        breached = decide(facts(market=Market.usdm, exit_side=Side.BUY, exits=exits, ask=1100, bid=1099))
        assert breached.exit_reason == "STOP_BREACHED"


class TestSeveralTakeProfits:
    EXITS = Exits(stop=STOP, take_profits=(TakeProfit(1100, 5000), TakeProfit(PROFIT, 3000)))

    def test_each_share_has_a_slice_and_the_rest_a_stop(self) -> None:
        decision = decide(facts(exits=self.EXITS))
        assert sizes(decision) == [(STOP, 1100, 5), (STOP, PROFIT, 3), (STOP, None, 2)]

    def test_a_target_that_was_reached_is_not_placed_again(self) -> None:
        decision = decide(facts(exits=self.EXITS, covered=5, entered=10, taken=(5,)))
        assert sizes(decision) == [(STOP, PROFIT, 3), (STOP, None, 2)]

    def test_what_is_too_small_joins_its_neighbour(self) -> None:
        decision = decide(facts(exits=self.EXITS, min_product=900 * 3))
        assert sizes(decision) == [(STOP, 1100, 5), (STOP, PROFIT, 5)]

    def test_a_target_the_market_has_reached_is_sold_at_the_market(self) -> None:
        decision = decide(facts(exits=self.EXITS, bid=1110, ask=1111))
        assert [place.at_market for place in decision.places] == [True, False, False]


class TestResizing:
    def test_a_moved_stop_is_placed_only_after_the_old_one_is_confirmed_gone(self) -> None:
        """Pain 2: at most one live protective set per position, ever."""
        moved = facts(exits=Exits(stop=950, take_profits=(TakeProfit(PROFIT),)), legs=oco())
        first = decide(moved)
        assert (first.state, first.places, keys(first)) == (S.RESIZING, (), {"s1", "t1"})
        waiting = decide(replace(moved, legs=oco(cancel_requested=True)))
        assert (waiting.places, waiting.cancels) == ((), ())
        assert sizes(decide(replace(moved, legs=()))) == [(950, PROFIT, 10)]

    def test_the_same_holds_on_usdm_where_nothing_locks_the_position(self) -> None:
        moved = facts(market=Market.usdm, exits=Exits(stop=950), legs=(stop(),), min_product=0)
        assert decide(moved).places == ()
        assert decide(replace(moved, legs=(stop(cancel_requested=True),))).places == ()
        assert sizes(decide(replace(moved, legs=()))) == [(950, None, 10)]

    def test_nothing_is_taken_down_that_could_not_be_put_up_again(self) -> None:
        """Pain 16: no unprotected window is opened while no order may be sent."""
        moved = facts(exits=Exits(stop=950), legs=oco(), may_place=False)
        assert (decide(moved).cancels, decide(moved).places) == ((), ())
        refused = replace(moved, may_place=True, wait_ns=1)
        assert (decide(refused).cancels, decide(refused).places) == ((), ())

    def test_a_take_profit_that_lost_its_stop_is_taken_back_and_guarded_again(self) -> None:
        """On spot the first fill of one leg ends the other: what is left of a take-profit has no stop."""
        lone = Leg("t1", Role.TAKE_PROFIT, 1, 10, 4, St.PARTIALLY_FILLED, price=PROFIT, target=0)
        held = facts(covered=6, entered=10, taken=(4,), legs=(lone,))
        assert keys(decide(held)) == {"t1"}
        assert decide(held).unprotected == 6
        assert sizes(decide(replace(held, legs=()))) == [(STOP, PROFIT, 6)]

    def test_a_stop_that_is_trading_is_left_to_trade(self) -> None:
        trading = stop(executed=4, status=St.PARTIALLY_FILLED)
        decision = decide(facts(covered=6, entered=10, legs=(trading,)))
        assert decision.cancels == ()
        assert decision.places == ()

    def test_usdm_take_profit_fills_and_the_stop_is_cut_to_what_is_left(self) -> None:
        exits = Exits(stop=STOP, take_profits=(TakeProfit(1100, 5000),))
        held = facts(
            market=Market.usdm,
            exits=exits,
            covered=5,
            taken=(5,),
            legs=(stop(),),
            min_product=0,
            closing=True,
        )
        assert keys(decide(held)) == {"stop"}
        assert sizes(decide(replace(held, legs=()))) == [(STOP, None, 5)]


class TestYielding:
    def test_the_protection_stands_down_by_what_somebody_wants_to_sell(self) -> None:
        """Pain 19: the exit of somebody else is not refused because our orders hold the coins."""
        selling = facts(yielded=4, legs=oco())
        first = decide(selling)
        assert (first.state, keys(first), first.places) == (S.YIELDING, {"s1", "t1"}, ())
        assert sizes(decide(replace(selling, legs=()))) == [(STOP, PROFIT, 6)]

    def test_and_is_restored_when_the_sale_did_not_happen(self) -> None:
        decision = decide(facts(state=S.YIELDING, legs=oco(quantity=6)))
        assert sizes(decision) == [(STOP, PROFIT, 4)]


class TestClosing:
    def test_the_sibling_is_cancelled_and_counts_until_confirmed(self) -> None:
        """Pains 3 and 17: a sibling's cancel is confirmed by the venue, not assumed."""
        gone = facts(market=Market.usdm, covered=0, closing=True, legs=(profit(),))
        first = decide(gone)
        assert (first.state, keys(first)) == (S.CLOSING, {"profit"})
        waiting = decide(replace(gone, state=S.CLOSING, legs=(profit(cancel_requested=True),)))
        assert (waiting.state, waiting.cancels) == (S.CLOSING, ())
        assert decide(replace(gone, state=S.CLOSING, legs=())).state is S.DONE

    def test_an_exit_takes_the_rest_of_the_entry_back(self) -> None:
        decision = decide(facts(covered=0, closing=True, entry_open=True))
        assert decision.cancel_entries
        assert decision.state is S.CLOSING

    def test_an_entry_that_filled_nothing_waits(self) -> None:
        decision = decide(facts(state=S.PENDING, covered=0, entry_open=True))
        assert (decision.state, decision.cancel_entries) == (S.PENDING, False)

    def test_a_fill_after_the_cancel_is_protected(self) -> None:
        """Pain 11: a cancel that raced a fill leaves coins; they are guarded like any others."""
        decision = decide(facts(state=S.CLOSING, covered=10))
        assert sizes(decision) == [(STOP, PROFIT, 10)]

    def test_what_is_over_stays_over(self) -> None:
        assert decide(facts(state=S.DONE)).state is S.DONE
        assert TRANSITIONS[S.DONE] == {S.DONE}


class TestExiting:
    def test_a_stop_passed_before_it_could_be_placed_is_an_exit(self) -> None:
        decision = decide(facts(bid=890, ask=891))
        assert (decision.state, decision.exit_reason) == (S.EXITING, "STOP_BREACHED")
        assert [(p.at_market, p.slice.quantity) for p in decision.places] == [(True, 10)]

    def test_a_stop_that_does_not_fill_is_escalated_to_the_market(self) -> None:
        """Pain 13: a stop limit the market jumped over is not waited for for ever."""
        limit = facts(bid=880, ask=881, legs=(stop(price=895),), exits=Exits(stop=STOP, stop_limit=895))
        limit = replace(limit, escalate_ns=100)
        assert decide(limit).state is S.PROTECTED
        assert decide(limit).breached
        late = decide(replace(limit, breached_ns=100))
        assert (late.exit_reason, keys(late), late.places) == ("STOP_NOT_FILLED", {"stop"}, ())
        freed = decide(replace(limit, state=S.EXITING, exit_reason="STOP_NOT_FILLED", legs=()))
        assert [(p.at_market, p.slice.quantity) for p in freed.places] == [(True, 10)]

    def test_its_time_has_come(self) -> None:
        exits = Exits(stop=STOP, exit_at_ns=50)
        assert decide(facts(exits=exits, now_ns=49, legs=(stop(),))).exit_reason == ""
        assert decide(facts(exits=exits, now_ns=50, legs=(stop(),))).exit_reason == "TIME_EXIT"

    def test_unprotected_for_too_long_is_closed(self) -> None:
        naked = facts(wait_ns=1, unprotected_ns=30, unprotected_max_ns=30)
        assert decide(naked).exit_reason == "UNPROTECTED_TOO_LONG"
        assert decide(replace(naked, unprotected_ns=29)).exit_reason == ""
        assert decide(replace(naked, exits=Exits(take_profits=(TakeProfit(PROFIT),)))).exit_reason == ""

    def test_on_usdm_the_stop_stays_until_the_position_is_gone(self) -> None:
        decision = decide(facts(market=Market.usdm, exit_reason="TIME_EXIT", legs=(stop(),), min_product=0))
        assert decision.cancels == ()
        assert [place.at_market for place in decision.places] == [True]

    def test_one_exit_at_a_time(self) -> None:
        leaving = Leg("exit", Role.EXIT, 3, 10, 0, St.SENDING)
        assert decide(facts(exit_reason="TIME_EXIT", legs=(leaving,))).places == ()

    def test_nothing_is_sent_while_the_level_forbids_it(self) -> None:
        decision = decide(facts(exit_reason="TIME_EXIT", legs=oco(), may_place=False))
        assert (decision.places, decision.cancels, decision.state) == ((), (), S.EXITING)

    def test_an_exit_is_never_undone(self) -> None:
        with pytest.raises(IllegalTransition):
            decide(facts(state=S.EXITING))
