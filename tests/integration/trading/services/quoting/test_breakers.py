"""A market maker is refused now and then by design: that must not stop everybody else on its account."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from nautilus_site.common.clock import now
from tests.integration.trading.services.breaker_cases import orders
from trading.models import Order
from trading.services.breakers.measures.orders import reject_rate

if TYPE_CHECKING:
    from tests.factories.trading import Desk

LATE = "Order would immediately match and take."
POOR = "Account has insufficient balance for requested action."


@pytest.mark.parametrize(
    ("type_", "message", "counted"),
    [("LIMIT_MAKER", LATE, 0.0), ("LIMIT_MAKER", POOR, 25.0), ("LIMIT", LATE, 25.0)],
)
def test_only_a_post_only_order_that_came_too_late_is_no_refusal(
    desk: Desk, type_: str, message: str, counted: float
) -> None:
    orders(desk, 3)
    orders(desk, 1, status="REJECTED", type=type_, code="-2010", message=message)
    reading = reject_rate("account:desk", now() - timedelta(minutes=1), now())
    assert (reading.value, reading.samples) == (counted, 4)


@pytest.mark.parametrize(
    ("replaces", "code", "counted"), [(True, "-2022", 0), (True, "-2010", 1), (False, "-2022", 1)]
)
def test_an_order_that_was_to_replace_one_which_had_traded_first_is_no_refusal(
    desk: Desk, replaces: bool, code: str, counted: int
) -> None:
    orders(desk, 3)
    old = Order.objects.order_by("pk")[0] if replaces else None
    orders(desk, 1, status="REJECTED", code=code, message=POOR, replaces=old)
    reading = reject_rate("account:desk", now() - timedelta(minutes=1), now())
    assert (reading.value, reading.samples) == (25.0 * counted, 4)
