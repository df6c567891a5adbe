"""Liquidation, insurance, deleveraging and margin calls, with every figure worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.accounts import INSURANCE
from testnet.orders import Status
from testnet.usdm.positions import Position
from tests.testnet.usdm.conftest import Desk, units


class Heard:
    """What the private streams would be told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str]]] = []
        self.updates: list[tuple[str, str]] = []

    def margin_call(self, account_id: str, positions: list[Position]) -> None:
        self.calls.append((account_id, [position.symbol for position in positions]))

    def account_update(self, account_id: str, reason: str, assets: Any, positions: list[Position]) -> None:
        self.updates.append((account_id, reason))

    def leverage_changed(self, account_id: str, symbol: str, leverage: int) -> None: ...

    def algo_event(self, algo: Any) -> None: ...

    def trigger_rejected(self, algo: Any) -> None: ...

    def order_amended(self, order: Any) -> None: ...


def leveraged(desk: Desk, usdt: str = "600", *, isolated: bool = False) -> Any:
    """A long of 0.1 at 50,000, ten times leveraged."""
    user = desk.account(usdt)
    market = desk.exchange.usdm_market
    if isolated:
        market.settings.set_margin_type(user.account_id, "BTCUSDT", isolated=True)
    market.set_leverage(user.account_id, desk.listing().instrument, 10)
    desk.liquidity("SELL", "50000", "0.1")
    desk.order(user, "BUY", "0.1")
    assert desk.position(user).steps
    return user


def insurance(desk: Desk) -> int:
    return desk.exchange.usdm_market.accounts.of(INSURANCE).wallet("USDT")


def test_cross_position_is_liquidated_when_balance_meets_maintenance_not_before(desk: Desk) -> None:
    user = leveraged(desk)
    # Wallet 600 - 2.5 = 597.5; at p: 597.5 + 0.1 (p - 50000) = 0.1 p * 0.004  ->  p = 44201.80...
    resting = desk.order(user, "BUY", "0.003", "40000")
    desk.liquidity("BUY", "44100", "1")
    desk.mark("44201.9")
    assert desk.position(user).steps
    assert resting.is_open
    desk.mark("44201.7")
    assert desk.position(user).steps == 0
    assert resting.status is Status.CANCELED
    # Sold at 44100: 597.5 - 590 = 7.5, less 0.05 % of 4410 = 2.205; then the liquidation fee takes
    # what is left (1.25 % of 4420.17 would be more).
    assert desk.wallet(user) == 0
    assert insurance(desk) == units("10000000") + units("5.295")
    desk.check_books()


def test_book_takes_what_it_can_and_the_fund_the_rest_at_the_bankruptcy_price(desk: Desk) -> None:
    user = leveraged(desk)
    desk.liquidity("BUY", "44100", "0.04")
    desk.mark("44200")
    fills = [(fill.price, fill.quantity, fill.counterparty) for fill in desk.fills(user)[1:]]
    # Bankruptcy: cost 5000 - 597.5 = 4402.5 over 0.1 = 44025.
    assert fills == [
        (units("44100"), units("0.04"), "market"),
        (units("44025"), units("0.06"), INSURANCE),
    ]
    held = desk.exchange.usdm_market.accounts.of(INSURANCE).position(desk.listing().instrument)
    assert held.steps * held.instrument.step == units("0.06")
    ids = [
        order.client_order_id
        for order in desk.exchange.usdm.shelf(user.account_id).orders.values()
        if order.client_order_id.startswith("autoclose-")
    ]
    assert len(ids) == 2
    assert desk.wallet(user) == 0
    desk.check_books()


def test_fund_sells_what_it_took_over_when_the_book_allows(desk: Desk) -> None:
    user = leveraged(desk)
    desk.mark("44200")
    fund = desk.exchange.usdm_market.accounts.of(INSURANCE).position(desk.listing().instrument)
    assert desk.position(user).steps == 0
    assert fund.steps > 0
    desk.liquidity("BUY", "44190", "1")
    desk.mark("44200")
    assert fund.steps == 0
    # Taken over at 44025, sold at 44190: 0.1 * 165 (and 2.20125 to make the user's commission good).
    assert insurance(desk) == units("10000000") + units("16.5") - units("2.20125")
    desk.check_books()


