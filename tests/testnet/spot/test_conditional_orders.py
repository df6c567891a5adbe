"""Stop, take-profit and trailing orders: which side they wait on, what they lock, what they become."""

from __future__ import annotations

import pytest

from testnet.errors import ApiError
from testnet.orders import Status
from testnet.values import SCALE

from .exchange_setup import TICK, assert_sound, exchange_with, funded, new_order, place, trade_at

# 100.00 is the last price throughout; a stop price on the wrong side would trigger at once.
SIDES = [
    ("STOP_LOSS", "BUY", 10_100),
    ("STOP_LOSS", "SELL", 9_900),
    ("TAKE_PROFIT", "BUY", 9_900),
    ("TAKE_PROFIT", "SELL", 10_100),
]


@pytest.mark.parametrize(("kind", "side", "stop"), SIDES)
def test_order_waits_until_the_last_price_reaches_its_stop_price(kind: str, side: str, stop: int) -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    listing = exchange.listing("BTCUSDT")
    listing.book.asks.add(12_000, 100)
    listing.book.bids.add(8_000, 100)
    order = place(exchange, user, new_order(side, 0, 10, kind=kind, stop=stop))
    assert (order.status, order.working_ms) == (Status.NEW, 0)
    short = stop - 1 if stop > 10_000 else stop + 1
    for price, executed in ((short, 0), (stop, 10)):
        listing.book.asks.add(price, 1)
        exchange.spot.background_take(listing, "BUY", price, 1)
        assert order.executed == executed
    assert order.status is Status.FILLED
    assert_sound(exchange)


@pytest.mark.parametrize(("kind", "side", "stop"), SIDES)
@pytest.mark.parametrize("distance", [0, 1])
def test_stop_price_already_reached_is_refused(kind: str, side: str, stop: int, distance: int) -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    reached = 10_000 - distance if stop > 10_000 else 10_000 + distance
    with pytest.raises(ApiError, match=r"-2010 Order would trigger immediately\."):
        place(exchange, user, new_order(side, 0, 10, kind=kind, stop=reached))
    assert exchange.spot.order_id == 0


def test_waiting_orders_lock_what_they_would_pay() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    sell = place(exchange, user, new_order("SELL", 9_800, 10, kind="STOP_LOSS_LIMIT", stop=9_900))
    buy = place(exchange, user, new_order("BUY", 10_250, 10, kind="STOP_LOSS_LIMIT", stop=10_200))
    any_price = place(exchange, user, new_order("BUY", 0, 10, kind="STOP_LOSS", stop=10_200))
    # 0.010 BTC; 0.010 x 102.50 USDT; without a limit 0.010 x its stop price 102.00 USDT.
    assert sell.locked == SCALE // 100
    assert buy.locked == 1_025 * SCALE // 1000
    assert any_price.locked == 1_020 * SCALE // 1000
    assert user.balance("USDT").locked == 2_045 * SCALE // 1000
    exchange.spot_market.cancel(any_price, "x")
    assert user.balance("USDT").locked == 1_025 * SCALE // 1000


def test_triggered_stop_limit_rests_at_its_limit_behind_who_was_there_first() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    listing = exchange.listing("BTCUSDT")
    order = place(exchange, user, new_order("BUY", 10_050, 10, kind="STOP_LOSS_LIMIT", stop=10_100))
    listing.book.bids.add(10_050, 7)
    trade_at(exchange, 10_100)
    assert order.working_ms > 0
    assert [entry.order for entry in listing.book.bids.levels[10_050].queue] == [None, order]


def test_buy_without_limit_takes_only_what_it_can_pay_and_expires_the_rest() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user", usdt=103, btc=0)
    order = place(exchange, user, new_order("BUY", 0, 1_000, kind="STOP_LOSS", stop=10_200))
    listing = exchange.listing("BTCUSDT")
    listing.book.asks.add(10_200, 1)
    listing.book.asks.add(11_000, 5_000)
    # Someone buys the last at 102; then 110 is the best: 103 USDT buy 936 steps of 0.11.
    exchange.spot.background_take(listing, "BUY", 10_200, 1)
    assert (order.executed, order.status) == (936, Status.EXPIRED)
    assert user.balance("USDT").free == 103 * SCALE - 936 * 11_000 * TICK // 1000
    assert_sound(exchange)


