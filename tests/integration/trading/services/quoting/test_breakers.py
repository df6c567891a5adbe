"""A market maker is refused now and then by design: that must not stop everybody else on its account."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from nautilus_site.common.clock import now
from tests.integration.trading.services.breaker_cases import orders
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
