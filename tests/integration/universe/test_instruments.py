"""Instruments follow the venue and remember."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest

from nautilus_site.common.errors import Conflict, NotFound
from nautilus_site.common.models import AuditEntry
from tests.integration.universe.market import Listing, spot_entry
from universe.models import Instrument, InstrumentVersion, Venue, VenueBackoff
from universe.selectors import instrument_get, instruments_tradable
from universe.services import instruments_sync, venue_ensure

EXCHANGE_INFO = (
    Path(__file__).resolve().parents[3].parent
    / "shared/data/exchange_info/spot_exchangeInfo_2021-10-12.json.gz"
)


def test_a_first_sync_lists_everything_with_a_version_and_an_audit_entry(venue: Venue) -> None:
    result = instruments_sync(venue, Listing(spot_entry("BTCUSDT"), spot_entry("ETHUSDT")))
    assert result.added == ("BTCUSDT", "ETHUSDT")
    assert InstrumentVersion.objects.count() == 2
    assert AuditEntry.objects.get(action="instruments.listed").after["count"] == 2
    assert VenueBackoff.objects.get(venue="binance-spot").weight_limit == 1200
    assert instrument_get("BTCUSDT").to_domain().tick_size == Decimal("0.01")


def test_a_second_sync_of_the_same_answer_changes_nothing(venue: Venue) -> None:
    listing = Listing(spot_entry())
    instruments_sync(venue, listing)
    again = instruments_sync(venue, listing)
    assert (again.touched, again.unchanged) == (False, 1)
    assert InstrumentVersion.objects.count() == 1


def test_a_changed_tick_makes_a_version_that_the_kernel_sees(venue: Venue) -> None:
    instruments_sync(venue, Listing(spot_entry(tick="0.01")))
    before = instrument_get("BTCUSDT").to_domain()
    assert instruments_sync(venue, Listing(spot_entry(tick="0.1"))).changed == ("BTCUSDT",)
    instrument = instrument_get("BTCUSDT")
    assert (before.tick_size, instrument.to_domain().tick_size) == (Decimal("0.01"), Decimal("0.1"))
    assert [v.version for v in instrument.versions.all()] == [2, 1]
    entry = AuditEntry.objects.get(action="instrument.changed")
    assert entry.before["filters"][0]["tickSize"] == "0.01"
    assert entry.after["filters"][0]["tickSize"] == "0.1"


def test_a_symbol_that_vanishes_is_delisted_and_kept(venue: Venue) -> None:
    instruments_sync(venue, Listing(spot_entry("BTCUSDT"), spot_entry("LUNAUSDT")))
    assert instruments_sync(venue, Listing(spot_entry("BTCUSDT"))).delisted == ("LUNAUSDT",)
    gone = instrument_get("LUNAUSDT")
    assert gone.status == "DELISTED"
    assert not gone.to_domain().is_trading
    assert [i.symbol for i in instruments_tradable("spot")] == ["BTCUSDT"]
    assert instruments_sync(venue, Listing(spot_entry("BTCUSDT"))).delisted == ()
    relisted = instruments_sync(venue, Listing(spot_entry("BTCUSDT"), spot_entry("LUNAUSDT")))
    assert relisted.changed == ("LUNAUSDT",)


def test_an_empty_exchange_info_keeps_what_is_known(venue: Venue) -> None:
    instruments_sync(venue, Listing(spot_entry()))
    assert not instruments_sync(venue, Listing()).touched
    assert instrument_get("BTCUSDT").status == "TRADING"


def test_an_unreadable_entry_leaves_its_instrument_as_it_was(venue: Venue) -> None:
    instruments_sync(venue, Listing(spot_entry()))
    broken = {**spot_entry(), "filters": []}
    result = instruments_sync(venue, Listing(broken, spot_entry("ETHUSDT")))
    assert result.unreadable[0][0] == "BTCUSDT"
    assert (result.added, result.delisted) == (("ETHUSDT",), ())
    assert instrument_get("BTCUSDT").version == 1


def test_any_common_spelling_finds_the_instrument_and_others_are_not_found(bitcoin: Instrument) -> None:
    for spelling in ("btc/usdt", "BTC-USDT", "BTCUSDT.BINANCE", " btc_usdt "):
        assert instrument_get(spelling) == bitcoin
    for unknown in ("DOGEUSDT", "BTCUSDT.P", "?"):
        with pytest.raises(NotFound) as missing:
            instrument_get(unknown)
        assert missing.value.code == "UNKNOWN_SYMBOL"


def test_one_database_never_holds_two_environments(venue: Venue) -> None:
    with pytest.raises(Conflict) as refused:
        venue_ensure(market="spot", environment="live")
    assert refused.value.code == "ENVIRONMENT_CHANGED"


@pytest.mark.realdata
def test_a_complete_recorded_exchange_info_is_readable(venue: Venue) -> None:
    if not EXCHANGE_INFO.exists():
        pytest.skip("no recorded exchangeInfo beside the checkout")
    info = json.loads(gzip.decompress(EXCHANGE_INFO.read_bytes()))
    result = instruments_sync(venue, Listing(*info["symbols"]))
    assert (len(result.added), result.unreadable) == (1695, ())
    # The first entry of the recording, ETHBTC, read by eye.
    ether = instrument_get("ETHBTC").to_domain()
    assert (ether.tick_size, ether.step_size, ether.min_notional) == (
        Decimal("0.000001"),
        Decimal("0.0001"),
        Decimal("0.0001"),
    )
    assert not instruments_sync(venue, Listing(*info["symbols"])).touched
