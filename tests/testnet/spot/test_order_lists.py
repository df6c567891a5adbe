"""Order lists: one lock for two orders, one trade for two orders, one order after another."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.errors import ApiError
from testnet.exchange import Exchange
from testnet.orders import Order, Status
from testnet.spot.lists import OrderList
from testnet.values import SCALE

from .exchange_setup import assert_sound, exchange_with, funded, new_order, place, place_list, trade_at


class Heard:
    """What a private stream would tell of lists."""

    def __init__(self, exchange: Exchange) -> None:
        self.lists: list[tuple[int, str]] = []
        self.changes: list[tuple[int, str]] = []
        exchange.spot_market.contingencies.watchers.append(self)

    def order_changed(self, order: Order, change: str) -> None:
        self.changes.append((order.order_id, change))

    def list_changed(self, changed: OrderList, status: str) -> None:
        self.lists.append((changed.list_id, status))


def sell_oco(steps: int = 10, stop_kind: str = "STOP_LOSS_LIMIT") -> tuple[Any, Any]:
    stop = new_order("SELL", 8_900, steps, kind=stop_kind, stop=9_000)
    return stop, new_order("SELL", 11_000, steps, kind="LIMIT_MAKER")


def buy_oco(steps: int = 10) -> tuple[Any, Any]:
    stop = new_order("BUY", 11_100, steps, kind="STOP_LOSS_LIMIT", stop=11_000)
    return stop, new_order("BUY", 9_000, steps, kind="LIMIT_MAKER")


def test_both_legs_share_one_lock_of_what_the_dearer_needs() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    place_list(exchange, user, "OCO", *buy_oco(1_000))
    # 1 BTC at the stop's limit of 111.00, not 111 + 90.
    assert user.balance("USDT").locked == 111 * SCALE
    place_list(exchange, user, "OCO", *sell_oco(1_000))
    assert user.balance("BTC").locked == SCALE
    assert_sound(exchange)


def test_balance_for_one_leg_is_enough_for_both() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user", usdt=111, btc=1)
    place_list(exchange, user, "OCO", *buy_oco(1_000))
    place_list(exchange, user, "OCO", *sell_oco(1_000))
    assert (user.balance("USDT").free, user.balance("BTC").free) == (0, 0)
    with pytest.raises(ApiError, match="insufficient balance"):
        place_list(exchange, user, "OCO", *sell_oco(1))


def test_first_fill_of_the_limit_leg_expires_the_stop_leg() -> None:
    exchange = exchange_with()
    heard = Heard(exchange)
    user, taker = funded(exchange, "user"), funded(exchange, "taker")
    stop, limit = place_list(exchange, user, "OCO", *sell_oco())
    place(exchange, taker, new_order("BUY", 11_000, 3))
    assert (limit.status, limit.executed) == (Status.PARTIALLY_FILLED, 3)
    assert (stop.status, stop.locked) == (Status.EXPIRED, 0)
    assert heard.lists == [(1, "EXEC_STARTED")]
    # The stop leg reported its end before the fill.
    assert stop.events[-1][0] < limit.events[-1][0]
    place(exchange, taker, new_order("BUY", 11_000, 7))
    assert heard.lists == [(1, "EXEC_STARTED"), (1, "ALL_DONE")]
    assert exchange.spot_market.lists.by_id[1].done
    assert_sound(exchange)


def test_stop_leg_that_triggers_expires_the_limit_leg_before_it_trades() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    stop, limit = place_list(exchange, user, "OCO", *sell_oco())
    listing = exchange.listing("BTCUSDT")
    listing.book.bids.add(9_000, 11)
    exchange.spot.background_take(listing, "SELL", 9_000, 1)
    assert (limit.status, stop.status, stop.executed) == (Status.EXPIRED, Status.FILLED, 10)
    assert listing.book.asks.best() is None
    assert_sound(exchange)


def test_triggered_stop_leg_that_rests_stays_on_the_book_alone() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    stop = new_order("SELL", 9_050, 10, kind="STOP_LOSS_LIMIT", stop=9_000)
    order, limit = place_list(exchange, user, "OCO", stop, sell_oco()[1])
    exchange.listing("BTCUSDT").book.bids.add(9_000, 1)
    exchange.spot.background_take(exchange.listing("BTCUSDT"), "SELL", 9_000, 1)
    assert (order.status, limit.status) == (Status.NEW, Status.EXPIRED)
    assert exchange.listing("BTCUSDT").book.asks.top(2) == [(9_050, 10)]
    assert not exchange.spot_market.lists.by_id[1].done
    assert_sound(exchange)


def test_one_sweep_through_both_legs_fills_only_the_first_it_meets() -> None:
    exchange = exchange_with()
    user, taker = funded(exchange, "user"), funded(exchange, "taker")
    stop, limit = place_list(exchange, user, "OCO", *buy_oco())
    listing = exchange.listing("BTCUSDT")
    # A sale from 100 down to 85 passes the limit leg at 90; then the market jumps to the stop price.
    listing.book.bids.add(8_500, 50)
    place(exchange, taker, new_order("SELL", 8_500, 40))
    assert (limit.status, stop.status) == (Status.FILLED, Status.EXPIRED)
    trade_at(exchange, 11_000)
    assert stop.executed == 0
    assert_sound(exchange)


@pytest.mark.parametrize("leg", [0, 1])
def test_cancel_of_either_leg_cancels_the_list(leg: int) -> None:
    exchange = exchange_with()
    heard = Heard(exchange)
    user = funded(exchange, "user")
    orders = place_list(exchange, user, "OCO", *sell_oco())
    gone = exchange.spot_market.cancel(orders[leg], "the-cancel")
    assert [order.status for order in orders] == [Status.CANCELED] * 2
    assert gone == orders
    assert user.balance("BTC").locked == 0
    assert heard.lists[-1] == (1, "ALL_DONE")


def test_prices_on_the_wrong_sides_are_refused() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    message = "The relationship of the prices for the orders is not correct"
    wrong = (
        # a limit that would take, a stop above the market, legs that change places
        (new_order("SELL", 9_800, 10, kind="STOP_LOSS_LIMIT", stop=10_000), sell_oco()[1]),
        (new_order("SELL", 9_800, 10, kind="STOP_LOSS_LIMIT", stop=10_001), sell_oco()[1]),
        (
            new_order("SELL", 9_800, 10, kind="STOP_LOSS_LIMIT", stop=9_900),
            new_order("SELL", 9_850, 10, kind="LIMIT_MAKER"),
        ),
    )
    for orders in wrong:
        with pytest.raises(ApiError, match=message):
            place_list(exchange, user, "OCO", *orders)
    assert exchange.spot.order_id == 0
    assert exchange.spot_market.lists.by_id == {}


def test_pending_order_waits_for_the_whole_fill_and_starts_after_it() -> None:
    exchange = exchange_with()
    heard = Heard(exchange)
    user, maker = funded(exchange, "user"), funded(exchange, "maker")
    working, pending = place_list(
        exchange, user, "OTO", new_order("BUY", 10_000, 10), new_order("SELL", 10_500, 10)
    )
    assert (working.status, pending.status, pending.working_ms) == (Status.NEW, Status.PENDING_NEW, 0)
    # Both are paid for from the start.
    assert (user.balance("USDT").locked, user.balance("BTC").locked) == (SCALE, SCALE // 100)
    place(exchange, maker, new_order("SELL", 10_000, 9))
    assert pending.status is Status.PENDING_NEW
    place(exchange, maker, new_order("SELL", 10_000, 1))
    assert (working.status, pending.status) == (Status.FILLED, Status.NEW)
    assert exchange.listing("BTCUSDT").book.asks.top(1) == [(10_500, 10)]
    assert (pending.order_id, "NEW") in heard.changes
    assert_sound(exchange)


def test_answer_shows_the_pending_order_as_pending_even_when_the_working_one_fills_at_once() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    exchange.listing("BTCUSDT").book.asks.add(10_000, 10)
    seen: list[str] = []
    request = (new_order("BUY", 10_000, 10), new_order("SELL", 10_500, 10))
    from testnet.spot.checks import ListRequest

    exchange.spot_market.place_list(
        user,
        ListRequest("OTO", "", request),
        lambda row, orders: seen.extend(order.status.value for order in orders),
    )
    assert seen == ["FILLED", "PENDING_NEW"]
    assert exchange.spot.by_id[2].status is Status.NEW


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_pending_market_order_takes_only_what_its_owner_has_by_then(side: str) -> None:
    exchange = exchange_with()
    user, maker = funded(exchange, "user", usdt=100, btc=1), funded(exchange, "maker")
    other = "SELL" if side == "BUY" else "BUY"
    working, pending = new_order(side, 10_000, 500), new_order(other, 0, 5_000, kind="MARKET")
    _, pending_order = place_list(exchange, user, "OTO", working, pending)
    exchange.listing("BTCUSDT").book.side("BUY" if other == "SELL" else "SELL").add(
        9_000 if other == "SELL" else 11_000, 10_000
    )
    place(exchange, maker, new_order(other, 10_000, 500))
    # Five coins are asked for: 1.4995 are there to sell (0.0005 went as commission); or 149.95 USDT, which
    # buy 1.363 at 110.
    assert pending_order.executed == (1_499 if other == "SELL" else 1_363)
    assert pending_order.status is Status.EXPIRED
    assert_sound(exchange)


@pytest.mark.parametrize(
    ("tif", "ends"), [("GTC", Status.CANCELED), ("IOC", Status.EXPIRED), ("FOK", Status.EXPIRED)]
)
def test_pending_order_goes_with_a_working_order_that_is_not_filled(tif: str, ends: Status) -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    working, pending = place_list(
        exchange, user, "OTO", new_order("BUY", 10_000, 10, tif=tif), new_order("SELL", 10_500, 10)
    )
    if tif == "GTC":
        exchange.spot_market.cancel(working, "x")
    assert (working.status, pending.status) == (ends, ends)
    assert user.balance("BTC").locked == 0
    assert exchange.spot_market.lists.by_id[1].done


def test_bracket_buys_then_protects_with_one_of_two_sales() -> None:
    exchange = exchange_with()
    heard = Heard(exchange)
    user, maker = funded(exchange, "user"), funded(exchange, "maker")
    working, stop, profit = place_list(
        exchange, user, "OTOCO", new_order("BUY", 10_000, 10), *sell_oco(10, "STOP_LOSS")
    )
    place(exchange, maker, new_order("SELL", 10_000, 10))
    assert working.status is Status.FILLED
    assert (stop.status, stop.working_ms) == (Status.NEW, 0)
    assert (profit.status, profit.working_ms > 0) == (Status.NEW, True)
    place(exchange, maker, new_order("BUY", 11_000, 10))
    assert (profit.status, stop.status) == (Status.FILLED, Status.EXPIRED)
    assert heard.lists == [(1, "EXEC_STARTED"), (1, "ALL_DONE")]
    assert_sound(exchange)


def test_twenty_first_open_list_of_a_symbol_breaks_its_filter() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    for number in range(20):
        working, pending = new_order("BUY", 9_000, 10), new_order("SELL", 11_000, 10)
        place_list(exchange, user, "OTO", working, pending, client_id=f"list-{number}")
    with pytest.raises(ApiError, match="Filter failure: MAX_NUM_ORDER_LISTS"):
        place_list(exchange, user, "OTO", working, pending)


def test_list_id_is_unique_among_open_lists_only() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    first = place_list(exchange, user, "OCO", *sell_oco(), client_id="mine")
    with pytest.raises(ApiError, match="Duplicate order sent"):
        place_list(exchange, user, "OCO", *sell_oco(), client_id="mine")
    exchange.spot_market.cancel(first[0], "x")
    place_list(exchange, user, "OCO", *sell_oco(), client_id="mine")
    assert exchange.spot_market.lists.named("user", "mine") is exchange.spot_market.lists.by_id[2]


def test_delisting_ends_lists_and_frees_what_they_held() -> None:
    exchange = exchange_with("BTCUSDT", "ETHUSDT")
    user = funded(exchange, "user")
    orders = place_list(exchange, user, "OCO", *sell_oco())
    exchange.delist(exchange.listing("BTCUSDT"))
    assert [order.status for order in orders] == [Status.EXPIRED] * 2
    assert user.balance("BTC").locked == 0


def test_amended_order_keeps_its_turn_and_frees_the_rest() -> None:
    exchange = exchange_with()
    one, two, taker = (funded(exchange, name) for name in ("one", "two", "taker"))
    first = place(exchange, one, new_order("BUY", 10_000, 550))
    second = place(exchange, two, new_order("BUY", 10_000, 400))
    exchange.spot_market.amendments.amend(first, 500 * SCALE // 1000, None)
    assert exchange.listing("BTCUSDT").book.bids.top(1) == [(10_000, 900)]
    place(exchange, taker, new_order("SELL", 10_000, 500))
    assert (first.status, first.executed, second.executed) == (Status.FILLED, 500, 0)
    assert_sound(exchange)


def test_amendment_of_one_leg_amends_both() -> None:
    exchange = exchange_with()
    heard = Heard(exchange)
    user = funded(exchange, "user")
    stop, limit = place_list(exchange, user, "OCO", *sell_oco(10))
    exchange.spot_market.amendments.amend(limit, 4 * SCALE // 1000, "renamed")
    assert (stop.steps, limit.steps, limit.client_order_id) == (4, 4, "renamed")
    assert heard.changes == [(limit.order_id, "REPLACED"), (stop.order_id, "REPLACED")]
    assert heard.lists[-1] == (1, "UPDATED")
    assert_sound(exchange)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (11, r"-2038 Order amend \(quantity increase\) is not supported\."),
        (10, r"-2038 The requested action would change no state; rejecting\."),
        (4, "-2038"),
        (0, "-1013 Filter failure: LOT_SIZE"),
    ],
)
def test_amendment_that_is_no_reduction_is_refused(steps: int, message: str) -> None:
    exchange = exchange_with()
    user, taker = funded(exchange, "user"), funded(exchange, "taker")
    order = place(exchange, user, new_order("BUY", 10_000, 10))
    place(exchange, taker, new_order("SELL", 10_000, 4))
    with pytest.raises(ApiError, match=message):
        exchange.spot_market.amendments.amend(order, steps * SCALE // 1000, None)
    assert order.steps == 10


def test_eleventh_amendment_of_an_order_is_refused() -> None:
    exchange = exchange_with()
    user = funded(exchange, "user")
    order = place(exchange, user, new_order("BUY", 10_000, 100))
    for steps in range(99, 89, -1):
        exchange.spot_market.amendments.amend(order, steps * SCALE // 1000, None)
    with pytest.raises(ApiError, match="MAX_NUM_ORDER_AMENDS"):
        exchange.spot_market.amendments.amend(order, 50 * SCALE // 1000, None)
