"""Whose part of the caps a fill moves, where several strategies share a symbol."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trading.domain.carried import carried_split
from trading.models import ExposureBucket
from trading.services.controls import limits_install
from trading.services.exposure import buckets_locked, buckets_move

BOTH = {"trend": "2250", "canary": "750"}


@pytest.mark.parametrize(
    ("carried", "weights", "delta", "expected"),
    [
        # What is bought is carried by those the order is for, as its fills are split.
        ({}, {"trend": 3, "canary": 1}, "1000", {"trend": "750", "canary": "250"}),
        ({}, {"canary": 1}, "750", {"canary": "750"}),
        # One of two sells all it has: the other's part stays.
        (BOTH, {"canary": 1}, "-750", {"canary": "-750"}),
        (BOTH, {"trend": 1, "canary": 1}, "-1000", {"trend": "-500", "canary": "-500"}),
        # Nobody releases more than it carries; the others release what is left.
        (BOTH, {"canary": 1}, "-1000", {"canary": "-750", "trend": "-250"}),
        # What nobody asked for by name is everybody's, and so is a stranger's sale.
        (BOTH, {"": 0}, "-300", {"trend": "-225", "canary": "-75"}),
        (BOTH, {"": 1}, "-300", {"trend": "-225", "canary": "-75"}),
        ({}, {"": 0}, "10", {"": "10"}),
        ({}, {"trend": 1}, "-1", {"trend": "-1"}),
        (BOTH, {"trend": 1}, "0", {}),
    ],
)
def test_a_fill_moves_the_part_of_whom_it_is_for(
    carried: dict[str, str], weights: dict[str, int], delta: str, expected: dict[str, str]
) -> None:
    found = carried_split(carried, weights, Decimal(delta))
    assert found == {name: Decimal(text) for name, text in expected.items()}


def test_what_rounding_leaves_is_somebody_s() -> None:
    for weights in ({"a": 1, "b": 1, "c": 1}, {"": 0}):
        found = carried_split({"a": "1", "b": "1", "c": "1"}, weights, Decimal("-1"))
        assert sum(found.values()) == -1
        assert all(Decimal("-0.33333334") <= change <= Decimal("-0.33333333") for change in found.values())


@pytest.mark.django_db
def test_a_strategy_that_carries_by_an_order_in_another_ones_name_gets_its_bucket() -> None:
    limits_install(actor="test")
    buckets_locked(["strategy:trend"])
    buckets_move({"strategy:trend": Decimal(30), "strategy:canary": Decimal(10)})
    buckets_move({"strategy:canary": Decimal(-4)})
    used = dict(ExposureBucket.objects.values_list("scope", "used"))
    assert used == {"strategy:trend": Decimal(30), "strategy:canary": Decimal(6)}
