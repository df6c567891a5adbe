from __future__ import annotations

import pytest

from tests.integration.universe.market import Listing, spot_entry
from universe.models import Instrument, Venue
from universe.services import instruments_sync, venue_ensure


@pytest.fixture
def venue(db: None) -> Venue:
    return venue_ensure(market="spot", environment="local")


@pytest.fixture
def bitcoin(venue: Venue) -> Instrument:
    instruments_sync(venue, Listing(spot_entry()))
    return Instrument.objects.get(symbol="BTCUSDT")
