"""When a venue says wait: nobody calls it, its breaker is open, and a storm does not become a ban (pain 23)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.factories.exchange import Exchange, running_exchange
from trading.domain.errors import VenueRejected, VenueUnavailable
from trading.models import CircuitBreaker
from trading.services.breakers import breakers_install
from trading.services.venues import venue_limited
from universe.adapters.binance import SpotClient, endpoints_for
from universe.services.venue_backoffs import weight_treasury

if TYPE_CHECKING:
    from tests.factories.trading import Desk


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT") as address:
        yield address


def client(exchange: Exchange) -> SpotClient:
    """One process's way to the venue; they share nothing but the treasury."""
    return SpotClient(
        endpoints_for("local", local_url=exchange.url),
        api_key=exchange.account["api_key"],
        api_secret=exchange.account["api_secret"],
        treasury=weight_treasury("binance-spot", address=exchange.url),
        on_limited=venue_limited,
    )


def read(one: SpotClient) -> object:
    return one.signed_request(
        "GET", "/api/v3/account", {}, timestamp_ms=time.time_ns() // 1_000_000, recv_window_ms=5000
    )


@pytest.mark.parametrize(("status", "breaker"), [(429, "venue_rate_limit"), (418, "venue_ban")])
def test_the_venues_wait_holds_for_everybody_at_once_and_opens_a_breaker(
    desk: Desk, url: str, status: int, breaker: str
) -> None:
    breakers_install(venue="binance-spot", actor="test")
    exchange = Exchange(url)
    one, other = client(exchange), client(exchange)
    read(other)
    exchange.fault("/api/v3/account", "GET", rate_limit={"status": status, "retry_after": 2})
    with pytest.raises(VenueUnavailable) as first:
        read(one)
    assert first.value.retry_after_s == 2
    other.response = None
    for _ in range(50):
        with pytest.raises(VenueUnavailable):
            read(other)
    assert other.response is None, "nothing was sent: going on is what gets an address banned"
    row = CircuitBreaker.objects.get(name=breaker, scope="venue:binance-spot")
    assert (row.state, str(status) in row.reason) == ("open", True)
    deadline = time.monotonic() + 30
    while not went_out(one) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert time.monotonic() < deadline
    with pytest.raises(VenueUnavailable):
        read(other)


def went_out(one: SpotClient) -> bool:
    """Whether a cancel reached the venue, which refuses it with a code when there is nothing to cancel."""
    try:
        one.signed_request(
            "DELETE",
            "/api/v3/openOrders",
            {"symbol": "BTCUSDT"},
            timestamp_ms=time.time_ns() // 1_000_000,
            recv_window_ms=5000,
        )
    except VenueUnavailable:
        return False
    except VenueRejected:
        return True
    return True
