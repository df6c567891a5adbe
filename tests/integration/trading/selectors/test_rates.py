"""What is used of what may be sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from nautilus_site.common.clock import now
from tests.integration.trading.api.world import World
from trading.models import Order
from trading.selectors.denials import denials_by_code, denials_by_limit
from trading.selectors.rates import queue_depths, rate_uses

pytestmark = pytest.mark.django_db


def test_queue_depths_count_the_messages_that_wait_at_the_broker() -> None:
    from nautilus_site.celery import app

    app.set_current()
    with app.connection_for_write() as connection:
        connection.default_channel.client.delete("training")
    before = queue_depths()
    assert before is not None
    assert before["training"] == 0
    for _ in range(3):
        app.send_task("nobody.consumes.this", queue="training")
    try:
        after = queue_depths()
        assert after == {**before, "training": 3}
    finally:
        with app.connection_for_write() as connection:
            connection.default_channel.client.delete("training")


def test_queue_depths_are_unknown_and_not_zero_while_the_broker_is_down(monkeypatch: Any) -> None:
    from celery import Celery

    unreachable = Celery(broker="redis+socket:///nowhere/valkey.sock", set_as_current=False)
    monkeypatch.setattr("trading.selectors.rates.current_app", unreachable)
    assert queue_depths() is None


def test_orders_of_the_last_minute_count_unless_denied_or_of_others(world: World) -> None:
    world.order()
    world.order(status="DENIED")
    world.order(origin=Order.Origin.EXTERNAL)
    world.order(created_at=now() - timedelta(seconds=61))
    use = next(use for use in rate_uses(now()) if use.kind == "orders")
    assert (use.used, use.limit) == (1, 60)
    assert use.ratio == pytest.approx(1 / 60)


def test_denials_are_counted_by_code_and_by_the_limit_behind_them(world: World) -> None:
    for code, days in (("NOTIONAL_ABOVE_MAX", 0), ("NOTIONAL_ABOVE_MAX", 8), ("RATE_LIMITED", 0)):
        world.order(status="DENIED", code=code, created_at=now() - timedelta(days=days))
    assert denials_by_limit("max_notional") == 1
    assert denials_by_limit("exposure_global") == 0
    assert denials_by_limit("nothing") == 0
    assert {row["code"]: row["count"] for row in denials_by_code()} == {
        "NOTIONAL_ABOVE_MAX": 1,
        "RATE_LIMITED": 1,
    }
