"""How USD-M orders behave in the book: times in force, reduce-only, price match, modification, prevention."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testnet.errors import ApiError
from testnet.orders import PositionTerms, Status
from testnet.usdm.events import order_update
from tests.testnet.usdm.conftest import Desk, units


@pytest.mark.parametrize(
    ("tif", "price", "status", "executed", "reason"),
    [
        ("GTX", "50000", Status.EXPIRED, "0", "0"),
        ("GTX", "49999.9", Status.NEW, "0", "0"),
        ("FOK", "50000", Status.EXPIRED, "0", "2"),
        ("FOK", "50100", Status.FILLED, "0.2", "0"),
        ("IOC", "50000", Status.EXPIRED, "0.1", "2"),
        ("GTC", "50000", Status.PARTIALLY_FILLED, "0.1", "0"),
        (None, None, Status.FILLED, "0.2", "0"),
    ],
)
def test_time_in_force(
    desk: Desk, tif: str | None, price: str | None, status: Status, executed: str, reason: str
) -> None:
    user = desk.account("10000")
    desk.liquidity("SELL", "50000", "0.1")
    desk.liquidity("SELL", "50100", "0.1")
    order = desk.order(user, "BUY", "0.2", price, tif=tif or "GTC")
    assert (order.status, order.executed * order.instrument.step) == (status, units(executed))
    assert order_update(order, None, 0)["o"]["er"] == reason


def test_market_order_beyond_the_book_expires_with_what_it_got(desk: Desk) -> None:
    user = desk.account("10000")
    desk.liquidity("SELL", "50000", "0.1")
    order = desk.order(user, "BUY", "0.3")
    assert (order.status, order.executed * order.instrument.step) == (Status.EXPIRED, units("0.1"))
    assert order_update(order, None, 0)["o"]["er"] == "9"


def test_resting_reduce_only_order_trades_no_more_than_the_position_has_left(desk: Desk) -> None:
    user = desk.account("10000")
    desk.liquidity("SELL", "50000", "0.1")
    desk.order(user, "BUY", "0.1")
    first = desk.order(user, "SELL", "0.1", "50500", reduce_only=True)
    second = desk.order(user, "SELL", "0.1", "50600", reduce_only=True)
    desk.liquidity("BUY", "49990", "0.06")
    desk.order(user, "SELL", "0.06")
    desk.exchange.usdm.background_take(desk.listing(), "BUY", 10**6, 10**4)
    assert first.executed * first.instrument.step == units("0.04")
    assert (first.status, second.status) == (Status.EXPIRED, Status.EXPIRED)
    assert second.executed == 0
    assert desk.position(user).steps == 0
    desk.check_books()


def test_reduce_only_order_without_a_position_or_on_its_side_is_refused(desk: Desk) -> None:
    user = desk.account("10000")
    for side in ("BUY", "SELL"):
        with pytest.raises(ApiError) as flat:
            desk.order(user, side, "0.1", "50000", reduce_only=True)
        assert flat.value.code == -2022
    desk.liquidity("SELL", "50000", "0.1")
    desk.order(user, "BUY", "0.1")
    with pytest.raises(ApiError) as same_side:
        desk.order(user, "BUY", "0.1", "49000", reduce_only=True)
    assert same_side.value.code == -2022


def test_hedge_order_against_a_side_is_cut_to_it(desk: Desk) -> None:
    user = desk.account("10000", hedge=True)
    desk.liquidity("SELL", "50000", "0.1")
    desk.order(user, "BUY", "0.1", position_side="LONG")
    desk.liquidity("BUY", "49990", "1")
    order = desk.order(user, "SELL", "0.5", position_side="LONG")
    assert order.steps * order.instrument.step == units("0.1")
    assert desk.position(user, side="LONG").steps == desk.position(user, side="SHORT").steps == 0


def test_modified_order_goes_to_the_end_of_its_queue(desk: Desk) -> None:
    one, two = desk.account("10000"), desk.account("10000")
    first = desk.order(one, "BUY", "0.1", "49000")
    second = desk.order(two, "BUY", "0.1", "49000")
    request = desk.request("BUY", "0.2", "49000")
    desk.exchange.usdm_market.modify(one, first, request)
    desk.exchange.usdm.background_take(desk.listing(), "SELL", 490_000, 100)
    assert (first.executed, second.executed) == (0, 100)
    [row] = desk.exchange.usdm_market.amendments.of(first.order_id)
    assert (row.steps_before, row.steps_after, row.count) == (100, 200, 1)


def test_modification_to_what_is_executed_cancels_and_to_the_same_is_refused(desk: Desk) -> None:
    user = desk.account("10000")
    order = desk.order(user, "BUY", "0.1", "49000")
    desk.exchange.usdm.background_take(desk.listing(), "SELL", 490_000, 40)
    with pytest.raises(ApiError) as same:
        desk.exchange.usdm_market.modify(user, order, desk.request("BUY", "0.1", "49000"))
    assert same.value.code == -5027
    desk.exchange.usdm_market.modify(user, order, desk.request("BUY", "0.04", "49000"))
    assert order.status is Status.CANCELED


def test_modification_beyond_the_margin_changes_nothing(desk: Desk) -> None:
    user = desk.account("500")
    order = desk.order(user, "BUY", "0.2", "49000")
    with pytest.raises(ApiError) as refused:
        desk.exchange.usdm_market.modify(user, order, desk.request("BUY", "0.3", "49000"))
    assert refused.value.code == -2019
    assert (order.is_open, order.steps, desk.margin(user).initial) == (True, 200, units("490"))
    # The order's own margin counts for its change: 0.204 at 49000 over 20 is 499.8.
    desk.exchange.usdm_market.modify(user, order, desk.request("BUY", "0.204", "49000"))
    assert desk.margin(user).available == units("0.2")


@pytest.mark.parametrize(
    ("mode", "side", "price"),
    [
        ("OPPONENT", "BUY", "50001"),
        ("OPPONENT_5", "BUY", "50005"),
        ("QUEUE", "BUY", "49999"),
        ("QUEUE_5", "SELL", "50005"),
    ],
)
def test_price_match_takes_the_price_of_a_level(desk: Desk, mode: str, side: str, price: str) -> None:
    user = desk.account("10000")
    for level in range(1, 6):
        desk.liquidity("SELL", str(50_000 + level), "0.001")
        desk.liquidity("BUY", str(50_000 - level), "0.001")
    request = replace(desk.request(side, "0.1", "1"), price=0, position=PositionTerms(price_match=mode))
    order, _ = desk.exchange.usdm_market.place(user, request)
    assert order.price * order.instrument.tick == units(price)
    deeper = replace(request, position=PositionTerms(price_match="QUEUE_20"))
    with pytest.raises(ApiError) as shallow:
        desk.exchange.usdm_market.place(user, deeper)
    assert shallow.value.code == -5041


@pytest.mark.parametrize(
    ("mode", "taker", "maker"),
    [
        ("EXPIRE_TAKER", Status.EXPIRED_IN_MATCH, Status.NEW),
        ("EXPIRE_MAKER", Status.NEW, Status.EXPIRED_IN_MATCH),
        ("EXPIRE_BOTH", Status.EXPIRED_IN_MATCH, Status.EXPIRED_IN_MATCH),
    ],
)
def test_self_trade_prevention_ends_the_right_order(
    desk: Desk, mode: str, taker: Status, maker: Status
) -> None:
    user = desk.account("10000")
    resting = desk.order(user, "SELL", "0.1", "50000")
    request = replace(desk.request("BUY", "0.3", "50000"), stp_mode=mode)
    order, fills = desk.exchange.usdm_market.place(user, request)
    assert (order.status, resting.status, fills) == (taker, maker, [])
    for each in (order, resting):
        told = order_update(each, None, 0)["o"]
        if each.status is Status.EXPIRED_IN_MATCH:
            assert (told["x"], told["X"], told["er"]) == ("EXPIRED", "EXPIRED_IN_MATCH", "1")
    desk.check_books()


def test_without_prevention_an_account_trades_with_itself_and_only_pays(desk: Desk) -> None:
    user = desk.account("10000")
    desk.order(user, "SELL", "0.1", "50000")
    desk.order(user, "BUY", "0.1", "50000")
    assert desk.position(user).steps == 0
    # 5000 * (0.0002 + 0.0005)
    assert desk.wallet(user) == units("9996.5")
    desk.check_books()


def test_good_till_date_order_expires_by_wall_time(desk: Desk) -> None:
    user = desk.account("10000")
    request = replace(
        desk.request("BUY", "0.1", "49000", tif="GTD"), position=PositionTerms(good_till_ms=9_000)
    )
    order, _ = desk.exchange.usdm_market.place(user, request)
    desk.exchange.wall_tick(8_999)
    assert order.is_open
    desk.exchange.wall_tick(9_000)
    assert order.status is Status.EXPIRED


def test_two_users_trade_with_each_other_by_price_and_time(desk: Desk) -> None:
    early, late, taker = desk.account("10000"), desk.account("10000"), desk.account("10000")
    worse = desk.order(early, "SELL", "0.1", "50010")
    first = desk.order(early, "SELL", "0.1", "50000")
    second = desk.order(late, "SELL", "0.1", "50000")
    desk.order(taker, "BUY", "0.15")
    assert (first.executed, second.executed, worse.executed) == (100, 50, 0)
    assert {fill.counterparty for fill in desk.fills(taker)} == {early.account_id, late.account_id}
    desk.check_books()
