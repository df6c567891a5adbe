"""Grids as typed on a command line."""

import pytest

from trading.domain.research.grid import GridError, candidates, parse_grid
from trading.domain.strategies import load_strategy

PARAMS = load_strategy("moving_average").Params


def test_ranges_include_both_ends_and_step_in_decimals():
    grid = parse_grid(["fast=5:20:5", "size=0.1:0.5:0.1", "mode=a,b", "one=7"])
    assert dict(grid.axes) == {
        "fast": ("5", "10", "15", "20"),
        "size": ("0.1", "0.2", "0.3", "0.4", "0.5"),
        "mode": ("a", "b"),
        "one": ("7",),
    }
    assert grid.size == 40
    assert parse_grid(["n=1:3"]).axes == (("n", ("1", "2", "3")),)
    assert parse_grid(["n=1:6:2"]).axes == (("n", ("1", "3", "5")),)


def test_the_last_name_varies_fastest():
    assert list(parse_grid(["a=1,2", "b=3,4"])) == [
        {"a": "1", "b": "3"},
        {"a": "1", "b": "4"},
        {"a": "2", "b": "3"},
        {"a": "2", "b": "4"},
    ]


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([], "at least one"),
        (["fast"], "name=first:last:step"),
        (["fast="], "name=first:last:step"),
        (["fa st=1"], "name=first:last:step"),
        (["fast=1", "fast=2"], "given twice"),
        (["fast=1,,2"], "empty value"),
        (["fast=1,1"], "given twice"),
        (["fast=1:2:3:4"], "first:last:step"),
        (["fast=a:b"], "numbers"),
        (["fast=5:1"], "first <= last"),
        (["fast=1:5:0"], "positive step"),
        (["fast=1:5:-1"], "positive step"),
        (["fast=0:1:nan"], "expected numbers"),
        (["fast=0:1:1e-9999999"], "expected numbers"),
        (["fast=0:9999999"], "more than 1,000,000"),
        (["a=1:2000", "b=1:2000"], "4,000,000 combinations"),
    ],
)
def test_a_bad_grid_is_refused_with_its_reason(parts, complaint):
    with pytest.raises(GridError, match=complaint):
        parse_grid(parts)


def test_contradictions_are_skipped_and_counted():
    found = candidates(parse_grid(["fast=5:20:5", "slow=10:20:10"]), PARAMS)
    assert [(c.number, c.params.fast, c.params.slow) for c in found.valid] == [
        (0, 5, 10), (1, 5, 20), (3, 10, 20), (5, 15, 20),
    ]  # fmt: skip
    assert found.skipped == 4


def test_values_beyond_the_default_of_another_field_are_no_mistake():
    # slow is 21 by default: fast = 30 contradicts it, and is fine beside slow = 100.
    found = candidates(parse_grid(["fast=30", "slow=100"]), PARAMS)
    assert found.valid[0].params.fast == 30


def test_fixed_parameters_apply_to_all():
    found = candidates(parse_grid(["fast=5,6"]), PARAMS, {"slow": "50", "allow_short": "true"})
    assert {(c.params.slow, c.params.allow_short) for c in found.valid} == {(50, True)}


@pytest.mark.parametrize(
    ("parts", "fixed", "complaint"),
    [
        (["quick=1"], {}, "unknown parameter"),
        (["fast=0:5"], {}, "at least 1"),
        (["fast=1.5"], {}, "whole number"),
        (["fast=x"], {}, "expected a number"),
        (["allow_short=maybe"], {}, "true or false"),
        (["fast=5"], {"fast": "6"}, "both fixed and in the grid"),
        (["fast=5"], {"slow": "x"}, "expected a number"),
        (["fast=30", "slow=20"], {}, "every combination contradicts itself"),
    ],
)
def test_values_the_strategy_refuses_do_not_silently_shrink_the_grid(parts, fixed, complaint):
    with pytest.raises(GridError, match=complaint):
        candidates(parse_grid(parts), PARAMS, fixed)
