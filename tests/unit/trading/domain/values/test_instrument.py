"""Scale and filters of instruments, from entries as the venue sends them and from recorded ones."""

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.instruments import exchange_info_entry, spot
from trading.domain.values import Instrument, Market, Side

RECORDED = Path(__file__).parents[5].parent / "shared" / "data" / "exchange_info"


def test_an_entry_is_read_filter_by_filter():
    instrument = spot()
    assert (instrument.symbol, instrument.base_asset, instrument.quote_asset) == ("BTCUSDT", "BTC", "USDT")
    assert (instrument.tick_size, instrument.step_size) == (Decimal("0.01"), Decimal("0.00001"))
    assert (instrument.min_notional, instrument.max_notional) == (Decimal(5), Decimal(9_000_000))
    assert (instrument.apply_min_to_market, instrument.apply_max_to_market) == (True, False)
    assert instrument.percent_price == (Decimal(5), Decimal("0.2"), Decimal(5), Decimal("0.2"))
    assert instrument.max_open_orders == 200
    assert instrument.is_trading


def test_the_market_lot_does_not_overwrite_the_lot():
    # defect W8: MARKET_LOT_SIZE, which comes second, replaced LOT_SIZE, and its zero step became 1e-6
    instrument = spot()
    assert (instrument.step_size, instrument.max_quantity) == (Decimal("0.00001"), Decimal(9000))
    assert (instrument.market_step_size, instrument.market_max_quantity) == (Decimal(0), Decimal(100))


def test_the_older_minimum_notional_is_read_too():
    # defect W9: only one of the two filter names was known
    entry = exchange_info_entry()
    entry["filters"] = [f for f in entry["filters"] if f["filterType"] != "NOTIONAL"]
    entry["filters"].append({"filterType": "MIN_NOTIONAL", "minNotional": "10.0", "applyToMarket": False})
    instrument = Instrument.from_exchange_info(entry, Market.spot)
    assert instrument.min_notional == Decimal(10)
    assert instrument.apply_min_to_market is False


def test_the_futures_minimum_notional_and_band_are_read():
    entry = exchange_info_entry()
    entry["filters"] = [
        f
        for f in entry["filters"]
        if f["filterType"] not in ("NOTIONAL", "PERCENT_PRICE_BY_SIDE", "MAX_NUM_ORDERS")
    ]
    entry["filters"] += [
        {"filterType": "MIN_NOTIONAL", "notional": "100"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.05", "multiplierDown": "0.95"},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
    ]
    instrument = Instrument.from_exchange_info(entry, Market.usdm)
    assert instrument.min_notional == Decimal(100)
    assert instrument.percent_price == (Decimal("1.05"), Decimal("0.95"), Decimal("1.05"), Decimal("0.95"))
    assert instrument.max_open_orders == 200


@pytest.mark.parametrize("name", ["PRICE_FILTER", "LOT_SIZE"])
def test_an_entry_without_a_needed_filter_is_refused_by_name(name):
    entry = exchange_info_entry()
    entry["filters"] = [f for f in entry["filters"] if f["filterType"] != name]
    with pytest.raises(ValueError, match=f"BTCUSDT: filter {name} is missing"):
        Instrument.from_exchange_info(entry, Market.spot)


def test_a_filter_that_is_no_number_is_refused_by_name():
    with pytest.raises(ValueError, match=r"LOT_SIZE\.stepSize"):
        spot(LOT_SIZE__stepSize="abc")


def test_a_zero_step_is_refused():
    with pytest.raises(ValueError, match="positive tick and step"):
        spot(LOT_SIZE__stepSize="0.0")


def test_a_disabled_tick_falls_back_to_the_finest_price():
    assert spot(PRICE_FILTER__tickSize="0.0").tick_size == Decimal("0.00000001")


def test_prices_and_quantities_are_counted_exactly():
    instrument = spot()
    assert instrument.ticks(Decimal("20000.01")) == 2_000_001
    assert instrument.price(2_000_001) == Decimal("20000.01")
    assert instrument.steps(Decimal("0.29")) == 29_000
    assert instrument.quantity(29_000) == Decimal("0.29")
    assert instrument.step_units == 1_000


def test_what_is_off_the_grid_is_refused_not_rounded():
    instrument = spot()
    with pytest.raises(ValueError, match="tick"):
        instrument.ticks(Decimal("20000.001"))
    with pytest.raises(ValueError, match="step"):
        instrument.steps(Decimal("0.000001"))


def test_rounding_is_explicit_and_towards_safety():
    instrument = spot()
    assert instrument.floor_steps(Decimal("0.000019")) == 1
    assert instrument.round_ticks(Decimal("20000.015"), Side.BUY) == 2_000_001
    assert instrument.round_ticks(Decimal("20000.015"), Side.SELL) == 2_000_002


def test_a_notional_is_price_times_quantity():
    # 20,000.01 x 0.12345 = 2,469.0012345
    assert spot().notional_units(2_000_001, 12_345) == 246_900_123_450


def test_a_notional_finer_than_a_unit_counts_as_a_whole_one():
    # 0.00001 x 0.0001 = 1e-9, a tenth of a unit
    fine = spot(PRICE_FILTER__tickSize="0.00001", LOT_SIZE__stepSize="0.0001")
    assert fine.notional_units(1, 1) == 1
    assert fine.notional_units(10, 1) == 1
    assert fine.notional_units(11, 1) == 2


@given(st.integers(1, 10**10), st.integers(1, 10**10))
def test_a_notional_equals_the_decimal_product(ticks, steps):
    instrument = spot()
    # one tick of one step is 0.01 x 0.00001 = 1e-7, ten units
    assert instrument.notional_units(ticks, steps) == ticks * steps * 10


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("file", "market"),
    [
        ("spot_exchangeInfo_2021-10-12.json.gz", Market.spot),
        ("usdm_exchangeInfo_2021-07-22.json.gz", Market.usdm),
    ],
)
def test_every_recorded_instrument_is_read_and_counts_its_own_bounds(file, market):
    path = RECORDED / file
    if not path.exists():
        pytest.skip("the recorded market data is not beside the checkout")
    with gzip.open(path) as stream:
        entries = json.load(stream)["symbols"]
    assert len(entries) > 100
    for entry in entries:
        instrument = Instrument.from_exchange_info(entry, market)
        filters = {f["filterType"]: f for f in entry["filters"]}
        assert str(instrument.step_size) == filters["LOT_SIZE"]["stepSize"]
        assert instrument.quantity(instrument.steps(instrument.min_quantity)) == instrument.min_quantity
        assert instrument.min_notional > 0


def test_a_negative_quantity_is_refused():
    with pytest.raises(ValueError, match="zero or more"):
        spot().floor_steps(Decimal(-1))


def test_a_step_finer_than_a_unit_is_refused():
    with pytest.raises(ValueError, match="finer than one unit"):
        _ = spot(LOT_SIZE__stepSize="0.000000001").step_units


def test_an_instrument_without_a_percent_filter_has_no_band():
    entry = exchange_info_entry()
    entry["filters"] = [f for f in entry["filters"] if f["filterType"] != "PERCENT_PRICE_BY_SIDE"]
    assert Instrument.from_exchange_info(entry, Market.spot).percent_price is None
