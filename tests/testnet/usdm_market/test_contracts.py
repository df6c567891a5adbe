"""Perpetual terms: brackets, margins and what exchangeInfo says of them."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from testnet.instruments import Instrument, UnknownInstrument, catalog_instrument, make_instrument
from testnet.listing import Listing
from testnet.usdm.api.symbols import symbol_info
from testnet.usdm.catalog import catalog_perpetual, perpetual_of
from testnet.usdm.contracts import Perpetual
from testnet.usdm.mark import terms_of
from testnet.values import SCALE, fixed_text

HOUR_MS = 3_600_000


def btc() -> Perpetual:
    terms = catalog_perpetual("BTCUSDT")[0].perpetual
    assert terms is not None
    return terms


def test_btc_maintenance_amounts_follow_from_continuity_at_every_floor() -> None:
    # By hand: cum_2 = 50,000 * (0.5 % - 0.4 %) = 50; cum_3 = 50 + 250,000 * 0.5 % = 1,300;
    # cum_4 = 1,300 + 3,000,000 * 1.5 % = 46,300; cum_5 = 46,300 + 20,000,000 * 2.5 % = 546,300;
    # cum_6 = 546,300 + 40,000,000 * 5 % = 2,546,300; ... as the venue's own table has them.
    assert [row.cum // SCALE for row in btc().brackets] == [
        0,
        50,
        1_300,
        46_300,
        546_300,
        2_546_300,
        5_046_300,
        8_046_300,
        28_046_300,
        103_046_300,
    ]


@pytest.mark.parametrize(
    ("notional", "bracket", "maintenance"),
    [
        ("0", 1, "0.00000000"),
        ("10000", 1, "40.00000000"),
        ("49999.99999999", 1, "200.00000000"),  # 199.99999999996 rounded up
        ("50000", 2, "200.00000000"),
        ("250000", 3, "1200.00000000"),
        ("1000000", 3, "8700.00000000"),
        ("25000000", 5, "703700.00000000"),
        ("900000000", 10, "346953700.00000000"),  # above the table the last bracket counts
    ],
)
def test_maintenance_margin_is_ratio_times_notional_less_the_bracket_amount(
    notional: str, bracket: int, maintenance: str
) -> None:
    whole, _, fraction = notional.partition(".")
    units = int(whole) * SCALE + int(fraction.ljust(8, "0") or 0)
    assert btc().bracket_of(units).number == bracket
    assert fixed_text(btc().maintenance(units), 8) == maintenance


def test_higher_leverage_allows_smaller_positions() -> None:
    allowed = {leverage: btc().max_notional(leverage) // SCALE for leverage in (125, 101, 100, 20, 1, 126)}
    assert allowed == {
        125: 50_000,
        101: 50_000,
        100: 250_000,
        20: 20_000_000,
        1: 500_000_000,
        126: 0,
    }


def test_funding_times_are_eight_hours_apart_from_midnight() -> None:
    midnight = 1_750_032_000_000  # 2025-06-16 00:00 UTC
    assert btc().next_funding_ms(midnight - 1) == midnight
    assert btc().next_funding_ms(midnight) == midnight + 8 * HOUR_MS
    assert btc().next_funding_ms(midnight + 17 * HOUR_MS) == midnight + 24 * HOUR_MS


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT", "ADAUSDT"])
def test_terms_survive_a_journal(symbol: str) -> None:
    instrument, _ = catalog_perpetual(symbol)
    assert Instrument.from_json(json.loads(json.dumps(asdict(instrument)))) == instrument
    assert instrument.key == f"usdm:{symbol}"


def test_prices_and_quantities_are_written_with_the_contracts_own_precision() -> None:
    instrument, _ = catalog_perpetual("BTCUSDT")
    assert (instrument.price_text(617_933), instrument.qty_text(14)) == ("61793.30", "0.014")
    doge, _ = catalog_perpetual("DOGEUSDT")
    assert (doge.price_text(14_123), doge.qty_text(7)) == ("0.141230", "7")


def test_perpetual_of_a_symbol_in_another_quote_is_refused() -> None:
    spot = make_instrument("ETHBTC", SCALE // 100_000, SCALE // 1_000, 0.05)
    with pytest.raises(UnknownInstrument, match="ETHBTC"):
        perpetual_of(spot, catalog_instrument("ETHUSDT")[1], 0)


def test_spot_instrument_has_no_terms() -> None:
    with pytest.raises(TypeError, match="spot:BTCUSDT"):
        terms_of(Listing(*catalog_instrument("BTCUSDT")))


def test_symbol_object_has_every_member_and_filter_of_the_recorded_one(real_data: Path) -> None:
    path = real_data / "exchange_info" / "usdm_exchangeInfo_2021-07-22.json.gz"
    recorded = json.loads(gzip.decompress(path.read_bytes()))
    theirs = next(row for row in recorded["symbols"] if row["symbol"] == "BTCUSDT")
    ours = symbol_info(Listing(*catalog_perpetual("BTCUSDT")))
    assert set(theirs) <= set(ours)
    for name, value in theirs.items():
        assert type(ours[name]) is type(value), name
    by_type = {row["filterType"]: row for row in ours["filters"]}
    for row in theirs["filters"]:
        mine = by_type[row["filterType"]]
        assert set(mine) == set(row)
        assert {name: type(value) for name, value in mine.items()} == {
            name: type(value) for name, value in row.items()
        }


@pytest.mark.parametrize(
    ("units", "places", "text"),
    [
        (5, 8, "0.00000005"),
        (149_999_999, 1, "1.5"),
        (-4_999, 4, "0.0000"),
        (-5_000, 4, "-0.0001"),
        (SCALE * 7, 0, "7"),
    ],
)
def test_amounts_are_rounded_half_up_to_a_fixed_number_of_decimals(
    units: int, places: int, text: str
) -> None:
    assert fixed_text(units, places) == text
