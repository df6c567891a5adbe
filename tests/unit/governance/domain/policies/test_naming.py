"""Whom a change of a document names."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain.policies.naming import names_that_differ

CAPS = {"caps": {"trend": "100", "swing": "100"}, "max_quota_usd": "1000", "enabled": ["swing"]}
GROUP = {"members": ["trend", "swing"], "cap_usd": "100"}


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        (CAPS, CAPS, set()),
        (CAPS, {**CAPS, "max_quota_usd": "2000"}, set()),
        (CAPS, {**CAPS, "caps": {"trend": "200", "swing": "100"}}, {"trend", "100", "200"}),
        (CAPS, {**CAPS, "caps": {"swing": "100"}}, {"trend", "100"}),
        (CAPS, {**CAPS, "enabled": ["swing", "trend"]}, {"trend"}),
        ({"groups": {"a": GROUP}}, {"groups": {"a": {**GROUP, "cap_usd": "200"}}},
         {"a", "members", "cap_usd", "trend", "swing", "100", "200"}),
        ({}, {"weights": {"trend:BTCUSDT": "1"}}, {"trend", "BTCUSDT", "1"}),
        ({"rules": [{"name": "r", "scope": "strategy:trend"}]}, {"rules": []},
         {"name", "r", "scope", "strategy", "trend"}),
        ({}, None, set()),
    ],
)  # fmt: skip
def test_it_names_what_stands_in_what_differs(before: Any, after: Any, named: set[str]) -> None:
    assert names_that_differ(before, after) == named
