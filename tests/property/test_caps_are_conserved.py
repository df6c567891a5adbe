"""Over any sequence of orders, fills and ends, a bucket is what orders hold plus what positions carry."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trading.domain.reservation import (
    Carried,
    Reservation,
    exposure_increase,
    is_reducing,
    release_on_end,
    reserved_notional,
    settle_fill,
    worst_case,
)
from trading.domain.values import Side


class SpotBucket(RuleBasedStateMachine):
    """One symbol of a spot account under one bucket: orders within a cap, as the services drive it."""

    @initialize(cap=st.integers(0, 10_000))
    def start(self, cap):
        self.cap = cap
        self.used = 0
        self.carried = Carried()
        self.orders: list[tuple[Side, Reservation]] = []

    def open(self, side):
        return sum(reservation.quantity for s, reservation in self.orders if s is side)

    @rule(side=st.sampled_from(list(Side)), quantity=st.integers(1, 100), price=st.integers(1, 50))
    def reserve(self, side, quantity, price):
        books = (self.carried.quantity, self.open(Side.BUY), self.open(Side.SELL))
        if side is Side.SELL and not is_reducing(
            side, quantity, position=books[0], open_buy=books[1], open_sell=books[2]
        ):
            return  # spot sells only what it holds
        reserve = reserved_notional(quantity * price, exposure_increase(*books, side, quantity), quantity)
        if reserve and self.used + reserve > self.cap:
            return
        self.used += reserve
        self.orders.append((side, Reservation(quantity, reserve)))

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def fill(self, data):
        index = data.draw(st.integers(0, len(self.orders) - 1))
        side, reservation = self.orders[index]
        filled = data.draw(st.integers(1, reservation.quantity))
        fee = data.draw(st.integers(0, filled // 10)) if side is Side.BUY else 0
        result = settle_fill(reservation, self.carried, side, filled, quote=filled * 7, fee_base=fee)
        self.carried = result.carried
        self.used += result.bucket_delta
        self.orders[index] = (side, result.reservation)
        if result.reservation.quantity == 0:
            del self.orders[index]

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def end(self, data):
        _, reservation = self.orders.pop(data.draw(st.integers(0, len(self.orders) - 1)))
        ended, released = release_on_end(reservation)
        assert release_on_end(ended)[1] == 0
        assert released == reservation.notional
        self.used -= released

    @invariant()
    def the_bucket_is_the_sum_of_its_parts(self):
        if hasattr(self, "orders"):
            held = sum(reservation.notional for _, reservation in self.orders)
            assert self.used == held + self.carried.notional
            assert 0 <= self.used <= self.cap

    @invariant()
    def a_flat_book_without_orders_holds_nothing(self):
        if hasattr(self, "orders") and not self.orders and self.carried.quantity == 0:
            assert self.used == 0

    @invariant()
    def what_was_promised_can_be_delivered(self):
        if hasattr(self, "orders"):
            assert self.open(Side.SELL) <= self.carried.quantity
            assert worst_case(self.carried.quantity, self.open(Side.BUY), self.open(Side.SELL)) >= 0


SpotBucket.TestCase.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
TestCapsAreConserved = SpotBucket.TestCase
