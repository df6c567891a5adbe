"""A symbol that appears at the venue is a listing, told of once it trades; nothing else is one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nautilus_site.common.models import OutboxEvent
from tests.integration.universe.market import START_MS, Listing, bar, spot_entry
from trading.domain.errors import VenueUnavailable
from universe import models
from universe.models import Instrument, Venue
from universe.services import instruments_sync, venue_ensure

FIRST = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
LATER = FIRST + timedelta(seconds=15)


def events() -> list[dict[str, Any]]:
    return [row.data for row in OutboxEvent.objects.filter(topic="listings").order_by("pk")]


@pytest.fixture
def market(venue: Venue) -> Listing:
    """Looked at once; then NEWUSDT appears."""
    market = Listing(spot_entry("BTCUSDT"))
    instruments_sync(venue, market, now=FIRST)
    market.entries.append(spot_entry("NEWUSDT"))
    return market


def test_nothing_was_listed_at_a_venues_first_look(venue: Venue) -> None:
    instruments_sync(venue, Listing(spot_entry("BTCUSDT"), spot_entry("ETHUSDT")), now=FIRST)
    assert not models.Listing.objects.exists()
    assert events() == []


def test_a_new_symbol_is_told_of_with_the_minute_of_its_first_trade(venue: Venue, market: Listing) -> None:
    market.traded["NEWUSDT"] = bar(0)
    assert instruments_sync(venue, market, now=LATER).added == ("NEWUSDT",)
    (listing,) = models.Listing.objects.all()
    began = datetime.fromtimestamp(START_MS / 1000, UTC)
    assert (listing.missed_at, listing.seen_at, listing.listed_at) == (FIRST, LATER, began)
    assert Instrument.objects.get(symbol="NEWUSDT").listed_at == began
    (event,) = events()
    assert (event["symbol"], event["market"]) == ("NEWUSDT", "spot")
    instruments_sync(venue, market, now=LATER + timedelta(seconds=15))
    assert len(events()) == 1, "once"


def test_without_a_trade_it_waits(venue: Venue, market: Listing) -> None:
    instruments_sync(venue, market, now=LATER)
    assert models.Listing.objects.get().opened_at is None
    assert events() == []
    market.traded["NEWUSDT"] = bar(3)
    instruments_sync(venue, market, now=LATER + timedelta(minutes=4))
    listing = models.Listing.objects.get()
    assert listing.opened_at == LATER + timedelta(minutes=4)
    assert listing.seen_at == LATER, "seen when it appeared"
    assert len(events()) == 1


def test_a_venue_that_does_not_say_when_it_began_is_asked_again(
    venue: Venue, market: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise VenueUnavailable(None, "busy")

    with monkeypatch.context() as broken:
        broken.setattr(market, "klines", refuse)
        assert instruments_sync(venue, market, now=LATER).added == ("NEWUSDT",)
    assert events() == []
    market.traded["NEWUSDT"] = bar(0)
    instruments_sync(venue, market, now=LATER)
    assert len(events()) == 1


def test_announced_it_waits_for_its_trading_and_the_venues_word_is_its_time(db: None) -> None:
    venue = venue_ensure(market="usdm", environment="local")
    market = Listing(spot_entry("BTCUSDT"))
    instruments_sync(venue, market, now=FIRST)
    announced = spot_entry("NEWUSDT", status="PENDING_TRADING") | {"onboardDate": START_MS}
    market.entries.append(announced)
    instruments_sync(venue, market, now=LATER)
    assert events() == []
    announced["status"] = "TRADING"
    instruments_sync(venue, market, now=LATER + timedelta(seconds=15))
    (listing,) = models.Listing.objects.all()
    assert listing.listed_at == datetime.fromtimestamp(START_MS / 1000, UTC)
    assert len(events()) == 1


def test_a_symbol_that_comes_back_is_no_new_listing(venue: Venue, market: Listing) -> None:
    market.entries = [spot_entry("ETHUSDT")]
    instruments_sync(venue, market, now=LATER)  # BTCUSDT is gone
    market.entries.append(spot_entry("BTCUSDT"))
    market.traded["BTCUSDT"] = bar(0)
    instruments_sync(venue, market, now=LATER)
    assert [row.instrument.symbol for row in models.Listing.objects.all()] == ["ETHUSDT"]
