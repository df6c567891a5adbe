"""The planner is a thermostat: it moves towards the target, never past it, and never twice."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.instruments import spot
from trading.domain.apportionment import split_steps
from trading.domain.orders import OPEN, OrderStatus
from trading.domain.planner import MAX_CHILDREN, Desire, WorkingOrder, plan
from trading.domain.values import UNITS, Side

INSTRUMENT = spot()
STEP = INSTRUMENT.step_units
desires = st.lists(
    st.builds(
        Desire,
        strategy=st.sampled_from(["a", "b", "c"]),
        target=st.floats(-1, 1),
        weight=st.decimals(0, 1, places=3),
        allocation=st.decimals(0, 50_000, places=2),
        decision_id=st.just("d"),
    ),
    max_size=3,
)
prices = st.decimals(Decimal("0.01"), 100_000, places=2)
positions = st.integers(0, 5 * UNITS)
bands = st.decimals(0, Decimal("0.5"), places=3)
children = st.none() | st.decimals(10, 5_000, places=2)


def signed(side, steps):
    return side.sign * steps * STEP


@settings(max_examples=300)
@given(desires, positions, prices, bands, children)
def test_a_plan_moves_towards_the_target_and_never_past_it(wants, position, price, band, child):
    result = plan(wants, position, (), INSTRUMENT, price, rebalance_band=band, max_child_notional=child)
    moved = sum(signed(i.side, i.quantity) for i in result.intents)
    assert abs(moved) <= abs(result.target - position)
    assert moved * (result.target - position) >= 0
    assert position + moved >= 0, "spot never sells more than it holds"
    assert sum(share.steps for share in result.shares) == (abs(moved) // STEP if wants else 0)


@settings(max_examples=300)
@given(desires, positions, prices, bands, children)
def test_a_target_never_exceeds_the_capital_granted(wants, position, price, band, child):
    result = plan(wants, position, (), INSTRUMENT, price, rebalance_band=band, max_child_notional=child)
    granted = sum(Fraction(w.allocation) * Fraction(w.weight) for w in wants)
    assert 0 <= Fraction(result.target, UNITS) * Fraction(price) <= granted


@settings(max_examples=300)
@given(desires, positions, prices, bands, st.sampled_from(sorted(OPEN)))
def test_with_its_own_orders_working_a_plan_is_empty(wants, position, price, band, status):
    first = plan(wants, position, (), INSTRUMENT, price, rebalance_band=band)
    if len(first.intents) == MAX_CHILDREN:
        return  # the rest of a parent of more orders than one plan may hold follows now
    orders = [WorkingOrder(str(n), i.side, i.quantity, None, status) for n, i in enumerate(first.intents)]
    second = plan(wants, position, orders, INSTRUMENT, price, rebalance_band=band)
    assert (second.intents, second.cancels) == ((), ())


@settings(max_examples=300)
@given(desires, positions, prices, bands)
def test_once_filled_a_plan_is_empty(wants, position, price, band):
    first = plan(wants, position, (), INSTRUMENT, price, rebalance_band=band)
    if len(first.intents) == MAX_CHILDREN:
        return  # the rest of a parent of more orders than one plan may hold follows now
    after = position + sum(signed(i.side, i.quantity) for i in first.intents)
    assert plan(wants, after, (), INSTRUMENT, price, rebalance_band=band).intents == ()


@settings(max_examples=300)
@given(desires, positions, prices, children)
def test_no_child_is_larger_than_allowed(wants, position, price, child):
    result = plan(wants, position, (), INSTRUMENT, price, rebalance_band=Decimal(0), max_child_notional=child)
    for intent in result.intents:
        notional = Fraction(INSTRUMENT.quantity(intent.quantity)) * Fraction(price)
        assert child is None or notional <= Fraction(child)
        assert notional >= Fraction(INSTRUMENT.min_notional)


@given(desires, positions, prices, st.integers(1, 10_000), st.sampled_from(list(Side)))
def test_nothing_is_sent_while_an_order_works_the_other_way(wants, position, price, remaining, side):
    order = WorkingOrder("w", side, remaining, None, OrderStatus.NEW)
    result = plan(wants, position, [order], INSTRUMENT, price, rebalance_band=Decimal(0))
    if (result.target - position) * side.sign <= 0:
        assert result.intents == ()
        assert result.cancels == ("w",)


@given(st.integers(0, 10**9), st.lists(st.decimals(0, 10**6, places=4), min_size=1, max_size=8))
def test_a_split_is_exact_and_no_part_is_off_by_a_whole_step(total, weights):
    whole = sum(Fraction(w) for w in weights)
    if whole == 0:
        return
    parts = split_steps(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(weight) * total / whole) < 1
        assert part == 0 or weight > 0
