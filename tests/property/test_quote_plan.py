"""Quotes to orders, whatever is wanted, filled, lost or late: one order a side, inside its room, and it settles."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.instruments import spot
from trading.domain.orders import OrderStatus
from trading.domain.planner import WorkingOrder
from trading.domain.quote_plan import QuotePlan, Room, plan_quotes, quote_numbers
from trading.domain.strategies import Quotes
from trading.domain.values import OrderType, Side

INSTRUMENT = spot()  # tick 0.01, step 0.00001, at least 5 USDT
MID = 2_000_000  # ticks
BOOK = {"best_bid": Decimal("19999.99"), "best_ask": Decimal("20000.01")}
ROOM = Room(50_000, 40_000)
S = OrderStatus

sizes = st.integers(0, 60_000)
away = st.integers(0, 500)


@st.composite
def wishes(draw: st.DrawFn) -> Quotes | None:
    """Post-only on both sides, or on one, or nothing at all."""
    if draw(st.integers(0, 6)) == 0:
        return None
    bid, ask = MID - 1 - draw(away), MID + 1 + draw(away)
    return Quotes(bid / 100, draw(sizes) / 100_000, ask / 100, draw(sizes) / 100_000)


orders = st.builds(
    WorkingOrder,
    client_order_id=st.uuids().map(str),
    side=st.sampled_from(Side),
    remaining=st.integers(1, 60_000),
    price=st.integers(MID - 501, MID + 501),
    status=st.sampled_from([S.RESERVED, S.SENDING, S.UNKNOWN, S.NEW, S.PARTIALLY_FILLED]),
)


class Venue:
    """What is working, changed only by what a plan says, by fills, and by answers that come late."""

    def __init__(self) -> None:
        self.working: list[WorkingOrder] = []
        self.number = 0

    def carry_out(self, plan: QuotePlan) -> None:
        gone = set(plan.cancels)
        self.working = [order for order in self.working if order.client_order_id not in gone]
        less = {amendment.client_order_id: amendment.left for amendment in plan.amends}
        self.working = [
            replace(order, remaining=less.get(order.client_order_id, order.remaining))
            for order in self.working
        ]
        for intent in plan.places:
            self.number += 1
            self.working.append(
                WorkingOrder(f"o{self.number}", intent.side, intent.quantity, intent.price, S.RESERVED)
            )

    def happen(self, what: str) -> None:
        if not self.working:
            return
        first = self.working.pop(0)
        if what == "sent":
            self.working.append(replace(first, status=S.SENDING))
        elif what == "doubted":
            self.working.append(replace(first, status=S.UNKNOWN))
        elif what == "known":
            self.working.append(replace(first, status=S.NEW))
        elif what == "part" and first.remaining > 1:
            self.working.append(replace(first, status=S.PARTIALLY_FILLED, remaining=first.remaining // 2))
        # else it was filled, refused or cancelled by somebody: gone


happenings = st.sampled_from(["sent", "doubted", "known", "part", "gone"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(wishes(), st.lists(happenings, max_size=3)), min_size=1, max_size=20))
def test_a_side_never_has_two_orders_and_what_is_wanted_comes_to_stand(
    script: list[tuple[Quotes | None, list[str]]],
) -> None:
    venue = Venue()
    for wanted, after in script:
        plan = plan_quotes(wanted, venue.working, INSTRUMENT, room=ROOM, **BOOK)
        venue.carry_out(plan)
        for side, most in ((Side.BUY, ROOM.buy), (Side.SELL, ROOM.sell)):
            standing = [order.remaining for order in venue.working if order.side is side]
            assert len(standing) <= 1
            assert sum(standing) <= most
        for what in after:
            venue.happen(what)
    wanted = script[-1][0]
    for _ in range(4):
        venue.working = [replace(order, status=S.NEW) for order in venue.working]  # every answer has come
        venue.carry_out(plan_quotes(wanted, venue.working, INSTRUMENT, room=ROOM, **BOOK))
    assert plan_quotes(wanted, venue.working, INSTRUMENT, room=ROOM, **BOOK).is_empty
    for side, most in ((Side.BUY, ROOM.buy), (Side.SELL, ROOM.sell)):
        ticks, steps = quote_numbers(wanted, side, INSTRUMENT)
        steps = min(steps, most)
        if (
            ticks * steps < 5 * 100 * 100_000
        ):  # ticks of a hundredth, steps of a hundred-thousandth: under 5 USDT
            steps = 0
        standing = [(order.price, order.remaining) for order in venue.working if order.side is side]
        assert standing == ([(ticks, steps)] if steps else [])


@settings(max_examples=300, deadline=None)
@given(wishes(), st.lists(orders, max_size=5), st.sets(st.sampled_from(Side)))
def test_a_plan_from_any_state_is_safe_and_planning_again_adds_nothing(
    wanted: Quotes | None, working: list[WorkingOrder], paced: set[Side]
) -> None:
    plan = plan_quotes(wanted, working, INSTRUMENT, room=ROOM, paced=paced, **BOOK)
    for intent in plan.places:
        assert intent.price is not None
        assert intent.type is OrderType.LIMIT_MAKER
        assert intent.side not in paced
        assert not any(order.side is intent.side for order in working), "the old one has to be gone first"
        assert intent.price < MID + 1 if intent.side is Side.BUY else intent.price > MID - 1
        for order in working:
            if order.side is not intent.side:
                assert order.price is not None
                assert (order.price > intent.price) is (intent.side is Side.BUY)
    in_flight = {order.client_order_id for order in working if order.status in (S.SENDING, S.UNKNOWN)}
    assert not in_flight.intersection(plan.cancels)
    kept = {order.client_order_id: order.remaining for order in working}
    assert all(0 < amendment.left < kept[amendment.client_order_id] for amendment in plan.amends)
    venue = Venue()
    venue.working = list(working)
    venue.carry_out(plan)
    assert plan_quotes(wanted, venue.working, INSTRUMENT, room=ROOM, paced=set(Side), **BOOK).is_empty


@settings(max_examples=100, deadline=None)
@given(st.lists(orders, max_size=6))
def test_nothing_wanted_takes_back_everything_that_can_be(working: list[WorkingOrder]) -> None:
    plan = plan_quotes(None, working, INSTRUMENT, room=ROOM, **BOOK)
    assert plan.places == [] == plan.amends
    assert set(plan.cancels) == {
        order.client_order_id for order in working if order.status not in (S.SENDING, S.UNKNOWN)
    }
