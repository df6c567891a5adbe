"""Breakers fed by the calls of the real client's observer: they open, block, and recover by probes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.conf import LazySettings

from nautilus_site.common.clock import now
from trading.domain.errors import VenueUnavailable
from trading.models import CircuitBreaker
from trading.services.breakers import breakers_evaluate, venue_call_observed
from trading.services.orders import OrderDenied
from universe.adapters.binance import SpotClient, endpoints_for
from universe.domain.calls import CallOutcome

if TYPE_CHECKING:
    from tests.factories.trading import Desk

VENUE = "binance-spot"


def breaker() -> CircuitBreaker:
    return CircuitBreaker.objects.get(name="venue_error_rate")


def client() -> SpotClient:
    """The real client towards a port nobody listens on."""
    return SpotClient(endpoints_for("local", local_url="http://127.0.0.1:9"), observer=venue_call_observed)


def fail(times: int) -> None:
    for _ in range(times):
        with pytest.raises(VenueUnavailable):
            client().public_request("/api/v3/time", {})


@pytest.fixture
def aged(desk: Desk) -> Desk:
    """Calls of the second in which a breaker changed do not count; let it have changed before."""
    CircuitBreaker.objects.update(changed_at=now() - timedelta(minutes=5))
    return desk


def open_it(desk: Desk) -> CircuitBreaker:
    fail(10)
    row = breaker()
    assert row.state == "open"
    return row


def test_failures_seen_by_the_real_client_open_the_breaker_only_with_enough_samples(aged: Desk) -> None:
    """The earlier system never recorded a result (W20), and one error would have been enough (W21)."""
    fail(9)
    assert breaker().state == "closed"
    fail(1)
    assert breaker().state == "open"
    assert "10 errors in 10 calls" in breaker().reason


def test_failures_below_the_threshold_do_not_open_it(aged: Desk) -> None:
    for _ in range(11):
        venue_call_observed(VENUE, CallOutcome.OK, 0.01, None)
    fail(10)
    assert breaker().state == "closed"


def test_unknown_outcomes_are_not_counted(aged: Desk) -> None:
    for _ in range(30):
        venue_call_observed(VENUE, CallOutcome.UNKNOWN, 5.0, None)
    assert breaker().state == "closed"


def test_while_it_is_open_new_risk_is_denied_with_the_time_to_wait(aged: Desk) -> None:
    open_it(aged)
    with pytest.raises(OrderDenied) as denied:
        aged.submit()
    assert denied.value.code == "BREAKER_OPEN"
    assert 0 < denied.value.extra["retry_after"] <= 11


def test_while_it_is_open_a_reducing_order_passes(aged: Desk) -> None:
    aged.send(aged.submit("BUY", "0.01", price="60010"))
    open_it(aged)
    assert aged.submit("SELL", "0.005", price="59990").status == "RESERVED"


def test_it_closes_by_probes_after_its_cool_down_and_not_before(aged: Desk) -> None:
    row = open_it(aged)
    venue_call_observed(VENUE, CallOutcome.OK, 0.01, None)
    breakers_evaluate(venue=VENUE)
    assert breaker().state == "open"
    row.memory["until_ns"] = 1
    row.save()
    breakers_evaluate(venue=VENUE)
    assert breaker().state == "half_open"
    for _ in range(3):
        venue_call_observed(VENUE, CallOutcome.OK, 0.01, None)
    assert breaker().state == "closed"
    assert aged.submit().status == "RESERVED"


def test_a_failed_probe_opens_it_again_for_twice_as_long(aged: Desk, settings: LazySettings) -> None:
    row = open_it(aged)
    row.memory["until_ns"] = 1
    row.save()
    breakers_evaluate(venue=VENUE)
    venue_call_observed(VENUE, CallOutcome.ERROR, 0.01, None)
    again = breaker()
    assert again.state == "open"
    assert again.retry_at is not None
    assert 19 < (again.retry_at - again.changed_at).total_seconds() < 23
