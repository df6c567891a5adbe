"""Rails are monotone: an allowed order stays allowed when smaller, and caps never catch exits."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.checks import context, limits, order
from tests.fakes.instruments import spot
from trading.domain.risk import check_order, order_reserve, reduces
from trading.domain.values import UNITS, Side

INSTRUMENT = spot()
STEP = INSTRUMENT.step_units
SIZE_RAILS = {
    "max_notional",
    "max_quantity",
    "reduce_only",
    "exposure_symbol",
    "exposure_strategy",
    "exposure_account",
    "exposure_global",
    "free_balance",
}
CAPS = {"exposure_symbol", "exposure_strategy", "exposure_account", "exposure_global"}

money = st.integers(0, 20_000 * UNITS)
holding = st.integers(0, 2 * UNITS)
contexts = st.builds(
    context,
    position=st.integers(-2 * UNITS, 2 * UNITS),
    open_buy=holding,
    open_sell=holding,
    free_base=holding,
    free_quote=money,
    pending_base=holding,
    pending_quote=money,
    used_symbol=money,
    used_strategy=money,
    used_account=money,
    used_global=money,
    limits=st.builds(limits, max_notional=money, max_quantity=holding),
)


def sized(side, ticks, steps, reduce_only=False):
    notional = INSTRUMENT.notional_units(ticks, steps)
    return order(side=side, ticks=ticks, steps=steps, notional=notional, reduce_only=reduce_only)


def passed(an_order, a_context):
    return {result.rail for result in check_order(an_order, a_context) if result.passed}


@settings(max_examples=400)
@given(
    contexts,
    st.sampled_from(list(Side)),
    st.integers(1, 10**7),
    st.integers(1, 200_000),
    st.booleans(),
    st.data(),
)
def test_an_allowed_order_stays_allowed_when_it_is_smaller(a_context, side, ticks, steps, reduce_only, data):
    smaller = data.draw(st.integers(1, steps))
    large = passed(sized(side, ticks, steps, reduce_only), a_context) & SIZE_RAILS
    small = passed(sized(side, ticks, smaller, reduce_only), a_context) & SIZE_RAILS
    assert large <= small


@settings(max_examples=400)
@given(contexts, st.sampled_from(list(Side)), st.integers(1, 10**7), st.integers(1, 200_000))
def test_an_order_that_only_reduces_passes_every_cap_however_full(a_context, side, ticks, steps):
    an_order = sized(side, ticks, steps)
    if reduces(an_order, a_context):
        assert order_reserve(an_order, a_context) == 0
        assert passed(an_order, a_context) >= CAPS


@given(st.integers(1, 2 * UNITS), st.integers(1, 10**7), st.data())
def test_selling_what_is_held_and_free_always_reduces(held, ticks, data):
    steps = data.draw(st.integers(0, held // STEP))
    if steps:
        a_context = context(position=held, used_symbol=10**15, used_account=10**15, used_global=10**15)
        assert reduces(sized(Side.SELL, ticks, steps), a_context)


@given(contexts, st.sampled_from(list(Side)), st.integers(1, 10**7), st.integers(1, 200_000))
def test_no_cap_is_exceeded_by_an_order_that_passes_and_adds_risk(a_context, side, ticks, steps):
    an_order = sized(side, ticks, steps)
    reserve = order_reserve(an_order, a_context)
    if reserve and "exposure_account" in passed(an_order, a_context):
        assert a_context.used_account + reserve <= a_context.limits.exposure_account
