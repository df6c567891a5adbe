"""What strategies want waits for the first look at the venue's clock, in place of being denied order by order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nautilus_site.common.clock import now
from tests.factories.trading import Desk, trading_desk
from trading import tasks
from trading.models import Order, VenueClock
from trading.services import venue_clock


@pytest.fixture
def desk(db: None, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk in a process that has just started and whose strategy wants to hold."""
    monkeypatch.setattr(venue_clock, "_compared", set())
    desk = trading_desk()
    desk.decide(1.0)
    return desk


def planned(desk: Desk) -> list[str]:
    tasks.plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk)
    return list(Order.objects.values_list("status", flat=True))


@pytest.mark.parametrize("before", ["never", "by the platform that ran before"])
def test_nothing_is_planned_and_nothing_denied_before_the_clock_was_looked_at_and_then_it_is(
    desk: Desk, before: str
) -> None:
    if before == "never":
        VenueClock.objects.all().delete()
    else:
        VenueClock.objects.update(measured_at=now() - timedelta(seconds=61))
    assert planned(desk) == []
    VenueClock.objects.update_or_create(
        venue=desk.account.venue.name, defaults={"offset_ms": 0, "measured_at": now()}
    )
    assert planned(desk) == ["RESERVED"]


def test_a_comparison_that_grows_old_later_is_denied_by_the_rail(desk: Desk) -> None:
    assert not venue_clock.clock_awaited(desk.account.pk)
    VenueClock.objects.update(measured_at=now() - timedelta(hours=1))
    assert planned(desk) == ["DENIED"]
