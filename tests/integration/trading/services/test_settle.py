"""Tx C by example: what each report books, and what it never books."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.factories.reports import report_of, trade_of
from trading.domain import portfolio
from trading.domain.errors import InvariantViolation
from trading.domain.orders import Fill as DomainFill
from trading.domain.values import Side, from_units, to_units
from trading.models import ExposureBucket, Fill, LedgerEntry, Order
from trading.selectors.marks import marks_read
from trading.selectors.portfolio import worth_by_account
from trading.services.execution.resolve import late_landings_check
from trading.services.execution.settle import order_settle

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def sending(desk: Desk, side: str = "BUY", quantity: str = "0.01", **changes: object) -> Order:
    order = desk.submit(side, quantity, **changes)
    assert desk.authorise(order) is not None
    return desk.fresh(order)


def settle(order: Order, status: str, *trades: object, source: str = "stream") -> Order:
    own_id = trades[0].venue_order_id if trades else 900  # type: ignore[attr-defined]
    report = report_of(order, status, trades, venue_order_id=own_id)  # type: ignore[arg-type]
    return order_settle(order_id=order.pk, report=report, trades=trades, source=source)  # type: ignore[arg-type]


def ledger_sums() -> dict[tuple[str, str], Decimal]:
    sums: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for entry in LedgerEntry.objects.all():
        sums[entry.transaction, entry.asset] += entry.amount
    return sums


def test_an_order_told_by_three_sources_is_booked_once(desk: Desk) -> None:
    """The earlier system booked 0.01 for a buy of 0.005 and left 9799.9 of 9899.9 (W1)."""
    order = sending(desk, "BUY", "0.005", price="60010")
    trade = trade_of(order, 1, "0.005", "60000", fee="0.3")
    for source in ("response", "stream", "query", "sweep"):
        settle(order, "FILLED", trade, source=source)
    assert desk.position().quantity == Decimal("0.005")
    assert desk.balance("USDT").amount == Decimal(100_000) - 300 - Decimal("0.3")
    assert Fill.objects.count() == 1


def test_an_ioc_order_that_expired_without_a_fill_books_nothing(desk: Desk) -> None:
    """The earlier system booked it as fully filled (W2)."""
    order = sending(desk, "BUY", "0.01", type="MARKET")
    settled = settle(order, "EXPIRED")
    assert settled.status == "EXPIRED"
    assert desk.position().quantity == 0
    assert desk.balance("USDT").amount == 100_000
    assert desk.held_amounts() == {}
    assert not Fill.objects.exists()


def test_what_is_left_of_an_ioc_order_is_given_back_when_it_expires(desk: Desk) -> None:
    order = sending(desk, "BUY", "0.01", type="MARKET", price=None)
    settled = settle(order, "EXPIRED", trade_of(order, 1, "0.004", "60010"))
    assert (settled.status, settled.executed_quantity) == ("EXPIRED", Decimal("0.004"))
    carried = (settled.price * Decimal("0.01") * Decimal("0.4")).quantize(Decimal("1E-8"))
    assert ExposureBucket.objects.get(scope="global:desk").used == carried
    assert set(desk.held_amounts()) == {
        "bucket symbol:desk:BTCUSDT",
        "bucket account:desk",
        "bucket global:desk",
    }


def test_equity_after_a_buy_at_the_middle_is_what_it_was_before(desk: Desk) -> None:
    """Cash plus the value held, never cash plus unrealised (W3): 100000 stays 100000."""
    order = sending(desk, "BUY", "0.01")
    settle(order, "FILLED", trade_of(order, 1, "0.01", "60000"))
    account = desk.account
    worth = worth_by_account([account], account.balances.all(), [desk.position()], marks_read())[account.pk]
    assert worth.cash == 99_400
    assert worth.equity == 100_000


def test_the_average_price_is_that_of_all_partial_fills_and_the_commission_the_real_one(desk: Desk) -> None:
    order = sending(desk, "BUY", "0.01", price="60010")
    trades = [
        trade_of(order, 1, "0.002", "60000", fee="0.12"),
        trade_of(order, 2, "0.003", "60005", fee="0.18"),
        trade_of(order, 3, "0.005", "60010", fee="0.30"),
    ]
    settled = settle(order, "FILLED", *trades)
    spent = Decimal("120") + Decimal("180.015") + Decimal("300.05")
    assert settled.executed_quote == spent
    position = desk.position()
    assert (position.cost, position.commission) == (spent, Decimal("0.60"))
    assert desk.balance("USDT").amount == 100_000 - spent - Decimal("0.60")


def test_commission_in_the_base_asset_leaves_less_of_it_and_costs_what_it_is_worth(desk: Desk) -> None:
    order = sending(desk, "BUY", "0.01")
    settle(order, "FILLED", trade_of(order, 1, "0.01", "60000", fee="0.00001", fee_asset="BTC"))
    assert desk.position().quantity == desk.balance("BTC").amount == Decimal("0.00999")
    assert desk.position().commission == Decimal("0.6")


def test_commission_in_a_third_asset_is_valued_at_its_own_price(desk: Desk) -> None:
    desk.account.balances.create(asset="BNB", amount=1)
    order = sending(desk, "BUY", "0.01")
    settle(order, "FILLED", trade_of(order, 1, "0.01", "60000", fee="0.001", fee_asset="BNB"))
    assert desk.balance("BNB").amount == Decimal("0.999")
    assert desk.position().quantity == Decimal("0.01")
    assert Fill.objects.get().commission_quote == Decimal("0.6")  # the middle of 599 and 601


def test_a_sale_that_pays_commission_in_what_it_sells_leaves_no_exposure_behind(desk: Desk) -> None:
    """BNBUSDT with commission in BNB: the last of it goes as commission, and the position is flat."""
    buy = sending(desk, "BUY", "1.001", symbol="BNBUSDT", price="600")
    settle(buy, "FILLED", trade_of(buy, 1, "1.001", "600"))
    sell = sending(desk, "SELL", "1", symbol="BNBUSDT", price="600")
    settle(sell, "FILLED", trade_of(sell, 2, "1", "600", fee="0.001", fee_asset="BNB", venue_order_id=901))
    position = desk.position("BNBUSDT")
    assert (position.quantity, position.carried_notional, position.carried_by) == (0, 0, {})
    assert desk.held_amounts() == {}


def test_every_ledger_transaction_sums_to_zero_in_every_asset(desk: Desk) -> None:
    for number, asset in enumerate(("USDT", "BTC", "BNB"), 1):
        order = sending(desk, "BUY", "0.01")
        trade = trade_of(
            order, number, "0.01", "60000", fee="0.000001", fee_asset=asset, venue_order_id=900 + number
        )
        report = report_of(order, "FILLED", [trade], venue_order_id=900 + number)
        order_settle(order_id=order.pk, report=report, trades=[trade], source="stream")
    sums = ledger_sums()
    assert len([key for key in sums if key[0].startswith("fill:")]) == 3 * 2 + 1
    assert set(sums.values()) == {Decimal(0)}


def test_a_position_is_the_fold_of_its_fills(desk: Desk) -> None:
    plan = [("BUY", "0.01", "60000"), ("BUY", "0.007", "60003.33"), ("SELL", "0.0123", "60011.11")]
    for number, (side, quantity, price) in enumerate(plan, 1):
        order = sending(desk, side, quantity, price=price)
        trade = trade_of(order, number, quantity, price, fee="0.0123", venue_order_id=number)
        report = report_of(order, "FILLED", [trade], venue_order_id=number)
        order_settle(order_id=order.pk, report=report, trades=[trade], source="stream")
    domain = desk.btc.to_domain()
    fold = portfolio.fold(
        [
            (
                DomainFill(
                    trade_id=f.trade_id,
                    symbol="BTCUSDT",
                    side=Side(f.side),
                    price=domain.ticks(f.price),
                    quantity=domain.steps(f.quantity),
                    quote=to_units(f.quote_quantity),
                    fee=to_units(f.commission),
                    fee_asset=f.commission_asset,
                    maker=f.maker,
                    time_ms=0,
                ),
                to_units(f.commission_quote),
            )
            for f in Fill.objects.order_by("pk")
        ],
        domain,
    )
    row = desk.position()
    assert (row.quantity, row.cost, row.realized, row.commission) == tuple(
        from_units(units) for units in (fold.quantity, fold.cost, fold.realized, fold.fees)
    )
    assert row.quantity == Decimal("0.0047")
    assert desk.balance("BTC").amount == row.quantity


def test_an_end_told_ahead_of_its_fills_keeps_the_order_open_until_they_come(desk: Desk) -> None:
    order = sending(desk, "BUY", "0.01", price="60010")
    trade = trade_of(order, 1, "0.004", "60000")
    told = order_settle(
        order_id=order.pk, report=report_of(order, "CANCELED", [trade]), trades=[], source="stream"
    )
    assert (told.ended_at, told.executed_quantity) == (None, 0)
    assert desk.held_amounts()["open_buy BTCUSDT"] == Decimal("0.01")
    after = order_settle(order_id=order.pk, report=None, trades=[trade], source="sweep")
    assert (after.status, after.executed_quantity) == ("CANCELED", Decimal("0.004"))
    assert "open_buy BTCUSDT" not in desk.held_amounts()


def test_a_cancel_that_comes_too_late_leaves_the_order_filled(desk: Desk) -> None:
    order = sending(desk, "BUY", "0.01", price="60010")
    trade = trade_of(order, 1, "0.01", "60000")
    settle(order, "FILLED", trade)
    order_settle(order_id=order.pk, report=report_of(order, "NEW"), trades=[], source="query")
    assert desk.fresh(order).status == "FILLED"


def test_more_executed_than_ordered_is_never_booked(desk: Desk) -> None:
    order = sending(desk, "BUY", "0.01")
    with pytest.raises(InvariantViolation):
        settle(order, "FILLED", trade_of(order, 1, "0.011", "60000"))


def absent(desk: Desk, quantity: str = "0.01") -> Order:
    """An order proven absent, while another one of the same symbol still waits."""
    from trading.services.execution.resolve import _absent
    from trading.services.execution.send import order_unknown

    order = sending(desk, "BUY", quantity, price="60010")
    order_unknown(order_id=order.pk, message="lost")
    _absent(order.pk)
    return desk.fresh(order)


def test_an_order_proven_absent_that_landed_is_booked_and_takes_nothing_from_another(desk: Desk) -> None:
    waiting = desk.send(desk.submit("BUY", "0.02", price="59000"))
    order = absent(desk)
    held = desk.held_amounts()
    settled = settle(order, "FILLED", trade_of(order, 1, "0.01", "60000"))
    assert settled.status == "FILLED"
    assert desk.position().quantity == Decimal("0.01")
    assert desk.position().open_buy == waiting.quantity
    assert desk.balance("USDT").reserved == held["reserved USDT"]
    assert desk.held_amounts()["bucket global:desk"] == held["bucket global:desk"] + Decimal("600.10")


def test_a_trade_of_an_order_that_was_over_is_booked_and_takes_nothing_from_another(desk: Desk) -> None:
    """The venue contradicts itself: it said canceled with nothing executed. A real fill is booked all the same."""
    waiting = desk.send(desk.submit("BUY", "0.02", price="59000"))
    order = sending(desk, "BUY", "0.01", price="60010")
    assert settle(order, "CANCELED").status == "CANCELED"
    order_settle(
        order_id=order.pk, report=None, trades=[trade_of(order, 1, "0.004", "60000")], source="sweep"
    )
    assert desk.position().quantity == Decimal("0.004")
    assert desk.position().open_buy == waiting.quantity


@pytest.mark.parametrize("end", ["EXPIRED", "CANCELED"])
def test_a_late_landing_without_a_fill_gives_back_only_what_it_takes(desk: Desk, end: str) -> None:
    desk.send(desk.submit("BUY", "0.02", price="59000"))
    order = absent(desk)
    held = desk.held_amounts()
    assert settle(order, end).status == end
    assert desk.held_amounts() == held


def test_a_late_landing_that_rests_holds_its_reservation_again(desk: Desk) -> None:
    order = absent(desk)
    assert desk.held_amounts() == {}
    assert settle(order, "NEW").status == "NEW"
    assert desk.held_amounts()["bucket global:desk"] == Decimal("600.10")
    assert desk.held_amounts()["open_buy BTCUSDT"] == Decimal("0.01")
    settle(order, "CANCELED")
    assert desk.held_amounts() == {}


def test_a_late_landing_beyond_a_cap_lets_the_account_only_reduce(
    desk: Desk, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    order = absent(desk)
    ExposureBucket.objects.filter(scope="global:desk").update(cap=100)
    with django_capture_on_commit_callbacks(execute=True):
        settle(order, "NEW")
    from trading.models import TradingState

    assert TradingState.objects.get(scope="account:desk").level == 1


def test_a_late_landing_is_found_by_the_watch_on_absent_orders(desk: Desk) -> None:
    order = absent(desk)
    desk.venue.place(desk_order(order), timestamp_ms=desk.venue.now_ms, recv_window_ms=2000)
    assert late_landings_check(account_id=desk.account.pk, venue=desk.venue) == 1
    assert desk.fresh(order).status == "FILLED"


def desk_order(order: Order):  # type: ignore[no-untyped-def]
    from trading.services.execution.authorise import venue_order

    return venue_order(order)


def test_amounts_with_nine_decimals_are_booked_as_the_venue_keeps_them() -> None:
    """0.03457 x 0.0123 = 0.000425211 has nine; the venue's own trade list says 0.00042521."""
    from trading.adapters.binance.parse import parse_order

    answer = {
        "symbol": "ETHBTC", "side": "BUY", "orderId": 7, "clientOrderId": "a", "type": "LIMIT",
        "timeInForce": "GTC", "price": "0.03457000", "origQty": "0.01230000", "executedQty": "0.01230000",
        "cummulativeQuoteQty": "0.00042521", "status": "FILLED", "transactTime": 1,
        "fills": [{"tradeId": 1, "price": "0.03457000", "qty": "0.01230000", "commission": "0",
                   "commissionAsset": "BNB"}],
    }  # fmt: skip
    (fill,) = parse_order(answer).fills
    assert fill.quote_quantity == Decimal("0.00042521")
    assert to_units(fill.quote_quantity) == 42521
