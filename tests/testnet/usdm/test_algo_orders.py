"""Conditional orders: when they trigger, what they become, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest

from testnet.accounts import Account
from testnet.errors import ApiError
from testnet.usdm.algo import AlgoOrder, AlgoStatus
from tests.testnet.usdm.conftest import Desk, units


def conditional(desk: Desk, user: Account, side: str, kind: str, **extra: Any) -> AlgoOrder:
    """Place a conditional order for 0.1 unless told otherwise."""
    prices = {
        name: units(extra.pop(name)) for name in ("trigger_price", "price", "activate_price") if name in extra
    }
    algo = AlgoOrder(
        algo_id=0,
        account_id=user.account_id,
        instrument=desk.listing().instrument,
        client_algo_id=extra.pop("client_algo_id", "stop"),
        side=side,
        position_side=extra.pop("position_side", "BOTH"),
        type=kind,
        time_in_force="GTC",
        quantity=units(extra.pop("quantity", "0.1")),
        working_type=extra.pop("working_type", "MARK_PRICE"),
        created_ms=desk.exchange.now_ms(),
        updated_ms=desk.exchange.now_ms(),
        price=prices.pop("price", 0),
        trigger_price=prices.pop("trigger_price", 0),
        **prices,
        **extra,
    )
    algos = desk.exchange.usdm_market.algos
    algos.check(algo)
    return algos.add(algo)


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "before", "at"),
    [
        ("SELL", "STOP_MARKET", "49000", "49000.1", "49000"),
        ("BUY", "STOP_MARKET", "51000", "50999.9", "51000"),
        ("SELL", "TAKE_PROFIT_MARKET", "51000", "50999.9", "51000"),
        ("BUY", "TAKE_PROFIT_MARKET", "49000", "49000.1", "49000"),
    ],
)
def test_triggers_at_its_price_and_not_before(
    desk: Desk, side: str, kind: str, trigger: str, before: str, at: str
) -> None:
    user = desk.account("100000")
    algo = conditional(desk, user, side, kind, trigger_price=trigger)
    desk.liquidity("BUY", "48000", "1")
    desk.liquidity("SELL", "52000", "1")
    desk.mark(before)
    assert algo.status is AlgoStatus.NEW
    desk.mark(at)
    assert algo.status is AlgoStatus.FINISHED
    assert [status for _, status, _ in algo.events] == ["NEW", "TRIGGERING", "TRIGGERED", "FINISHED"]
    order = desk.exchange.usdm.by_id[algo.order_id]
    assert (order.client_order_id, order.type, order.position.original_type) == ("stop", "MARKET", kind)
    assert desk.position(user).steps * (1 if side == "BUY" else -1) > 0


def test_stop_limit_rests_at_its_price_and_finishes_with_its_order(desk: Desk) -> None:
    user = desk.account("100000")
    algo = conditional(desk, user, "BUY", "STOP", trigger_price="51000", price="50900")
    desk.liquidity("SELL", "51010", "1")
    desk.mark("51000")
    order = desk.exchange.usdm.by_id[algo.order_id]
    assert order.is_open
    assert algo.status is AlgoStatus.TRIGGERED
    desk.exchange.usdm.cancel(order, "x")
    assert algo.status is AlgoStatus.FINISHED


def test_trailing_stop_follows_the_best_price_by_its_distance(desk: Desk) -> None:
    user = desk.account("100000")
    # 1 % below the highest mark once 51000 is reached.
    algo = conditional(desk, user, "SELL", "TRAILING_STOP_MARKET", callback=100, activate_price="51000")
    desk.liquidity("BUY", "48000", "1")
    desk.mark("49000")
    assert algo.status is AlgoStatus.NEW
    desk.mark("52000")
    desk.mark("51480.1")
    assert algo.status is AlgoStatus.NEW
    desk.mark("51480")
    assert algo.status is AlgoStatus.FINISHED


def test_last_price_triggers_only_what_watches_it(desk: Desk) -> None:
    user = desk.account("100000")
    mark = conditional(desk, user, "SELL", "STOP_MARKET", trigger_price="49000", client_algo_id="m")
    desk.listing().tape.last_price = 500_000
    last = conditional(
        desk,
        user,
        "SELL",
        "STOP_MARKET",
        trigger_price="49000",
        working_type="CONTRACT_PRICE",
        client_algo_id="l",
    )
    desk.liquidity("BUY", "48900", "1")
    desk.liquidity("BUY", "48800", "1")
    desk.exchange.usdm.background_take(desk.listing(), "SELL", 489_000, 100)
    assert last.status is AlgoStatus.FINISHED
    assert mark.status is AlgoStatus.NEW


def test_close_position_closes_all_there_is_then(desk: Desk) -> None:
    user = desk.account("100000")
    desk.liquidity("SELL", "50000", "1")
    desk.order(user, "BUY", "0.3")
    conditional(
        desk,
        user,
        "SELL",
        "STOP_MARKET",
        trigger_price="49000",
        quantity="0",
        close_position=True,
        reduce_only=True,
    )
    desk.liquidity("SELL", "50000", "1")
    desk.order(user, "BUY", "0.2")
    desk.liquidity("BUY", "48900", "2")
    desk.mark("49000")
    assert desk.position(user).steps == 0
    assert desk.fills(user)[-1].quantity == units("0.5")


def test_what_cannot_be_placed_is_rejected_with_the_reason(desk: Desk) -> None:
    user = desk.account("100")
    rejected: list[AlgoOrder] = []

    class Heard:
        def algo_event(self, algo: AlgoOrder) -> None: ...

        def trigger_rejected(self, algo: AlgoOrder) -> None:
            rejected.append(algo)

    desk.exchange.usdm_market.algos.listener = Heard()
    desk.liquidity("SELL", "51000", "1")
    algo = conditional(desk, user, "BUY", "STOP_MARKET", trigger_price="51000", quantity="0.5")
    desk.mark("51000")
    assert algo.status is AlgoStatus.REJECTED
    assert (rejected, algo.reject_reason) == ([algo], "Margin is insufficient.")
    assert desk.exchange.usdm.shelf(user.account_id).orders == {}


def test_price_protection_stops_a_trigger_far_from_the_last_price(desk: Desk) -> None:
    user = desk.account("100000")
    desk.listing().tape.last_price = 500_000
    desk.liquidity("BUY", "48000", "1")
    algo = conditional(desk, user, "SELL", "STOP_MARKET", trigger_price="45000", price_protect=True)
    # 5 % is this contract's trigger protection; 44000 is 12 % from the last trade at 50000.
    desk.mark("44000")
    assert algo.status is AlgoStatus.EXPIRED
    assert algo.order_id == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"trigger_price": "50500"}, -2021),
        ({"position_side": "LONG"}, -4061),
    ],
)
def test_refused_conditional_orders(desk: Desk, change: dict[str, str], code: int) -> None:
    user = desk.account("1000")
    with pytest.raises(ApiError) as caught:
        conditional(desk, user, "SELL", "STOP_MARKET", **({"trigger_price": "49000"} | change))
    assert caught.value.code == code


def test_open_ids_are_unique_and_their_number_is_limited(desk: Desk) -> None:
    user = desk.account("1000")
    conditional(desk, user, "SELL", "STOP_MARKET", trigger_price="49000", client_algo_id="0")
    with pytest.raises(ApiError) as twice:
        conditional(desk, user, "SELL", "STOP_MARKET", trigger_price="48000", client_algo_id="0")
    assert twice.value.code == -4116
    perpetual = desk.listing().instrument.perpetual
    assert perpetual is not None
    for number in range(1, perpetual.max_algo_orders):
        conditional(desk, user, "SELL", "STOP_MARKET", trigger_price="49000", client_algo_id=str(number))
    with pytest.raises(ApiError) as beyond:
        conditional(desk, user, "SELL", "STOP_MARKET", trigger_price="49000", client_algo_id="last")
    assert beyond.value.code == -4045


def test_reducing_orders_expire_when_the_position_is_gone(desk: Desk) -> None:
    user = desk.account("100000")
    desk.liquidity("SELL", "50000", "1")
    desk.order(user, "BUY", "0.1")
    resting = desk.order(user, "SELL", "0.1", "52000", reduce_only=True)
    desk.liquidity("BUY", "49999", "1")
    desk.order(user, "SELL", "0.1")
    assert resting.status.value == "EXPIRED"


def test_good_till_date_ends_by_wall_time(desk: Desk) -> None:
    user = desk.account("100000")
    algo = conditional(desk, user, "SELL", "STOP_MARKET", trigger_price="49000", good_till_ms=5_000)
    desk.exchange.wall_tick(4_999)
    assert algo.status is AlgoStatus.NEW
    desk.exchange.wall_tick(5_000)
    assert algo.status is AlgoStatus.EXPIRED
