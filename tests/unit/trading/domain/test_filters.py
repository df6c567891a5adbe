"""Each venue filter: the last value allowed, the first refused."""

from fractions import Fraction

import pytest

from tests.fakes.instruments import spot, usdm
from trading.domain.filters import check_filters
from trading.domain.values import Instrument, Side

BUY = Side.BUY
PRICE = 2_000_000  # 20,000.00


def failure(instrument: Instrument, *, ticks=PRICE, steps=1_000, **more) -> str | None:
    more.setdefault("side", BUY)
    more.setdefault("is_market", False)
    found = check_filters(instrument, ticks=ticks, steps=steps, **more)
    return None if found is None else found.name


@pytest.mark.parametrize(
    ("change", "allowed", "refused", "name"),
    [
        ({"PRICE_FILTER__minPrice": "19999.99"}, {"ticks": 1_999_999}, {"ticks": 1_999_998}, "PRICE_FILTER"),
        ({"PRICE_FILTER__maxPrice": "20000.01"}, {"ticks": 2_000_001}, {"ticks": 2_000_002}, "PRICE_FILTER"),
        ({"LOT_SIZE__minQty": "0.01000"}, {"steps": 1_000}, {"steps": 999}, "LOT_SIZE"),
        ({"LOT_SIZE__maxQty": "0.01000"}, {"steps": 1_000}, {"steps": 1_001}, "LOT_SIZE"),
        ({"NOTIONAL__minNotional": "200"}, {"steps": 1_000}, {"steps": 999}, "NOTIONAL"),
        ({"NOTIONAL__maxNotional": "200"}, {"steps": 1_000}, {"steps": 1_001}, "NOTIONAL"),
        ({}, {"open_orders": 199}, {"open_orders": 200}, "MAX_NUM_ORDERS"),
    ],
)
def test_a_filter_allows_its_bound_and_refuses_the_next_value(change, allowed, refused, name):
    instrument = spot(**change)
    assert failure(instrument, **allowed) is None
    assert failure(instrument, **refused) == name


@pytest.mark.parametrize(
    ("change", "allowed", "refused"),
    [
        ({"MARKET_LOT_SIZE__minQty": "0.01"}, 1_000, 999),
        ({"MARKET_LOT_SIZE__maxQty": "0.01"}, 1_000, 1_001),
        ({"MARKET_LOT_SIZE__stepSize": "0.001"}, 1_000, 1_001),
    ],
)
def test_the_market_lot_binds_only_market_orders(change, allowed, refused):
    instrument = spot(**change)
    assert failure(instrument, steps=allowed, is_market=True) is None
    assert failure(instrument, steps=refused, is_market=True) == "MARKET_LOT_SIZE"
    assert failure(instrument, steps=refused) is None


def test_a_zero_market_step_is_not_checked():
    assert failure(spot(), steps=1_001, is_market=True) is None


def test_notional_bounds_bind_market_orders_only_where_the_venue_says_so():
    exempt = spot(NOTIONAL__minNotional="500", NOTIONAL__applyMinToMarket=False)
    assert failure(exempt, is_market=True) is None
    assert failure(exempt) == "NOTIONAL"
    bound = spot(NOTIONAL__maxNotional="100", NOTIONAL__applyMaxToMarket=True)
    assert failure(bound, is_market=True) == "NOTIONAL"


def test_a_reducing_futures_order_may_be_below_the_minimum_notional_and_a_spot_order_may_not():
    assert failure(usdm(), steps=1, reduces=True) is None
    assert failure(spot(), steps=1, reduces=True) == "NOTIONAL"


@pytest.mark.parametrize(
    ("side", "allowed", "refused"),
    [
        (Side.BUY, 2_200_000, 2_200_001),
        (Side.BUY, 1_600_000, 1_599_999),
        (Side.SELL, 2_600_000, 2_600_001),
        (Side.SELL, 1_800_000, 1_799_999),
    ],
)
def test_the_percent_band_is_per_side(side, allowed, refused):
    instrument = spot(
        PERCENT_PRICE_BY_SIDE__bidMultiplierUp="1.1",
        PERCENT_PRICE_BY_SIDE__bidMultiplierDown="0.8",
        PERCENT_PRICE_BY_SIDE__askMultiplierUp="1.3",
        PERCENT_PRICE_BY_SIDE__askMultiplierDown="0.9",
    )
    reference = Fraction(20_000)
    assert failure(instrument, side=side, ticks=allowed, reference=reference) is None
    assert failure(instrument, side=side, ticks=refused, reference=reference) == "PERCENT_PRICE"


def test_without_a_reference_the_percent_band_is_not_guessed():
    assert failure(spot(), ticks=90_000_000) is None


def test_a_failure_shows_both_numbers():
    found = check_filters(spot(), side=BUY, ticks=PRICE, steps=24, is_market=False)
    assert found is not None
    assert (found.measured, found.limit) == ("4.8", "5")
    assert found.detail == "NOTIONAL: notional 4.8 is below the minimum 5"


@pytest.mark.parametrize(("changes", "name"), [({"ticks": 0}, "PRICE_FILTER"), ({"steps": 0}, "LOT_SIZE")])
def test_a_price_or_quantity_of_nothing_is_refused_even_without_bounds(changes, name):
    unbounded = spot(PRICE_FILTER__minPrice="0", LOT_SIZE__minQty="0", NOTIONAL__minNotional="0")
    assert failure(unbounded, **changes) == name
