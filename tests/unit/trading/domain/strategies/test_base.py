"""What a strategy may say, and how its state travels."""

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading.domain.strategies import Desired, Protection, Quotes, registry

STRATEGY = registry()["moving_average"]()
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_state_comes_back_as_it_was_written(state):
    assert STRATEGY.load(STRATEGY.dump(state)) == state


def test_lists_come_back_as_tuples():
    assert STRATEGY.load(STRATEGY.dump([1, [2.5]])) == (1, (2.5,))


@pytest.mark.parametrize(
    "state", [float("nan"), [float("inf")], {1: 2}, {"a": {1, 2}}, (Fraction(1, 2),), object()]
)
def test_a_state_that_is_not_plain_data_is_refused(state):
    with pytest.raises(ValueError, match="state"):
        STRATEGY.dump(state)


@pytest.mark.parametrize("target", [1.0000001, -1.0000001, float("nan"), float("inf")])
def test_a_target_is_a_fraction_of_the_capital(target):
    with pytest.raises(ValueError, match="target"):
        Desired(target)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
def test_a_confidence_lies_between_zero_and_one(confidence):
    with pytest.raises(ValueError, match="confidence"):
        Desired(1.0, confidence)


def test_quotes_that_cross_themselves_are_refused():
    assert Quotes(99.0, 1.0, 101.0, 1.0).ask_price == 101.0
    with pytest.raises(ValueError, match="bid below ask"):
        Quotes(101.0, 1.0, 101.0, 1.0)
    with pytest.raises(ValueError, match="finite"):
        Quotes(float("nan"), 1.0, 101.0, 1.0)


def test_one_sided_quotes_need_no_other_side():
    assert Quotes(99.0, 1.0, 0.0, 0.0).ask_size == 0.0


@pytest.mark.parametrize(
    "wrong", [{"stop": 0.0}, {"take_profit": -1.0}, {"trailing": 1.0}, {"trailing": 0.0}]
)
def test_protection_needs_real_prices_and_a_fraction(wrong):
    with pytest.raises(ValueError, match="expected"):
        Protection(**wrong)
