"""How the rails count: value, collar, exposure, balance, margin and loss."""

import pytest

from tests.fakes.checks import context, limits, order
from tests.fakes.instruments import usdm
from tests.unit.trading.domain.risk.samples import BTC, EXIT, HELD, R, lost, margin, verdict
from trading.domain.risk import NetExposure
from trading.domain.values import UNITS, Side


def test_an_order_given_by_quantity_is_valued_like_any_other():
    # defect W5: quantity 1,500 at price 1 passed where quote 1,500 was refused
    result = verdict("max_notional", order(ticks=100, steps=150_000_000, notional=1_500 * UNITS), context())
    assert result.code is R.NOTIONAL_ABOVE_MAX
    assert (result.measured, result.limit, result.unit) == ("1500", "1000", "USDT")


def test_a_resting_order_far_from_the_market_is_not_a_collar_matter():
    assert verdict("price_collar", order(ticks=1_000_000), context()).passed
    assert verdict("price_collar", order(side=Side.SELL, ticks=3_000_000), context()).passed


def test_a_sale_far_below_the_middle_breaks_the_collar():
    assert verdict("price_collar", order(side=Side.SELL, ticks=1_980_000), context()).passed
    assert verdict("price_collar", order(side=Side.SELL, ticks=1_979_999), context()).code is R.PRICE_COLLAR


def test_orders_in_flight_count_against_the_balance():
    short = context(free_base=BTC // 100, pending_base=1, position=BTC // 100)
    assert verdict("free_balance", order(**EXIT), short).code is R.INSUFFICIENT_BALANCE
    assert verdict("free_balance", order(**EXIT), context(**HELD)).passed


def test_pending_orders_count_in_the_exposure_of_the_next():
    # flat, 0.01 BTC already in an open sell of a 0.005 position: the sell side cannot grow it further
    a_context = context(position=BTC // 200, open_sell=0, used_symbol=2_000 * UNITS)
    assert verdict("exposure_symbol", order(**EXIT, steps=500, notional=100 * UNITS), a_context).passed
    assert not verdict("exposure_symbol", order(steps=1), a_context).passed


def test_a_cap_counts_only_the_part_of_an_order_that_adds_risk():
    # long 0.01 with an open buy of 0.01: worst case 0.02. A sell of 0.04 can end at -0.03: 0.01 more,
    # a quarter of its 800 USDT.
    a_context = context(position=BTC // 100, open_buy=BTC // 100, used_symbol=1_800 * UNITS)
    big_sell = order(side=Side.SELL, steps=4_000, notional=800 * UNITS)
    result = verdict("exposure_symbol", big_sell, a_context)
    assert result.passed
    assert result.measured == "2000"


@pytest.mark.parametrize("known", [{"last": 1_980_000}, {"mark": 1_980_000}])
def test_the_collar_holds_against_the_last_trade_and_the_mark_as_well(known):
    # 1 % above 19,800 is 19,998: the middle alone would have let 20,000 pass
    world = context(instrument=usdm(), **known)
    assert verdict("price_collar", order(ticks=1_999_800), world).passed
    assert verdict("price_collar", order(ticks=1_999_801), world).code is R.PRICE_COLLAR
    assert verdict("price_collar", order(side=Side.SELL, ticks=1_980_000), world).passed


def test_the_scope_nearest_to_its_loss_limit_is_the_one_that_is_shown():
    result = verdict("daily_loss", order(), context(losses=lost(loss=40 * UNITS)))
    assert (result.measured, result.limit) == ("40", "100")


def test_net_exposure_counts_what_both_sides_could_become():
    # short 100 net: a purchase of 200 makes it long 100 at worst, a sale makes it short 300
    net = NetExposure(carried=-100 * UNITS)
    bound = limits(net_account=250 * UNITS)
    assert verdict("net_account", order(), context(net_account=net, limits=bound)).passed
    sale = verdict("net_account", order(side=Side.SELL), context(net_account=net, limits=bound))
    assert (sale.code, sale.measured) == (R.EXPOSURE_ACCOUNT, "300")


def test_futures_need_their_initial_margin_and_not_the_whole_amount():
    world = context(instrument=usdm(), free_quote=0, margin=margin(available=100 * UNITS))
    assert verdict("free_balance", order(), world).passed
    short = context(instrument=usdm(), margin=margin(available=100 * UNITS - 1))
    assert verdict("free_balance", order(), short).code is R.INSUFFICIENT_BALANCE


def test_an_account_without_any_balance_is_at_its_margin_limit():
    world = context(instrument=usdm(), margin=margin(balance=0))
    assert verdict("margin_use", order(), world).code is R.MARGIN
