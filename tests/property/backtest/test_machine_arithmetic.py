"""128-bit quotients in machine code against Python's own integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from trading.domain.backtest.arithmetic import NO_LIMIT, mul_div, mul_div_up

pytest.importorskip("numba", reason="the compiled engine needs numba")

AMOUNT = st.one_of(st.integers(0, 10**6), st.integers(0, NO_LIMIT))
DIVISOR = st.one_of(st.integers(1, 10**6), st.integers(1, NO_LIMIT))


@pytest.fixture(scope="module")
def quotients() -> tuple[Callable[..., int], Callable[..., int]]:
    import numba

    from trading.domain.backtest import machine

    assert machine.STEP_SIGNATURE is not None  # importing it is what tells numba about the kernels

    @numba.njit("int64(int64, int64, int64)")
    def down(a: Any, b: Any, c: Any) -> Any:
        return mul_div(a, b, c)

    @numba.njit("int64(int64, int64, int64)")
    def up(a: Any, b: Any, c: Any) -> Any:
        return mul_div_up(a, b, c)

    return down, up


@given(a=AMOUNT, b=AMOUNT, c=DIVISOR)
@example(a=NO_LIMIT, b=NO_LIMIT, c=NO_LIMIT)
@example(a=3_037_000_500, b=3_037_000_500, c=2)
@example(a=NO_LIMIT - 1, b=NO_LIMIT, c=NO_LIMIT - 1)
def test_products_beyond_64_bits_are_divided_exactly(
    quotients: tuple[Callable[..., int], Callable[..., int]], a: int, b: int, c: int
) -> None:
    assume(a * b // c < NO_LIMIT)
    down, up = quotients
    assert down(a, b, c) == a * b // c
    assert up(a, b, c) == -(-a * b // c)
