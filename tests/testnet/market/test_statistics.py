"""The comparison's statistics against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from testnet.market.compare.statistics import (
    autocorrelation,
    gaps,
    kurtosis,
    log_returns,
    quantile,
    root_mean_square,
)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 2.5), (0.1, 1.3), (1.0, 4.0)])
def test_a_quantile_lies_linearly_between_its_neighbours(share: float, expected: float) -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], share) == pytest.approx(expected, rel=1e-12)


def test_pairs_of_equal_signs_have_a_quarter_of_autocorrelation() -> None:
    # Mean 0, squares 4; products 1, -1, 1 at lag one and -1, -1 at lag two.
    assert autocorrelation([1, 1, -1, -1], 1) == 0.25
    assert autocorrelation([1, 1, -1, -1], 2) == -0.5


def test_values_that_never_change_have_no_autocorrelation() -> None:
    assert math.isnan(autocorrelation([1, 1, 1], 1))
    assert math.isnan(autocorrelation([1], 1))


def test_returns_over_a_span_overlap() -> None:
    found = log_returns([1.0, math.e, math.e, math.e**3], 2)
    assert found == pytest.approx([1.0, 2.0], rel=1e-12)


def test_kurtosis_of_two_values_is_one_and_of_a_rare_jump_is_large() -> None:
    assert kurtosis([1, -1, 1, -1]) == 1.0
    # Nine zeros and a one: mean p = 0.1, m2 = p(1-p) = 0.09, m4 = p(1-p)(1 - 3p(1-p)) = 0.0657.
    assert kurtosis([0] * 9 + [1]) == pytest.approx(0.0657 / 0.0081, rel=1e-9)


def test_root_mean_square_does_not_subtract_the_mean() -> None:
    assert root_mean_square([3.0, 4.0]) == pytest.approx(math.sqrt(12.5), rel=1e-12)


def test_gaps_are_differences_of_neighbours() -> None:
    assert gaps([5, 5, 12]) == [0, 7]


@pytest.mark.parametrize("function", [root_mean_square, kurtosis])
def test_nothing_gives_no_number(function: object) -> None:
    assert callable(function)
    assert math.isnan(function([]))
    assert math.isnan(quantile([], 0.5))
