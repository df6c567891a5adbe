"""Exact amounts: the only crossing between Decimals, floats, text and integers.

Nothing here uses the Decimal context, so no result depends on its precision: quotients are taken as
integer ratios and products are assembled digit by digit.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

from trading.domain.values.enums import Side

UNITS: Final = 10**8
"""Asset amounts and quote notionals are integers of one hundred-millionth."""

_UNIT: Final = Decimal("0.00000001")
CENT: Final = Decimal("0.01")
"""The finest that capital is granted in."""

MOST_DIGITS: Final = 28
"""Of a number that somebody wrote, in plain notation: what the columns and the Decimal context hold exactly."""

_WRITTEN: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_LONGEST_TEXT: Final = 64
_LARGEST_POWER: Final = 400  # beyond every float; what is larger would only fill memory with noughts


class TooManyDigits(ValueError):
    """A number has more digits in plain notation than any amount needs."""


def decimal_of(value: Decimal | int | float | str) -> Decimal:
    """Return `value` as a finite Decimal; a float by its shortest text, so 0.29 is Decimal("0.29").

    Raises
    ------
    ValueError : the value is not a number, or not finite.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"expected a finite number, was {value}")
        return Decimal(repr(value))
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise ValueError(f"expected a number, was {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"expected a finite number, was {number}")
    return number


def written_decimal(value: Decimal | int | str) -> Decimal:
    """Return a number that came from outside: ASCII digits with at most one point and a short exponent.

    `Decimal` alone also reads underscores, the digits of every script, and `1e9999999`, which fills memory once it is
    written out.

    Raises
    ------
    TooManyDigits : more than `MOST_DIGITS` in plain notation, on both sides of the point together.
    ValueError : anything else that is no such number; NaN and infinity among it.
    """
    text = str(value)
    if len(text) > _LONGEST_TEXT:
        raise TooManyDigits(f"expected at most {MOST_DIGITS} digits, were {len(text)} characters")
    if not _WRITTEN.fullmatch(text):
        raise ValueError(f"expected a decimal number, was {text[:40]!r}")
    number = Decimal(text)
    if _plain_digits(number) > MOST_DIGITS:
        raise TooManyDigits(f"expected at most {MOST_DIGITS} digits in plain notation")
    return number


def _plain_digits(value: Decimal) -> int:
    """Digits of the plain notation, both sides of the point."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    if exponent >= 0:
        return len(digits) + exponent if any(digits) else 1
    return max(len(digits), -exponent)


def exact_product(left: Decimal, right: Decimal) -> Decimal:
    """Return the product of two finite Decimals with every digit, whatever the context's precision."""
    left_coefficient, left_exponent = _parts(left)
    right_coefficient, right_exponent = _parts(right)
    return Decimal(f"{left_coefficient * right_coefficient}E{left_exponent + right_exponent}")


def multiple_of(count: int, step: Decimal) -> Decimal:
    """Return exactly `count` times `step`."""
    coefficient, exponent = _parts(step)
    return Decimal(f"{count * coefficient}E{exponent}")


def _parts(value: Decimal) -> tuple[int, int]:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"expected a finite number, was {value}")
    coefficient = int("".join(map(str, digits)) or "0")
    return (-coefficient if sign else coefficient), exponent


def times_of(value: Decimal, step: Decimal) -> tuple[int, bool]:
    """Return how often `step` fits into `value` (towards minus infinity) and whether it fits exactly.

    Raises
    ------
    ValueError : the step is not positive, or one of the numbers is not finite.
    """
    if not value.is_finite() or not step.is_finite():
        raise ValueError(f"expected finite numbers, were {value} and {step}")
    if step <= 0:
        raise ValueError(f"expected a positive step, was {step}")
    value_top, value_bottom = value.as_integer_ratio()
    step_top, step_bottom = step.as_integer_ratio()
    count, rest = divmod(value_top * step_bottom, value_bottom * step_top)
    return count, rest == 0


def floor_to_step(value: Decimal | float, step: Decimal) -> Decimal:
    """Round a quantity down to a multiple of `step`; never more than asked.

    Raises
    ------
    ValueError : the quantity is negative or not finite, or the step is not positive.
    """
    number = decimal_of(value)
    if number < 0:
        raise ValueError(f"expected a quantity of zero or more, was {number}")
    count, _ = times_of(number, step)
    return multiple_of(count, step)


def round_to_tick(price: Decimal | float, tick: Decimal, side: Side) -> Decimal:
    """Round a limit price to the tick without worsening it: a BUY pays no more, a SELL takes no less.

    Raises
    ------
    ValueError : the price is negative or not finite, or the tick is not positive.
    """
    number = decimal_of(price)
    if number < 0:
        raise ValueError(f"expected a price of zero or more, was {number}")
    count, exact = times_of(number, tick)
    return multiple_of(count if exact or side is Side.BUY else count + 1, tick)


def to_units(value: Decimal) -> int:
    """Return an amount in units of 1e-8.

    Raises
    ------
    ValueError : the amount is not finite, or finer than one unit.
    """
    count, exact = times_of(value, _UNIT)
    if not exact:
        raise ValueError(f"{value} is finer than one unit of {_UNIT:f}")
    return count


def is_whole_cents(amount: Decimal) -> bool:
    """Whether an amount of money is one that people grant: nothing finer than a cent."""
    return times_of(amount, CENT)[1]


def from_units(units: int) -> Decimal:
    """Return the exact Decimal of an amount in units of 1e-8."""
    return multiple_of(units, _UNIT)


def decimal_text(value: Decimal) -> str:
    """Write a Decimal in plain notation, without exponent or trailing zeros.

    The venue refuses `1E-5` (-1100), and JSON and the audit chain need one spelling per number.

    Raises
    ------
    ValueError : the value is not finite, or so large or fine that writing it out would fill memory.
    """
    if not value.is_finite():
        raise ValueError(f"expected a finite number, was {value}")
    if abs(value.adjusted()) > _LARGEST_POWER:
        raise TooManyDigits(f"expected a number within 1E-{_LARGEST_POWER} to 1E+{_LARGEST_POWER}")
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
