"""Quotes to orders, whatever is wanted, filled, lost or late: one a side can trade, inside its room, and it settles."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.instruments import spot, usdm
from trading.domain.orders import OrderStatus
from trading.domain.planner import WorkingOrder
from trading.domain.quote_plan import QuotePlan, Room, plan_quotes, quote_numbers
from trading.domain.strategies import Quotes
from trading.domain.values import Instrument, OrderType, Side

INSTRUMENT = spot()  # tick 0.01, step 0.00001, at least 5 USDT
CONTRACT = replace(usdm(), tick_size=INSTRUMENT.tick_size, step_size=INSTRUMENT.step_size)
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
        for amendment in plan.amends:
            for place, order in enumerate(self.working):
                if order.client_order_id == amendment.client_order_id:
                    assert order.status in (S.NEW, S.PARTIALLY_FILLED)
                    price = order.price if amendment.price is None else amendment.price
                    self.working[place] = replace(order, remaining=amendment.left, price=price)
        for intent, old in plan.intents:
            self.number += 1
            self.working.append(
                WorkingOrder(
                    f"o{self.number}", intent.side, intent.quantity, intent.price, S.RESERVED, replaces=old
                )
            )

    def answered(self, order: WorkingOrder) -> None:
        """The request arrived: it stands, in the place of what it replaces if that still stood untouched."""
        if order.replaces is not None:
            old = next((o for o in self.working if o.client_order_id == order.replaces), None)
            if old is None or old.status is not S.NEW:
                return  # refused
            self.working.remove(old)
        self.working.append(replace(order, status=S.NEW, replaces=None))

    def can_trade(self, side: Side) -> list[WorkingOrder]:
        """Orders of a side that may trade, with whatever answers are still to come: one that is replaced does not
        trade beside the one that replaces it.
        """
        own = [order for order in self.working if order.side is side]
        replaced = {order.replaces for order in own}
        return [order for order in own if order.client_order_id not in replaced]

    def happen(self, what: str) -> None:
        if not self.working:
            return
        first = self.working.pop(0)
        if what == "sent":
            self.working.append(replace(first, status=S.SENDING))
        elif what == "doubted":
            self.working.append(replace(first, status=S.UNKNOWN))
        elif what == "known":
            self.answered(first)
        elif what == "part" and first.remaining > 1:
            self.working.append(replace(first, status=S.PARTIALLY_FILLED, remaining=first.remaining // 2))
        # else it was filled, refused or cancelled by somebody: gone


happenings = st.sampled_from(["sent", "doubted", "known", "part", "gone"])


paces = st.sets(st.sampled_from(Side))
markets = st.sampled_from([INSTRUMENT, CONTRACT])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(wishes(), st.lists(happenings, max_size=3), paces), min_size=1, max_size=20), markets
)
def test_on_a_side_only_one_order_can_trade_and_what_is_wanted_comes_to_stand(
    script: list[tuple[Quotes | None, list[str], set[Side]]], instrument: Instrument
) -> None:
    venue = Venue()
    for wanted, after, paced in script:
        plan = plan_quotes(wanted, venue.working, instrument, room=ROOM, paced=paced, **BOOK)
        venue.carry_out(plan)
        for side, most in ((Side.BUY, ROOM.buy), (Side.SELL, ROOM.sell)):
            assert len(venue.can_trade(side)) <= 1
            # Both hold what they need until it is certain which of them stands.
            assert sum(order.remaining for order in venue.working if order.side is side) <= most
        for what in after:
            venue.happen(what)
    wanted = script[-1][0]
    for _ in range(6):
        for order in list(venue.working):  # every answer has come
            # One that an answer before put another in the place of has had its answer with that.
            if order.status is not S.PARTIALLY_FILLED and order in venue.working:
                venue.working.remove(order)
                venue.answered(order)
        venue.carry_out(plan_quotes(wanted, venue.working, instrument, room=ROOM, **BOOK))
    assert plan_quotes(wanted, venue.working, instrument, room=ROOM, **BOOK).is_empty
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
@given(wishes(), st.lists(orders, max_size=5), paces, markets)
def test_a_plan_from_any_state_is_safe_and_planning_again_adds_nothing(
    wanted: Quotes | None, working: list[WorkingOrder], paced: set[Side], instrument: Instrument
) -> None:
    plan = plan_quotes(wanted, working, instrument, room=ROOM, paced=paced, **BOOK)
    for intent, old in plan.intents:
        assert intent.price is not None
        assert intent.type is OrderType.LIMIT_MAKER
        assert intent.side not in paced
        others = [order for order in working if order.side is intent.side]
        assert [order.client_order_id for order in others] == ([] if old is None else [old]), (
            "the old one first"
        )
        assert all(order.status is S.NEW for order in others), "of what is replaced nothing has traded"
        assert intent.price < MID + 1 if intent.side is Side.BUY else intent.price > MID - 1
        for order in working:
            if order.side is not intent.side:
                assert order.price is not None
                assert (order.price > intent.price) is (intent.side is Side.BUY)
    in_flight = {order.client_order_id for order in working if order.status in (S.SENDING, S.UNKNOWN)}
    assert not in_flight.intersection(plan.cancels)
    kept = {order.client_order_id: order for order in working}
    for amendment in plan.amends:
        order = kept[amendment.client_order_id]
        assert order.price is not None
        if amendment.price is None:
            assert 0 < amendment.left < order.remaining
        else:
            assert 0 < amendment.left <= order.remaining
            assert amendment.price < order.price if order.side is Side.BUY else amendment.price > order.price
    venue = Venue()
    venue.working = list(working)
    venue.carry_out(plan)
    assert plan_quotes(wanted, venue.working, instrument, room=ROOM, paced=set(Side), **BOOK).is_empty


@settings(max_examples=100, deadline=None)
@given(st.lists(orders, max_size=6))
def test_nothing_wanted_takes_back_everything_that_can_be(working: list[WorkingOrder]) -> None:
    plan = plan_quotes(None, working, INSTRUMENT, room=ROOM, **BOOK)
    assert plan.places == [] == plan.amends
    assert set(plan.cancels) == {
        order.client_order_id for order in working if order.status not in (S.SENDING, S.UNKNOWN)
    }