def test_stop_sets_off_the_next_one_and_both_are_over_before_anything_else_happens() -> None:
    exchange = exchange_with()
    first, second = funded(exchange, "first"), funded(exchange, "second")
    listing = exchange.listing("BTCUSDT")
    listing.book.bids.add(9_950, 10)
    listing.book.bids.add(9_900, 10)
    listing.book.bids.add(9_800, 100)
    one = place(exchange, first, new_order("SELL", 0, 15, kind="STOP_LOSS", stop=9_950))
    two = place(exchange, second, new_order("SELL", 0, 10, kind="STOP_LOSS", stop=9_900))
    exchange.spot.background_take(listing, "SELL", 9_950, 5)
    # The first sells 5 at 99.50 and 10 at 99.00, which is the second's price: it sells at 98.00.
    assert (one.executed_quote, two.executed_quote) == (
        (5 * 9_950 + 10 * 9_900) * TICK // 1000,
        10 * 9_800 * TICK // 1000,
    )
    assert_sound(exchange)


def test_nearest_stop_price_comes_first_then_the_older_order() -> None:
    exchange = exchange_with()
    users = [funded(exchange, f"user-{n}") for n in range(3)]
    orders = [
        place(exchange, user, new_order("SELL", 9_000, 1, kind="STOP_LOSS_LIMIT", stop=stop))
        for user, stop in zip(users, (9_800, 9_900, 9_900), strict=True)
    ]
    listing = exchange.listing("BTCUSDT")
    listing.book.bids.add(9_700, 100)
    exchange.spot.background_take(listing, "SELL", 9_700, 1)
    trades = [fill for user in users for fill in exchange.spot.shelf(user.account_id).fills]
    by_time = [fill.order_id for fill in sorted(trades, key=lambda fill: fill.trade_id)]
    assert by_time == [orders[1].order_id, orders[2].order_id, orders[0].order_id]


def test_trailing_stop_follows_the_market_up_and_sells_on_the_way_down() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    listing = exchange.listing("BTCUSDT")
    order = place(exchange, user, new_order("SELL", 0, 10, kind="STOP_LOSS", trailing=100))
    trade_at(exchange, 12_000)
    listing.book.bids.add(11_000, 100)
    trade_at(exchange, 11_881)
    assert order.executed == 0
    trade_at(exchange, 11_880)  # one percent below 120.00
    assert order.executed == 10


def test_trailing_stop_with_a_stop_price_begins_to_follow_there() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    exchange.listing("BTCUSDT").book.bids.add(9_000, 100)
    order = place(exchange, user, new_order("SELL", 0, 10, kind="TAKE_PROFIT", stop=11_000, trailing=100))
    trade_at(exchange, 9_500)
    assert (order.trailing_ms, order.executed) == (0, 0)
    trade_at(exchange, 11_000)
    assert order.trailing_ms == exchange.clock.now_ms
    trade_at(exchange, 10_890)
    assert order.executed == 10


@pytest.mark.parametrize(("bips", "fits"), [(9, False), (10, True), (2_000, True), (2_001, False)])
def test_trailing_distance_is_bounded_by_its_filter(bips: int, fits: bool) -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    request = new_order("SELL", 0, 10, kind="STOP_LOSS", trailing=bips)
    if fits:
        assert place(exchange, user, request).status is Status.NEW
    else:
        with pytest.raises(ApiError, match="Filter failure: TRAILING_DELTA"):
            place(exchange, user, request)


def test_sixth_conditional_order_of_a_symbol_breaks_its_filter_and_a_plain_one_does_not() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    for _ in range(5):
        place(exchange, user, new_order("SELL", 0, 10, kind="STOP_LOSS", stop=9_000))
    with pytest.raises(ApiError, match="Filter failure: MAX_NUM_ALGO_ORDERS"):
        place(exchange, user, new_order("SELL", 0, 10, kind="STOP_LOSS", stop=9_000))
    place(exchange, user, new_order("BUY", 9_000, 10))