def test_isolated_loss_never_reaches_the_rest_of_the_wallet(desk: Desk) -> None:
    user = leveraged(desk, "5000", isolated=True)
    # Margin 500: bankruptcy at 45000; liquidation where 500 + 0.1 (p - 50000) = 0.0004 p -> 45180.72
    cross = desk.futures(user).cross_wallet("USDT")
    assert desk.position(user).isolated == units("500")
    desk.mark("45180.8")
    assert desk.position(user).steps
    desk.mark("45180.7")
    assert desk.position(user).steps == 0
    assert desk.wallet(user) == cross
    desk.check_books()


def test_liquidation_price_shown_is_where_it_happens(desk: Desk) -> None:
    user = leveraged(desk)
    margin = desk.exchange.usdm_market.margin
    shown = margin.liquidation_price(desk.futures(user), desk.position(user))
    desk.exchange.usdm_market.liquidation.check("BTCUSDT")
    desk.mark(f"{(shown + 10**6) // 10**6 / 100 + 0.1:.1f}")
    assert desk.position(user).steps
    desk.mark(f"{shown // 10**6 / 100 - 0.1:.1f}")
    assert desk.position(user).steps == 0


def test_without_a_fund_the_most_profitable_opposing_user_is_deleveraged_first(desk: Desk) -> None:
    market = desk.exchange.usdm_market
    fund = desk.exchange.accounts.by_id[INSURANCE]
    market.transfer(fund, "USDT", -market.accounts.of(INSURANCE).wallet("USDT"))
    loser = leveraged(desk)
    rich, poor = desk.account("10000"), desk.account("10000")
    desk.liquidity("BUY", "49990", "0.02")
    desk.order(poor, "SELL", "0.02")
    desk.liquidity("BUY", "50500", "0.06")
    desk.order(rich, "SELL", "0.06")
    assert market.liquidation.adl_grade(market.accounts.of(rich.account_id), desk.position(rich)) == 4
    # Far below bankruptcy at once: the fund has nothing to bear the difference with.
    desk.mark("43000")
    assert desk.position(loser).steps == 0
    assert desk.position(rich).steps == 0
    assert desk.position(poor).steps == 0
    adl = [f for f in desk.fills(rich) if f.counterparty == loser.account_id]
    # Bankruptcy 44025: 0.06 * (50500 - 44025)
    assert [(fill.price, fill.realized) for fill in adl] == [(units("44025"), units("388.5"))]
    names = [o.client_order_id for o in desk.exchange.usdm.shelf(rich.account_id).orders.values()]
    assert names[-1].startswith("adl_autoclose-")
    desk.check_books()


def test_margin_call_goes_out_once_on_the_way_down(desk: Desk) -> None:
    user = leveraged(desk)
    heard = Heard()
    desk.exchange.usdm_market.listener = heard
    desk.mark("46000")
    assert heard.calls == []
    # 597.5 + 0.1 (p - 50000) below 0.0004 p / 0.8: at 44240 it is 21.5 against 22.12
    desk.mark("44240")
    desk.mark("44235")
    assert heard.calls == [(user.account_id, ["BTCUSDT"])]
    desk.mark("48000")
    desk.mark("44240")
    assert len(heard.calls) == 2


def test_healthy_other_positions_keep_a_cross_account_alive(desk: Desk) -> None:
    desk.list("ETHUSDT")
    user = leveraged(desk)
    desk.mark("3000", "ETHUSDT")
    desk.liquidity("BUY", "3000", "10", "ETHUSDT")
    desk.order(user, "SELL", "0.2", symbol="ETHUSDT")
    # The short gains 0.2 * 1500 = 300, which carries the long past its own liquidation price.
    desk.mark("1500", "ETHUSDT")
    desk.mark("44100")
    assert desk.position(user).steps
    desk.mark("40000")
    assert desk.position(user).steps == 0
    desk.check_books()


@pytest.mark.parametrize("status", ["HALT"])
def test_nobody_is_liquidated_while_the_symbol_is_halted(desk: Desk, status: str) -> None:
    user = leveraged(desk)
    desk.exchange.set_status(desk.listing(), type(desk.listing().status)(status))
    desk.mark("30000")
    assert desk.position(user).steps


def test_delisting_settles_positions_at_the_mark_and_ends_orders(desk: Desk) -> None:
    user = leveraged(desk)
    resting = desk.order(user, "BUY", "0.003", "45000")
    desk.mark("51000")
    desk.exchange.delist(desk.listing())
    assert resting.status is Status.EXPIRED
    fill = desk.fills(user)[-1]
    # 0.1 * 1000 gained, 5100 * 0.0005 paid
    assert (fill.realized, fill.commission) == (units("100"), units("2.55"))
    assert desk.wallet(user) == units("597.5") + units("97.45")
