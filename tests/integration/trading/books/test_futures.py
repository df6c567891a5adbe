"""USD-M in the books by example: what a fill does to wallet, position, holds and owners."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from trading.domain.errors import InvariantViolation
from trading.models import ExposureBucket, LedgerEntry, MarginTerms, Order, SubBalance, SubPosition
from trading.services.execution.settle import order_settle

if TYPE_CHECKING:
    from tests.factories.futures import Futures


def dec(text: str) -> Decimal:
    return Decimal(text)


def owners(futures: Futures, side: str = "BOTH") -> dict[str, Decimal]:
    return {part.owner: part.quantity for part in SubPosition.objects.filter(position=futures.position(side))}


def sums_by_asset(futures: Futures) -> None:
    """The owners' wallets add up to the account's, and every transaction to zero."""
    subs: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in SubBalance.objects.filter(account=futures.account):
        subs[row.asset] += row.amount
    assert {a: v for a, v in subs.items() if v} == {
        row.asset: row.amount for row in futures.account.balances.all() if row.amount
    }
    transactions: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for entry in LedgerEntry.objects.filter(account=futures.account):
        transactions[entry.transaction, entry.asset] += entry.amount
    assert set(transactions.values()) == {dec("0")}


def test_a_long_that_is_closed_leaves_its_result_less_fees_in_the_wallet(futures: Futures) -> None:
    """Bought at 60000 and sold at 60500: 0.1 x 500 = 50, fees 2.4 + 2.42."""
    futures.fill("BUY", "0.1", "60000", fee="2.4", realized="0")
    assert futures.wallet() == dec("9997.6")  # no base, no quote: a contract exchanges nothing
    assert not futures.account.balances.filter(asset="BTC").exclude(amount=0).exists()
    futures.fill("SELL", "0.1", "60500", fee="2.42", realized="50")
    assert futures.wallet() == dec("10045.18")
    assert (futures.position().quantity, futures.position().realized) == (0, 50)
    kinds = set(LedgerEntry.objects.exclude(kind="opening").values_list("kind", flat=True))
    assert kinds == {"realized", "commission"}
    sums_by_asset(futures)


def test_a_short_gains_when_the_price_falls(futures: Futures) -> None:
    futures.fill("SELL", "0.2", "60000", realized="0")
    assert (futures.position().quantity, futures.position().cost) == (dec("-0.2"), 12_000)
    futures.fill("BUY", "0.1", "59000", realized="100")
    position = futures.position()
    assert (position.quantity, position.cost, position.realized) == (dec("-0.1"), 6000, 100)
    assert futures.wallet() == 10_100


def test_a_flip_closes_first_and_opens_with_what_is_left(futures: Futures) -> None:
    futures.fill("BUY", "0.1", "60000")
    futures.fill("SELL", "0.3", "61000", realized="100")
    position = futures.position()
    assert (position.quantity, position.cost, position.realized) == (dec("-0.2"), 12_200, 100)


def test_hedge_mode_keeps_a_long_and_a_short_side_by_side(hedged: Futures) -> None:
    hedged.fill("BUY", "0.1", "60000", position_side="LONG")
    hedged.fill("SELL", "0.3", "60000", position_side="SHORT")
    hedged.fill("SELL", "0.1", "60100", position_side="LONG", realized="10")
    assert (hedged.position("LONG").quantity, hedged.position("LONG").realized) == (0, 10)
    assert (hedged.position("SHORT").quantity, hedged.position("SHORT").cost) == (dec("-0.3"), 18_000)
    assert hedged.wallet() == 10_010


def test_a_commission_in_bnb_leaves_a_bnb_contract_whole(db: None) -> None:
    from tests.factories.futures import futures_account

    futures = futures_account(symbol="BNBUSDT")
    futures.quote("599", "601")
    futures.account.balances.create(asset="BNB", amount=1)
    futures.fill("BUY", "2", "600", fee="0.001", fee_asset="BNB", realized="0")
    assert futures.position().quantity == 2
    assert futures.wallet("BNB") == dec("0.999")
    assert futures.position().commission == dec("0.6")


# -- what orders hold -------------------------------------------------------------------------


def test_an_opening_order_holds_its_margin_and_fee_of_the_wallet(futures: Futures) -> None:
    from nautilus_site.common.clock import now

    MarginTerms.objects.create(
        account=futures.account, instrument=futures.instrument, leverage=10, seen_at=now()
    )
    order = futures.order("BUY", "0.1", "60000")
    assert order.reserved_amount == 600 + 6  # 6000 / 10 and 0.1 % of 6000
    assert futures.account.balances.get(asset="USDT").reserved == 606
    futures.settle(order, "FILLED", futures.trade(order, "0.1", "60000"))
    assert futures.account.balances.get(asset="USDT").reserved == 0


def test_without_known_leverage_the_whole_notional_is_held(futures: Futures) -> None:
    assert futures.order("BUY", "0.1", "60000").reserved_amount == 6006


@pytest.mark.parametrize(
    "exit_order", [{"reduce_only": True}, {"close_position": True}, {"position_side": "LONG"}]
)
def test_an_order_the_venue_only_lets_reduce_holds_nothing(
    futures: Futures, exit_order: dict[str, object]
) -> None:
    side = str(exit_order.get("position_side", "BOTH"))
    futures.fill("BUY", "0.1", "60000", position_side=side)
    before = {bucket.scope: bucket.used for bucket in ExposureBucket.objects.all()}
    order = futures.order("SELL", "0.1", "61000", **exit_order)
    assert (order.open_quantity, order.reserved_amount, order.reserved_notional) == (0, 0, 0)
    assert futures.position(side).open_sell == 0
    assert {bucket.scope: bucket.used for bucket in ExposureBucket.objects.all()} == before
    futures.settle(order, "FILLED", futures.trade(order, "0.1", "61000", realized="100"))
    assert {bucket.used for bucket in ExposureBucket.objects.all()} == {dec("0")}


def test_a_short_is_carried_in_the_caps_until_it_is_bought_back(futures: Futures) -> None:
    futures.fill("SELL", "0.1", "60000")
    assert ExposureBucket.objects.get(scope="global:paper-usdm").used == 6000
    futures.fill("BUY", "0.3", "60000")
    assert futures.position().quantity == dec("0.2")
    carried = futures.position().carried_notional
    assert carried > 0
    assert ExposureBucket.objects.get(scope="global:paper-usdm").used == carried
    futures.fill("SELL", "0.2", "60000")
    assert ExposureBucket.objects.get(scope="global:paper-usdm").used == 0


# -- conditional, amended and closing orders --------------------------------------------------


def test_a_conditional_order_gets_its_two_ids_one_after_the_other(futures: Futures) -> None:
    futures.fill("BUY", "0.1", "60000")
    stop = futures.order(
        "SELL", "0.1", "59000", service="algo", venue_type="STOP_MARKET", reduce_only=True, stop_price=59000
    )
    waiting = futures.report(stop, "NEW", venue_order_id=0, algo_id=77)
    told = order_settle(order_id=stop.pk, report=waiting, trades=[], source="response")
    assert (told.status, told.algo_id, told.venue_order_id, told.triggered_at) == ("NEW", 77, None, None)
    triggered = futures.report(stop, "NEW", venue_order_id=501, algo_id=77, triggered=True)
    told = order_settle(order_id=stop.pk, report=triggered, trades=[], source="stream")
    assert (told.status, told.algo_id, told.venue_order_id) == ("NEW", 77, 501)
    assert told.triggered_at is not None
    after = futures.settle(stop, "FILLED", futures.trade(stop, "0.1", "58990", realized="-101"))
    assert after.status == "FILLED"
    assert futures.wallet() == 10_000 - 101


def test_a_conditional_order_refused_when_it_triggers_is_over(futures: Futures) -> None:
    stop = futures.order("SELL", "0.1", "59000", service="algo", venue_type="STOP_MARKET", reduce_only=True)
    order_settle(
        order_id=stop.pk,
        report=futures.report(stop, "NEW", venue_order_id=0, algo_id=7),
        trades=[],
        source="response",
    )
    told = order_settle(
        order_id=stop.pk,
        report=futures.report(stop, "REJECTED", venue_order_id=0, algo_id=7),
        trades=[],
        source="stream",
    )
    assert (told.status, told.code) == ("EXPIRED", "TRIGGER_REJECTED")


def test_an_order_to_close_gets_its_quantity_when_it_triggers(futures: Futures) -> None:
    """It was written down for 0.1; the position has grown to 0.15 meanwhile, and the venue closes all of it."""
    futures.fill("BUY", "0.15", "60000")
    stop = futures.order(
        "SELL", "0.1", "59000", service="algo", venue_type="STOP_MARKET", close_position=True
    )
    trade = futures.trade(stop, "0.15", "59000", realized="-150")
    report = futures.report(stop, "FILLED", "0.15", quantity=dec("0.15"), triggered=True)
    told = order_settle(order_id=stop.pk, report=report, trades=[trade], source="stream")
    assert (told.status, told.quantity, told.executed_quantity) == ("FILLED", dec("0.15"), dec("0.15"))
    assert futures.position().quantity == 0


def test_a_lowered_quantity_frees_its_part_and_is_never_raised_again(futures: Futures) -> None:
    order = futures.order("BUY", "0.1", "60000")
    order_settle(order_id=order.pk, report=futures.report(order, "NEW"), trades=[], source="response")
    lowered = futures.report(order, "NEW", quantity=dec("0.04"))
    order_settle(order_id=order.pk, report=lowered, trades=[], source="stream")
    order_settle(order_id=order.pk, report=futures.report(order, "NEW"), trades=[], source="query")
    row = Order.objects.get(pk=order.pk)
    assert (row.quantity, row.open_quantity) == (dec("0.04"), dec("0.04"))
    assert futures.position().open_buy == dec("0.04")
    assert row.reserved_amount == dec("2402.4")  # 40 % of 6006
    assert ExposureBucket.objects.get(scope="global:paper-usdm").used == 2400
    filled = futures.settle(row, "FILLED", futures.trade(row, "0.04", "60000"))
    assert filled.status == "FILLED"
    assert (futures.position().open_buy, futures.account.balances.get(asset="USDT").reserved) == (0, 0)


def test_a_quantity_below_what_is_executed_is_impossible(futures: Futures) -> None:
    order = futures.order("BUY", "0.1", "60000")
    futures.settle(order, "PARTIALLY_FILLED", futures.trade(order, "0.05", "60000"))
    with pytest.raises(InvariantViolation):
        order_settle(
            order_id=order.pk,
            report=futures.report(order, "NEW", quantity=dec("0.04")),
            trades=[],
            source="stream",
        )


# -- owners ------------------------------------------------------------------------------------


def test_a_fill_is_split_over_the_frozen_shares_of_its_plan(futures: Futures) -> None:
    plan = futures.plan({"trend": "0.5", "swing": "0.3", "hmm": "0.2"})
    order = futures.order("BUY", "0.00007", "60000", plan=plan, strategy="trend")
    futures.settle(order, "FILLED", futures.trade(order, "0.00007", "60000", fee="0.0021"))
    assert owners(futures) == {"trend": dec("0.00004"), "swing": dec("0.00002"), "hmm": dec("0.00001")}
    assert sum(part.commission for part in SubPosition.objects.all()) == dec("0.0021")
    sums_by_asset(futures)


def test_pieces_of_an_order_are_split_as_the_whole_order_would_be(futures: Futures) -> None:
    plan = futures.plan({"trend": "0.5", "swing": "0.5"})
    order = futures.order("BUY", "0.00004", "60000", plan=plan)
    for status in ("PARTIALLY_FILLED", "PARTIALLY_FILLED", "PARTIALLY_FILLED", "FILLED"):
        trade = futures.trade(order, "0.00001", "60000")
        order_settle(order_id=order.pk, report=None, trades=[trade], source=status[:12])
    assert owners(futures) == {"trend": dec("0.00002"), "swing": dec("0.00002")}
    assert futures.position().splits == {}


def test_each_owner_has_its_own_average_and_the_rest_is_between_them(futures: Futures) -> None:
    """A bought at 60000 and B at 62000; A sells at 61000. The venue closes at the average and realises nothing;
    A has gained 100, which B has advanced: 100 less in the wallets' rest, 100 less in what B's part has cost the venue.
    """
    futures.fill("BUY", "0.1", "60000", strategy="a", realized="0")
    futures.fill("BUY", "0.1", "62000", strategy="b", realized="0")
    futures.fill("SELL", "0.1", "61000", strategy="a", realized="0")
    parts = {part.owner: part for part in SubPosition.objects.all()}
    assert (parts["a"].quantity, parts["a"].realized) == (0, 100)
    assert (parts["b"].quantity, parts["b"].cost) == (dec("0.1"), 6200)
    wallets = {row.owner: row.amount for row in SubBalance.objects.filter(asset="USDT")}
    assert (wallets["a"], wallets["@netting"], wallets.get("b", 0)) == (100, -100, 0)
    futures.fill("SELL", "0.1", "61000", strategy="b", realized="0")
    wallets = {row.owner: row.amount for row in SubBalance.objects.filter(asset="USDT")}
    assert (wallets["a"], wallets["b"], wallets["@netting"]) == (100, -100, 0)
    sums_by_asset(futures)


def test_a_stop_of_the_net_position_is_for_those_who_hold_it(futures: Futures) -> None:
    futures.fill("BUY", "0.3", "60000", strategy="a")
    futures.fill("BUY", "0.1", "60000", strategy="b")
    futures.fill("SELL", "0.2", "59000", origin="protection", reduce_only=True)
    assert owners(futures) == {"a": dec("0.15"), "b": dec("0.05")}


def test_a_liquidation_is_for_those_who_held_the_position(futures: Futures) -> None:
    futures.fill("BUY", "0.3", "60000", strategy="a")
    futures.fill("SELL", "0.3", "59000", origin="external", client_order_id="autoclose-1")
    assert owners(futures) == {"a": dec("0")}


def test_orders_of_people_and_adopted_ones_are_nobodys(futures: Futures) -> None:
    futures.fill("BUY", "0.1", "60000")
    futures.fill("BUY", "0.1", "60000", origin="external")
    assert owners(futures) == {"": dec("0.2")}


# -- late trades -------------------------------------------------------------------------------


def test_a_trade_told_after_a_later_one_is_folded_in_the_venues_order(futures: Futures) -> None:
    """Bought at 100 and at 200, sold at 150; told sale first. In the venue's order the sale closes at the average."""
    first = futures.order("BUY", "1", "60000", strategy="a")
    second = futures.order("BUY", "1", "62000", strategy="b")
    third = futures.order("SELL", "1", "61000", strategy="a")
    trades = [
        futures.trade(first, "1", "60000", realized="0", trade_id=1),
        futures.trade(second, "1", "62000", realized="0", trade_id=2),
        futures.trade(third, "1", "61000", realized="0", trade_id=3),
    ]
    futures.settle(third, "FILLED", trades[2])
    futures.settle(second, "FILLED", trades[1])
    futures.settle(first, "FILLED", trades[0])
    position = futures.position()
    assert (position.quantity, position.cost, position.realized) == (1, 61_000, 0)
    parts = {part.owner: (part.quantity, part.cost, part.realized) for part in SubPosition.objects.all()}
    assert parts == {"a": (0, 0, 1000), "b": (1, 62_000, 0)}
    wallets = {row.owner: row.amount for row in SubBalance.objects.filter(asset="USDT")}
    assert (wallets["a"], wallets["@netting"], wallets.get("b", 0)) == (1000, -1000, 0)
    sums_by_asset(futures)
