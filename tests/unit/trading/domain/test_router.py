"""From intent to venue order."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.instruments import spot, usdm
from trading.domain.orders import OrderIntent
from trading.domain.refusals import Refused, collared_ticks
from trading.domain.risk import DenyReason
from trading.domain.router import Routed, build_intent, route
from trading.domain.values import OrderType, Side, TimeInForce

BID, ASK = Decimal("19999.99"), Decimal("20000.01")


def intent(**changes):
    values = {
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "time_in_force": TimeInForce.GTC,
        "quantity": 1_000,
        "price": None,
        "reduce_only": False,
        "reason": "test",
    }
    return OrderIntent(**(values | changes))


def routed(an_intent, instrument=None, **changes):
    values = {"best_bid": BID, "best_ask": ASK, "collar_bps": 50, "client_order_id": "key"}
    return route(an_intent, instrument or spot(), **(values | changes))


@pytest.mark.parametrize(
    ("side", "price"),
    [
        (Side.BUY, "20100.01"),  # 20,000.01 x 1.005 = 20,100.01005, down
        (Side.SELL, "19900"),  # 19,999.99 x 0.995 = 19,899.99005, up
    ],
)
def test_a_market_order_leaves_as_an_ioc_limit_inside_the_collar(side, price):
    result = routed(intent(side=side))
    assert isinstance(result, Routed)
    assert result.order.type is OrderType.LIMIT
    assert result.order.time_in_force is TimeInForce.IOC
    assert result.order.price == Decimal(price)
    assert "market order sent as LIMIT IOC" in result.adjustments[0]


@pytest.mark.parametrize("missing", [None, Decimal(0), Decimal(-1)])
@pytest.mark.parametrize("side", list(Side))
def test_without_a_price_a_market_order_is_refused_never_sent_unprotected(side, missing):
    # defect W16
    result = routed(intent(side=side), best_bid=missing, best_ask=missing)
    assert isinstance(result, Refused)
    assert result.code is DenyReason.PRICE_UNAVAILABLE


def test_only_the_touched_side_of_the_book_is_needed():
    assert isinstance(routed(intent(), best_bid=None), Routed)
    assert isinstance(routed(intent(side=Side.SELL), best_bid=None), Refused)


def test_a_limit_order_keeps_its_price_and_time_in_force():
    result = routed(intent(type=OrderType.LIMIT, price=1_900_000, time_in_force=TimeInForce.FOK))
    assert isinstance(result, Routed)
    assert (result.order.price, result.order.time_in_force) == (Decimal(19_000), TimeInForce.FOK)
    assert (result.ticks, result.steps) == (1_900_000, 1_000)
    assert result.notional_units == 190 * 10**8
    assert result.adjustments == ()


def test_a_limit_order_without_a_price_is_refused():
    result = routed(intent(type=OrderType.LIMIT))
    assert isinstance(result, Refused)
    assert result.code is DenyReason.PRICE_UNAVAILABLE


def test_a_post_only_order_carries_no_time_in_force():
    result = routed(intent(type=OrderType.LIMIT_MAKER, price=1_999_999))
    assert isinstance(result, Routed)
    assert (result.order.type, result.order.time_in_force) == (OrderType.LIMIT_MAKER, None)


@pytest.mark.parametrize(
    ("side", "rests", "takes"), [(Side.BUY, 2_000_000, 2_000_001), (Side.SELL, 2_000_000, 1_999_999)]
)
def test_a_post_only_order_that_would_take_is_refused_before_sending(side, rests, takes):
    assert isinstance(routed(intent(type=OrderType.LIMIT_MAKER, side=side, price=rests)), Routed)
    result = routed(intent(type=OrderType.LIMIT_MAKER, side=side, price=takes))
    assert isinstance(result, Refused)
    assert (result.code, result.rule) == (DenyReason.VENUE_FILTER, "LIMIT_MAKER")


def test_a_broken_filter_is_refused_under_its_name():
    result = routed(intent(quantity=24))
    assert isinstance(result, Refused)
    assert (result.code, result.rule, result.limit) == (DenyReason.VENUE_FILTER, "NOTIONAL", "5")


def test_a_type_the_venue_does_not_take_is_refused():
    result = routed(intent(), spot(orderTypes=["LIMIT_MAKER"]))
    assert isinstance(result, Refused)
    assert result.code is DenyReason.ORDER_TYPE_NOT_ALLOWED


@pytest.mark.parametrize("spelling", ["btc/usdt", "BTCUSDT.BINANCE", "BTCUSDT"])
def test_every_spelling_goes_out_as_the_plain_symbol(spelling):
    # defects W4 and W43
    result = routed(intent(symbol=spelling))
    assert isinstance(result, Routed)
    assert result.order.symbol == "BTCUSDT"


@pytest.mark.parametrize("symbol", ["ETHUSDT", "not a symbol"])
def test_an_intent_for_another_instrument_is_refused(symbol):
    result = routed(intent(symbol=symbol))
    assert isinstance(result, Refused)
    assert result.code is DenyReason.SYMBOL_NOT_ALLOWED


def test_a_market_quantity_rounds_down_to_the_market_step():
    result = routed(intent(quantity=1_999), spot(MARKET_LOT_SIZE__stepSize="0.001"))
    assert isinstance(result, Routed)
    assert result.order.quantity == Decimal("0.019")
    assert "rounded down to the market step" in result.adjustments[1]


def test_a_market_quantity_below_one_market_step_is_refused():
    result = routed(intent(quantity=99), spot(MARKET_LOT_SIZE__stepSize="0.001"))
    assert isinstance(result, Refused)
    assert result.rule == "MARKET_LOT_SIZE"


def test_the_reduce_only_flag_is_sent_only_where_the_venue_knows_it():
    assert routed(intent(side=Side.SELL, reduce_only=True)).order.reduce_only is False
    assert routed(intent(side=Side.SELL, reduce_only=True), usdm()).order.reduce_only is True


@pytest.mark.parametrize("collar", [-1, 10_000])
def test_a_collar_that_is_none_is_refused(collar):
    with pytest.raises(ValueError, match="collar"):
        collared_ticks(spot(), Side.BUY, ASK, collar)


@given(
    st.sampled_from(list(Side)),
    st.integers(1, 10**9),
    st.integers(0, 9_999),
    st.sampled_from(["0.01", "0.05", "0.1", "1", "0.0001"]),
)
def test_a_collared_price_stays_between_the_touch_and_the_collar(side, touch_ticks, collar, tick):
    instrument = spot(PRICE_FILTER__tickSize=tick)
    touch = instrument.price(touch_ticks)
    price = Fraction(instrument.price(collared_ticks(instrument, side, touch, collar)))
    bound = Fraction(touch) * (10_000 + side.sign * collar) / 10_000
    low, high = sorted([Fraction(touch), bound])
    assert low <= price <= high


def request(**changes):
    values = {
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "order_type": OrderType.MARKET,
        "time_in_force": TimeInForce.GTC,
        "best_bid": BID,
        "best_ask": ASK,
        "collar_bps": 50,
    }
    return build_intent(spot(), **(values | changes))


def test_a_requested_quantity_rounds_down_and_says_so():
    # defect W7
    an_intent, adjustments = request(quantity=Decimal("0.0199999"))
    assert an_intent.quantity == 1_999
    assert adjustments == ("quantity 0.0199999 rounded down to the step: 0.01999",)


def test_a_quote_amount_buys_no_more_than_it_pays_for():
    an_intent, _ = request(quote_quantity=Decimal(200))
    # 200 / 20,100.01 = 0.009950243..., five places down
    assert an_intent.quantity == 995
    result = routed(an_intent)
    assert isinstance(result, Routed)
    assert result.notional_units <= 200 * 10**8


def test_a_requested_price_rounds_to_the_safe_side():
    an_intent, adjustments = request(
        order_type=OrderType.LIMIT, quantity=Decimal("0.01"), price=Decimal("19000.019")
    )
    assert an_intent.price == 1_900_001
    assert adjustments == ("price 19000.019 rounded to the tick: 19000.01",)


def test_a_request_below_one_step_is_refused_as_lot_size():
    result = request(quantity=Decimal("0.000009"))
    assert isinstance(result, Refused)
    assert result.rule == "LOT_SIZE"


def test_a_quote_amount_without_a_price_is_refused():
    result = request(quote_quantity=Decimal(200), best_ask=None)
    assert isinstance(result, Refused)
    assert result.code is DenyReason.PRICE_UNAVAILABLE


@pytest.mark.parametrize(
    "amounts",
    [
        {},
        {"quantity": Decimal(1), "quote_quantity": Decimal(1)},
        {"quantity": Decimal(0)},
        {"quote_quantity": Decimal("NaN")},
    ],
)
def test_a_request_needs_exactly_one_positive_amount(amounts):
    with pytest.raises(ValueError, match="expected"):
        request(**amounts)


@given(st.decimals(min_value=Decimal("0.01"), max_value=10_000, places=2), st.sampled_from(list(Side)))
def test_nothing_routed_from_a_quote_amount_breaks_a_minimum_or_costs_more(quote, side):
    # earlier system C9, over amounts on both sides of the minimum
    result = request(quote_quantity=quote, side=side)
    final = result if isinstance(result, Refused) else routed(result[0])
    if isinstance(final, Refused):
        assert quote < Decimal("5.3"), "only amounts near the minimum notional of 5 may be refused"
        return
    notional = final.order.quantity * final.order.price
    assert Decimal(5) <= notional
    assert final.order.quantity >= Decimal("0.00001")
    assert notional <= quote


@pytest.mark.parametrize("order_type", [OrderType.LIMIT, OrderType.LIMIT_MAKER])
def test_a_requested_limit_without_a_price_is_refused(order_type):
    result = request(order_type=order_type, quantity=Decimal("0.01"))
    assert isinstance(result, Refused)
    assert (result.code, result.rule) == (DenyReason.PRICE_UNAVAILABLE, "limit_price")


def test_a_requested_price_below_one_tick_is_refused_as_price_filter():
    result = request(order_type=OrderType.LIMIT, quantity=Decimal("0.01"), price=Decimal("0.009"))
    assert isinstance(result, Refused)
    assert result.rule == "PRICE_FILTER"


def test_a_quote_amount_of_a_limit_order_is_divided_by_its_limit():
    # 200 / 19,000 = 0.0105263..., five places down
    an_intent, _ = request(order_type=OrderType.LIMIT, quote_quantity=Decimal(200), price=Decimal(19_000))
    assert (an_intent.quantity, an_intent.price) == (1_052, 1_900_000)


def test_a_quantity_on_the_step_needs_no_adjustment():
    an_intent, adjustments = request(quantity=Decimal("0.01"))
    assert (an_intent.quantity, an_intent.price, adjustments) == (1_000, None, ())


def test_a_touch_that_rounds_to_nothing_is_no_price():
    dust = Decimal("0.001")  # a tenth of a tick
    asked = request(quote_quantity=Decimal(10), best_ask=dust)
    assert isinstance(asked, Refused)
    assert asked.code is DenyReason.PRICE_UNAVAILABLE
    sent = routed(intent(), best_ask=dust)
    assert isinstance(sent, Refused)
    assert sent.code is DenyReason.PRICE_UNAVAILABLE


def test_a_market_quantity_on_the_market_step_stays():
    result = routed(intent(quantity=2_000), spot(MARKET_LOT_SIZE__stepSize="0.001"))
    assert isinstance(result, Routed)
    assert result.steps == 2_000


@pytest.mark.parametrize("empty", [None, Decimal(0)])
def test_a_post_only_order_cannot_take_from_an_empty_side(empty):
    an_intent = intent(type=OrderType.LIMIT_MAKER, price=2_100_000)
    assert isinstance(routed(an_intent, best_ask=empty), Routed)


def test_post_only_on_usdm_is_a_limit_and_so_allowed_where_limits_are():
    made = intent(type=OrderType.LIMIT_MAKER, price=1_999_999)
    assert isinstance(routed(made, usdm(orderTypes=["LIMIT", "MARKET"])), Routed)
    refused = routed(made, usdm(orderTypes=["MARKET"]))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.measured) == (DenyReason.ORDER_TYPE_NOT_ALLOWED, "LIMIT")
