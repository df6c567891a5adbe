"""Exact amounts; expected numbers by hand, properties by exact rational arithmetic."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.values import (
    UNITS,
    Side,
    TooManyDigits,
    decimal_of,
    decimal_text,
    exact_product,
    floor_to_step,
    from_units,
    multiple_of,
    round_to_tick,
    times_of,
    to_units,
    written_decimal,
)

STEPS = st.sampled_from([Decimal(t) for t in ("0.00000001", "0.00001", "0.01", "0.05", "1", "5", "1000")])
QUANTITIES = st.decimals(min_value=0, max_value=10**9, places=8)


@pytest.mark.parametrize(
    ("value", "step", "expected"),
    [
        # defect W7: the earlier system rounded to the nearest step
        ("1.999", "0.01", "1.99"),
        ("0.0006", "0.001", "0"),
        ("0.29", "0.01", "0.29"),
        ("7", "5", "5"),
    ],
)
def test_a_quantity_rounds_down_never_to_the_nearest(value, step, expected):
    assert floor_to_step(Decimal(value), Decimal(step)) == Decimal(expected)


def test_a_float_crosses_by_its_shortest_text():
    assert int(0.29 / 0.01) == 28  # what binary arithmetic makes of it
    assert floor_to_step(0.29, Decimal("0.01")) == Decimal("0.29")


@pytest.mark.parametrize(("side", "expected"), [(Side.BUY, "100.12"), (Side.SELL, "100.13")])
def test_rounding_a_price_never_worsens_the_limit(side, expected):
    assert round_to_tick(Decimal("100.125"), Decimal("0.01"), side) == Decimal(expected)


@pytest.mark.parametrize("side", list(Side))
def test_a_price_on_the_tick_stays(side):
    assert round_to_tick(Decimal("100.12"), Decimal("0.01"), side) == Decimal("100.12")


@given(QUANTITIES, STEPS)
def test_a_floored_quantity_is_the_largest_multiple_not_above(value, step):
    floored = floor_to_step(value, step)
    assert Fraction(floored) % Fraction(step) == 0
    assert 0 <= Fraction(value) - Fraction(floored) < Fraction(step)


@given(QUANTITIES, STEPS, st.sampled_from(list(Side)))
def test_a_rounded_price_is_the_nearest_multiple_on_the_safe_side(price, tick, side):
    rounded = round_to_tick(price, tick, side)
    gap = (Fraction(price) - Fraction(rounded)) * side.sign
    assert Fraction(rounded) % Fraction(tick) == 0
    assert 0 <= gap < Fraction(tick)


@given(st.integers(min_value=-(10**20), max_value=10**20))
def test_units_survive_the_round_trip(units):
    assert to_units(from_units(units)) == units


def test_one_coin_is_a_hundred_million_units():
    assert to_units(Decimal(1)) == UNITS == 100_000_000
    assert from_units(-1) == Decimal("-0.00000001")


@pytest.mark.parametrize("text", ["0.000000001", "1.123456789", "NaN", "Infinity"])
def test_an_amount_finer_than_a_unit_or_not_finite_is_refused(text):
    with pytest.raises(ValueError):
        to_units(Decimal(text))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E-5", "0.00001"),
        ("1E+3", "1000"),
        ("1.2300", "1.23"),
        ("100", "100"),
        ("0E-8", "0"),
        ("-0.0", "0"),
        ("-1.50", "-1.5"),
    ],
)
def test_numbers_become_plain_text(value, text):
    assert decimal_text(Decimal(value)) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=12))
def test_plain_text_reads_back_as_the_same_number(value):
    text = decimal_text(value)
    assert Decimal(text) == value
    assert "E" not in text
    assert not (text.endswith("0") and "." in text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "NaN", "abc", ""])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError):
        decimal_of(value)


def test_results_do_not_depend_on_the_decimal_context():
    with localcontext() as context:
        context.prec = 3
        assert multiple_of(123_456_789, Decimal("0.00001")) == Decimal("1234.56789")
        # 12345678 x 12345 = 152407394910 by long multiplication, eleven places after the point
        assert exact_product(Decimal("12345.678"), Decimal("0.00012345")).as_tuple().digits == tuple(
            int(digit) for digit in "152407394910"
        )
        assert times_of(Decimal("123456.78"), Decimal("0.01")) == (12_345_678, True)


@pytest.mark.parametrize("step", ["0", "-1", "NaN"])
def test_a_step_that_is_not_positive_is_refused(step):
    with pytest.raises(ValueError):
        floor_to_step(Decimal(1), Decimal(step))


def test_a_negative_quantity_is_refused():
    with pytest.raises(ValueError, match="-3"):
        floor_to_step(Decimal(-3), Decimal(1))


def test_a_negative_price_is_refused():
    with pytest.raises(ValueError, match="zero or more"):
        round_to_tick(Decimal(-1), Decimal("0.01"), Side.BUY)


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_what_is_not_finite_becomes_neither_text_nor_a_step(value):
    with pytest.raises(ValueError, match="finite"):
        decimal_text(Decimal(value))
    with pytest.raises(ValueError, match="finite"):
        multiple_of(1, Decimal(value))


@pytest.mark.parametrize(
    ("text", "number"), [("0.10", "0.1"), ("-3", "-3"), (".5", "0.5"), ("1e3", "1000"), ("2.", "2")]
)
def test_a_written_number_is_read_exactly(text: str, number: str) -> None:
    assert written_decimal(text) == Decimal(number)


@pytest.mark.parametrize("text", ["1e400", "1e-400", "1e-29", "1" * 29, "0" * 65])
def test_a_written_number_that_would_fill_memory_is_refused(text: str) -> None:
    with pytest.raises(TooManyDigits):
        written_decimal(text)


@pytest.mark.parametrize(
    "text",
    ["1e9999999", "1e-9999999", "1_000", "\u0661\u0662", " 1", "1\n", "NaN", "Infinity", "", "--1", "0x1"],
)
def test_a_number_in_any_other_notation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a decimal number"):
        written_decimal(text)


@pytest.mark.parametrize("text", ["1e9999999", "-1e-9999999"])
def test_no_number_is_written_out_to_fill_memory(text: str) -> None:
    with pytest.raises(ValueError, match="within"):
        decimal_text(Decimal(text))
