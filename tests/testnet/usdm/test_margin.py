"""Margin by hand: worst side, what a new order needs, limits of leverage, isolated margin."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.errors import ApiError
from testnet.usdm.clearing import Touched
from testnet.usdm.events import UsdmEvents
from testnet.usdm.settings import ADD, REDUCE
from tests.testnet.usdm.conftest import Desk, units
from tests.testnet.usdm.test_algo_orders import conditional


def code_of(action: Any) -> int:
    with pytest.raises(ApiError) as caught:
        action()
    return caught.value.code


def test_open_orders_count_at_their_worst_side(desk: Desk) -> None:
    user = desk.account("10000")
    desk.liquidity("SELL", "50000", "0.1")
    desk.order(user, "BUY", "0.1")
    desk.order(user, "BUY", "0.2", "49000")
    desk.order(user, "SELL", "0.3", "51000")
    margin = desk.margin(user)
    # Long 5000: buying 5000 + 9800 = 14800, selling |5000 - 15300| = 10300; over 20: 740, 250 of it held.
    assert margin.initial == units("740")
    assert (margin.position_initial, margin.order_initial) == (units("250"), units("490"))
    # 0.4 % of 5000
    assert margin.maintenance == units("20")
    assert margin.available == units("10000") - units("2.5") - units("740")


def test_reducing_orders_need_no_margin(desk: Desk) -> None:
    user = desk.account("260")
    desk.liquidity("SELL", "50000", "0.1")
    desk.order(user, "BUY", "0.1")
    before = desk.margin(user).available
    desk.order(user, "SELL", "0.1", "52000", reduce_only=True)
    assert desk.margin(user).available == before
    # An ordinary order against the position needs none either, as far as it does not reverse it.
    desk.order(user, "SELL", "0.1", "53000")
    assert desk.margin(user).available == before


def test_the_last_affordable_order_is_taken_and_the_first_unaffordable_refused(desk: Desk) -> None:
    # 0.1 at 49000 over 20 is 245.
    short, enough = desk.account("244.99999999"), desk.account("245")
    assert code_of(lambda: desk.order(short, "BUY", "0.1", "49000")) == -2019
    desk.order(enough, "BUY", "0.1", "49000")
    assert desk.margin(enough).available == 0


def test_taking_above_the_mark_also_needs_what_it_loses_at_once(desk: Desk) -> None:
    desk.liquidity("SELL", "50500", "0.1")
    # 5050 / 20 = 252.5, and 0.1 * (50500 - 50000) = 50
    assert code_of(lambda: desk.order(desk.account("302.49999999"), "BUY", "0.1")) == -2019
    desk.order(desk.account("302.5"), "BUY", "0.1")


def test_position_above_the_limit_of_its_leverage_is_refused(desk: Desk) -> None:
    user = desk.account("1000000")
    market = desk.exchange.usdm_market
    market.set_leverage(user.account_id, desk.listing().instrument, 125)
    # The first bracket ends at 50,000: one step below passes.
    desk.order(user, "BUY", "1", "49999.9")
    assert code_of(lambda: desk.order(user, "BUY", "0.003", "49999.9")) == -2027
    market.set_leverage(user.account_id, desk.listing().instrument, 100)
    desk.order(user, "BUY", "0.003", "49999.9")
    assert code_of(lambda: market.set_leverage(user.account_id, desk.listing().instrument, 125)) == -2027


def test_leverage_that_the_balance_cannot_carry_is_refused(desk: Desk) -> None:
    user = desk.account("400")
    desk.liquidity("SELL", "50000", "0.1")
    desk.order(user, "BUY", "0.1")
    market, instrument = desk.exchange.usdm_market, desk.listing().instrument
    # 5000 / 12 = 416.67 is more than 397.5; 5000 / 13 = 384.62 is not.
    assert code_of(lambda: market.set_leverage(user.account_id, instrument, 12)) == -2028
    market.set_leverage(user.account_id, instrument, 13)


def test_isolated_margin_is_added_and_taken_back_down_to_what_it_must_have(desk: Desk) -> None:
    user = desk.account("1000")
    market, instrument = desk.exchange.usdm_market, desk.listing().instrument
    market.settings.set_margin_type(user.account_id, "BTCUSDT", isolated=True)
    desk.liquidity("SELL", "50000", "0.1")
    desk.order(user, "BUY", "0.1")
    market.move_margin(user.account_id, instrument, "BOTH", ADD, units("100"))
    assert desk.position(user).isolated == units("350")
    assert (
        code_of(
            lambda: market.move_margin(user.account_id, instrument, "BOTH", REDUCE, units("100.00000001"))
        )
        == -4051
    )
    market.move_margin(user.account_id, instrument, "BOTH", REDUCE, units("100"))
    # Half of it closed gives half of it back.
    desk.liquidity("BUY", "50000", "0.05")
    desk.order(user, "SELL", "0.05")
    assert desk.position(user).isolated == units("125")
    assert desk.wallet(user) == units("1000") - units("2.5") - units("1.25")


def test_hedge_sides_add_up(desk: Desk) -> None:
    user = desk.account("10000", hedge=True)
    desk.liquidity("SELL", "50000", "0.1")
    desk.liquidity("BUY", "50000", "0.2")
    desk.order(user, "BUY", "0.1", position_side="LONG", price="50000", tif="IOC")
    desk.order(user, "SELL", "0.2", position_side="SHORT", price="50000", tif="IOC")
    desk.order(user, "BUY", "0.1", "49000", position_side="LONG")
    # (5000 + 10000 + 4900) / 20
    assert desk.margin(user).initial == units("995")
    assert desk.margin(user).profit == 0
    desk.mark("51000")
    assert desk.margin(user).profit == units("-100")


def test_events_about_margin_and_triggers_have_exactly_the_venues_members(desk: Desk) -> None:
    user = desk.account("10000")
    desk.liquidity("SELL", "50000", "0.1")
    desk.order(user, "BUY", "0.1")
    sent: list[dict[str, Any]] = []

    class Clock:
        def server_ms(self) -> int:
            return 7

    events = UsdmEvents(
        Clock(),
        desk.exchange.usdm_market,
        lambda account: True,
        lambda account, event, symbol: sent.append(event),
    )
    events.margin_call(user.account_id, [desk.position(user)])
    events.leverage_changed(user.account_id, "BTCUSDT", 7)
    algo = conditional(desk, user, "SELL", "STOP_MARKET", trigger_price="49000")
    algo.reject_reason = "Margin is insufficient."
    events.trigger_rejected(algo)
    call, config, rejected = sent
    # Members as in the venue's own client library.
    assert set(call) == {"e", "E", "cw", "p"}
    assert set(call["p"][0]) == {"s", "ps", "pa", "mt", "iw", "mp", "up", "mm"}
    assert (call["p"][0]["mt"], call["p"][0]["mm"]) == ("CROSSED", "20.00000000")
    assert config == {"e": "ACCOUNT_CONFIG_UPDATE", "E": 7, "T": config["T"], "ac": {"s": "BTCUSDT", "l": 7}}
    assert rejected["or"] == {"s": "BTCUSDT", "i": algo.algo_id, "r": "Margin is insufficient."}


def test_nothing_is_reported_for_an_account_that_did_not_change(desk: Desk) -> None:
    heard: list[tuple[str, Touched, str]] = []
    clearing = desk.exchange.usdm_market.clearing
    clearing.account_changed = lambda account_id, touched, reason: heard.append((account_id, touched, reason))
    user = desk.account("10000")
    order = desk.order(user, "BUY", "0.1", "49000")
    desk.exchange.usdm.cancel(order, "x")
    assert heard == []
    desk.liquidity("SELL", "50000", "0.1")
    desk.order(user, "BUY", "0.1")
    [(account_id, touched, reason)] = heard
    assert (account_id, touched.assets, reason) == (user.account_id, {"USDT": 0}, "ORDER")
