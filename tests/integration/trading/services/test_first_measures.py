"""What strategies want waits for the first clock and the first losses, in place of being denied order by order."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from nautilus_site.common.clock import now
from tests.factories.trading import Desk, trading_desk
from trading import tasks
from trading.models import LossMeasure, Order, VenueClock
from trading.services import first_measures
from trading.services.scopes import GLOBAL

SCOPES = (GLOBAL, "account:desk")


@pytest.fixture
def desk(db: None, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk in a process that has just started and whose strategy wants to hold."""
    monkeypatch.setattr(first_measures, "_measured", set())
    monkeypatch.setattr(first_measures, "_first_asked", {})
    desk = trading_desk()
    desk.limit(daily_loss=Decimal("0.5"))
    for scope in SCOPES:
        LossMeasure.objects.update_or_create(
            scope=scope, defaults={"day": now().date(), "measured_at": now()}
        )
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


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("before", ["never", "without a price", "by the platform that ran before"])
def test_nor_before_losses_were_measured(desk: Desk, scope: str, before: str) -> None:
    row = LossMeasure.objects.filter(scope=scope)
    if before == "never":
        row.delete()
    else:
        row.update(measured_at=None if before == "without a price" else now() - timedelta(seconds=61))
    assert planned(desk) == []
    LossMeasure.objects.update_or_create(scope=scope, defaults={"day": now().date(), "measured_at": now()})
    assert planned(desk) == ["RESERVED"]


def test_after_a_minute_without_losses_the_rail_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    LossMeasure.objects.all().delete()
    assert planned(desk) == []
    monkeypatch.setattr(first_measures, "LOSSES_WAIT_S", 0.0)
    assert planned(desk) == ["DENIED"]


def test_a_comparison_that_grows_old_later_is_denied_by_the_rail(desk: Desk) -> None:
    assert not first_measures.measures_awaited(desk.account.pk)
    VenueClock.objects.update(measured_at=now() - timedelta(hours=1))
    assert planned(desk) == ["DENIED"]
