"""Caps over many accounts: whatever the interleaving, net exposure and groups of symbols stay within theirs."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import transaction

from nautilus_site.common.clock import now
from tests.factories.threads import of_type, run_together
from tests.factories.trading import Desk as DeskClass
from tests.factories.trading import trader
from trading.models import (
    Account,
    CorrelationGroup,
    ExposureBucket,
    LossMeasure,
    Order,
    SymbolAllowance,
    TradingState,
)
from trading.selectors.limits import Use, limit_get, limit_members
from trading.services.bucket_sweep import buckets_sweep, exposures_revalue
from trading.services.controls.groups import group_change
from trading.services.orders import OrderDenied, order_submit
from universe.models import Quote, StreamState

if TYPE_CHECKING:
    from tests.factories.trading import Desk

ACCOUNTS = 8
SIZE = Decimal(600)  # 0.01 BTC at 60,000, or 0.2 ETH at 3,000
LEGS = {"BTCUSDT": ("0.01", "60000"), "ETHUSDT": ("0.2", "3000")}


def more_accounts(desk: Desk) -> list[Account]:
    """Accounts beside the first one, opened and funded like it: they share no row of their own."""
    accounts = [desk.account]
    for number in range(1, ACCOUNTS):
        account = Account.objects.create(
            name=f"desk{number}", shards=1, venue=desk.venue_row, opened_at=now(), reconciled_at=now()
        )
        for instrument in desk.instruments.values():
            SymbolAllowance.objects.create(account=account, instrument=instrument, added_at=now())
        other = DeskClass(desk.venue_row, account, desk.instruments, desk.strategies, {}, desk.venue)
        with transaction.atomic():
            other.fund({"USDT": "100000"})
        StreamState.objects.create(name=f"user:desk{number}", connected_at=now(), last_message_at=now())
        LossMeasure.objects.create(scope=f"account:desk{number}", day=now().date(), measured_at=now())
        accounts.append(account)
    return accounts


def at_once(desk: Desk, symbols: tuple[str, ...]) -> tuple[list[Order], list[OrderDenied]]:
    """Two orders per account, all at the same moment."""
    submissions = []
    for number, account in enumerate(more_accounts(desk) * 2):
        symbol = symbols[number % len(symbols)]
        quantity, price = LEGS[symbol]
        submissions.append(
            desk.submission("BUY", quantity, symbol=symbol, price=price, account=account, key=f"w{number}")
        )
    results = run_together(*[lambda s=s: order_submit(s) for s in submissions])
    orders, denied = of_type(results, Order), of_type(results, OrderDenied)
    assert len(orders) + len(denied) == len(results), results
    return orders, denied


def test_orders_of_eight_accounts_at_once_never_pass_the_net_cap_over_everything(shared_desk: Desk) -> None:
    shared_desk.limit(exposure_net_global=3000, near_duplicate_window=0)
    orders, denied = at_once(shared_desk, ("BTCUSDT", "ETHUSDT"))
    assert len(orders) == 5, "3,000 is five times 600, and all of it may be used"
    assert {(d.code, d.extra["rail"]) for d in denied} == {("EXPOSURE_GLOBAL", "net_global")}
    assert sum(order.quantity * order.price for order in orders) == 5 * SIZE
    assert buckets_sweep() == []


def test_orders_of_eight_accounts_at_once_never_pass_the_cap_of_a_group(shared_desk: Desk) -> None:
    shared_desk.limit(exposure_group=2400)
    CorrelationGroup.objects.create(name="majors", symbols=["BTCUSDT", "ETHUSDT"], changed_at=now())
    CorrelationGroup.objects.create(name="other", symbols=["BNBUSDT"], changed_at=now())
    orders, denied = at_once(shared_desk, ("BTCUSDT", "ETHUSDT"))
    assert len(orders) == 4
    assert {d.code for d in denied} == {"EXPOSURE_GROUP"}
    # Another group's symbol has all its room still.
    assert shared_desk.submit("BUY", "2", symbol="BNBUSDT", price="600").status == "RESERVED"
    use = limit_members(limit_get("exposure_group", "global"), Use.read())
    assert use["used"] == "2400"


def test_a_symbol_that_joins_a_group_counts_with_all_it_holds(desk: Desk) -> None:
    desk.limit(exposure_group=1000)
    desk.submit("BUY", "0.01")
    group_change(name="majors", symbols=["BTC/USDT", "ETHUSDT"], reason="they fall together", actor=trader())
    with pytest.raises(OrderDenied) as no:
        desk.submit("BUY", "0.2", symbol="ETHUSDT", price="3000")
    assert (no.value.code, no.value.extra["measured"]) == ("EXPOSURE_GROUP", "1200")
    assert desk.submit("BUY", "0.1", symbol="ETHUSDT", price="3000").status == "RESERVED"


def test_one_strategy_in_one_symbol_has_a_cap_of_its_own_that_fills_move_along(desk: Desk) -> None:
    desk.limit(exposure_strategy_symbol=1300, near_duplicate_window=0)
    trend = {"strategy": desk.strategies["trend"]}
    desk.send(desk.submit("BUY", "0.01", price="60010", **trend))
    desk.submit("BUY", "0.01", **trend)
    bucket = ExposureBucket.objects.get(scope="strategy_symbol:trend:BTCUSDT")
    assert bucket.used == Decimal("600.1") + 600
    with pytest.raises(OrderDenied) as no:
        desk.submit("BUY", "0.002", **trend)
    assert (no.value.code, no.value.extra["rail"]) == ("EXPOSURE_STRATEGY", "exposure_strategy_symbol")
    assert desk.submit("BUY", "0.2", symbol="ETHUSDT", price="3000", **trend).status == "RESERVED"
    assert desk.submit("BUY", "0.01", strategy=desk.strategies["swing"]).status == "RESERVED"
    assert buckets_sweep() == []
    # What the strategy sells again leaves its bucket, and the sweeper would say if it did not.
    Order.objects.filter(status="RESERVED", instrument=desk.btc).update(price=59_000)  # out of the sale's way
    desk.send(desk.submit("SELL", "0.005", price="59990"))
    bucket.refresh_from_db()
    assert 800 < bucket.used < 1_000
    assert buckets_sweep() == []


def test_positions_that_outgrow_the_cap_by_price_alone_only_reduce(desk: Desk) -> None:
    desk.limit(exposure_account=1000)
    desk.send(desk.submit("BUY", "0.016", price="60010"))
    held = desk.position().quantity
    # The tolerance is a tenth of the cap.
    Quote.objects.filter(instrument=desk.btc).update(bid=Decimal("68000"), ask=Decimal("68000"))
    assert exposures_revalue() == []
    Quote.objects.filter(instrument=desk.btc).update(bid=Decimal("69000"), ask=Decimal("69000"))
    assert held * 69_000 > 1100 > held * 68_000
    assert exposures_revalue() == ["desk"]
    state = TradingState.objects.get(scope="account:desk")
    assert (state.level, state.changed_by) == (1, "sweeper")
    changes = TradingState.objects.get(scope="global").version
    exposures_revalue()
    assert TradingState.objects.get(scope="global").version == changes, "told once"


def test_an_account_with_a_tighter_cap_of_its_own_is_measured_by_that(desk: Desk) -> None:
    desk.send(desk.submit("BUY", "0.016", price="60010"))
    assert exposures_revalue() == []
    desk.limit(scope="account:desk", exposure_account=800)
    assert exposures_revalue() == ["desk"]
    desk.kill(0, "account:desk")
    # The mark counts where there is one.
    Quote.objects.filter(instrument=desk.btc).update(mark_price=Decimal(50_000))
    assert exposures_revalue() == []