def test_position_limit_counts_what_is_held_and_what_is_being_bought() -> None:
    exchange = exchange_with()
    limit = exchange.listing("BTCUSDT").instrument.max_position
    assert limit == 10_000 * 100_000 * SCALE  # ten thousand of the largest orders at a price of 100
    user = funded(exchange, "user", usdt=10**7, btc=limit // SCALE - 50_000)
    place(exchange, user, new_order("BUY", 9_000, 50_000 * 1_000 - 1))
    place(exchange, user, new_order("BUY", 9_000, 1))
    with pytest.raises(ApiError, match="Filter failure: MAX_POSITION"):
        place(exchange, user, new_order("BUY", 9_000, 1))


def test_iceberg_shows_its_part_and_goes_to_the_end_of_the_queue_for_the_next() -> None:
    exchange = exchange_with()
    one, two, taker = (funded(exchange, name) for name in ("one", "two", "taker"))
    listing = exchange.listing("BTCUSDT")
    iceberg = place(exchange, one, new_order("SELL", 10_000, 25, iceberg=10))
    plain = place(exchange, two, new_order("SELL", 10_000, 5))
    assert listing.book.asks.top(1) == [(10_000, 15)]
    place(exchange, taker, new_order("BUY", 10_000, 12))
    # Ten of the visible part, then two of the order that waited behind it.
    assert (iceberg.executed, plain.executed) == (10, 2)
    assert listing.book.asks.top(1) == [(10_000, 13)]
    place(exchange, taker, new_order("BUY", 10_000, 18))
    assert (iceberg.executed, plain.executed) == (25, 5)
    assert_sound(exchange)


def test_iceberg_counts_as_a_whole_for_orders_that_need_to_know() -> None:
    exchange = exchange_with()
    maker, taker = funded(exchange, "maker"), funded(exchange, "taker")
    place(exchange, maker, new_order("SELL", 10_000, 50, iceberg=10))
    filled = place(exchange, taker, new_order("BUY", 10_000, 50, tif="FOK"))
    assert filled.status is Status.FILLED


def test_iceberg_of_eleven_parts_breaks_its_filter() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    place(exchange, user, new_order("SELL", 10_000, 100, iceberg=10))
    with pytest.raises(ApiError, match="Filter failure: ICEBERG_PARTS"):
        place(exchange, user, new_order("SELL", 10_000, 101, iceberg=10))


def test_commission_in_bnb_is_a_quarter_less_at_the_last_price_of_bnb() -> None:
    exchange = exchange_with("BTCUSDT", "BNBUSDT")
    user = funded(exchange, "user", bnb=1)
    exchange.spot_market.set_bnb_burn(user, burn=True)
    trade_at(exchange, 50_000, symbol="BNBUSDT")
    exchange.listing("BTCUSDT").book.asks.add(10_000, 1_000)
    place(exchange, user, new_order("BUY", 10_000, 1_000))
    fill = exchange.spot.shelf("user").fills[0]
    # 1 BTC at 100 USDT: 0.1 USDT, a quarter off is 0.075 USDT, at 500 USDT a BNB that is 0.00015 BNB.
    assert (fill.commission, fill.commission_asset) == (15_000, "BNB")
    assert user.balance("BTC").free == (10**4 + 1) * SCALE
    assert user.balance("BNB").free == SCALE - 15_000


def test_commission_falls_back_to_what_was_received_when_there_is_too_little_bnb() -> None:
    exchange = exchange_with("BTCUSDT", "BNBUSDT")
    user = funded(exchange, "user")
    exchange.transfer(user, "BNB", 14_999)
    exchange.spot_market.set_bnb_burn(user, burn=True)
    trade_at(exchange, 50_000, symbol="BNBUSDT")
    exchange.listing("BTCUSDT").book.asks.add(10_000, 1_000)
    place(exchange, user, new_order("BUY", 10_000, 1_000))
    fill = exchange.spot.shelf("user").fills[0]
    assert (fill.commission, fill.commission_asset) == (100_000, "BTC")
