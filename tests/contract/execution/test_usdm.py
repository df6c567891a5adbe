"""The FuturesVenue port over the real client, against the paper exchange run as a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.contract.execution.futures_orders import ONE, below, conditional, far, opened, recorded
from tests.factories.exchange import FuturesExchange
from trading.adapters.binance import usdm
from trading.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from trading.domain.values import OrderService, OrderType, PositionSide, Side, WorkingType


@pytest.fixture
def exchange(url: str) -> Iterator[FuturesExchange]:
    running = FuturesExchange(url)
    yield running
    running.control("DELETE", "/faults")
    for order in running.venue.open_orders("BTCUSDT"):
        running.venue.cancel(order.symbol, client_order_id=order.client_order_id)


def test_an_order_that_takes_has_its_fills_in_the_trade_list_and_its_costs_in_the_income(
    exchange: FuturesExchange,
) -> None:
    report = opened(exchange)
    assert (report.status, report.executed_quantity, report.fills) == ("FILLED", Decimal("0.010"), ())
    trades = exchange.venue.trades("BTCUSDT", from_id=None, start_ms=None)
    assert sum(t.quantity for t in trades) == report.executed_quantity
    assert {t.venue_order_id for t in trades} == {report.venue_order_id}
    assert all(t.realized == 0 and t.position_side is PositionSide.BOTH for t in trades)
    assert sum(t.quote_quantity for t in trades) == report.cumulative_quote
    income = exchange.venue.income(start_ms=0)
    assert income[0].kind == "TRANSFER"
    paid = [row for row in income if row.kind == "COMMISSION"]
    assert {row.trade_id: -row.amount for row in paid} == {t.trade_id: t.commission for t in trades}
    (wallet,) = exchange.venue.balances()
    assert wallet.free + wallet.locked == sum(row.amount for row in income)
    assert wallet.available is not None
    assert wallet.available < wallet.free, "the position ties up margin"
    (held,) = exchange.venue.positions(None)
    assert (held.symbol, held.quantity, held.position_side) == (
        "BTCUSDT",
        Decimal("0.010"),
        PositionSide.BOTH,
    )
    assert held.maintenance_margin > 0
    assert not held.isolated
    assert exchange.venue.positions("BTCUSDT") == [held]


def test_the_result_of_a_position_is_told_with_the_trades_that_closed_it(exchange: FuturesExchange) -> None:
    opened(exchange)
    opened(exchange, side=Side.SELL, reduce_only=True)
    assert exchange.venue.positions(None) == []
    trades = exchange.venue.trades("BTCUSDT", from_id=None, start_ms=None)
    realized = sum((t.realized or Decimal(0)) for t in trades)
    gained = sum(t.quote_quantity * -t.side.sign for t in trades)
    assert realized == gained
    rows = exchange.venue.income(start_ms=0)
    assert sum(r.amount for r in rows if r.kind == "REALIZED_PNL") == realized
    assert len({r.transaction_id for r in rows}) == len(rows)


def test_an_order_that_rests_is_listed_found_amended_and_canceled_once(exchange: FuturesExchange) -> None:
    order = exchange.order()
    placed = exchange.place(order)
    assert (placed.status, placed.service, placed.type) == ("NEW", OrderService.ORDER, "LIMIT")
    assert [o.client_order_id for o in exchange.venue.open_orders(None)] == [order.client_order_id]
    found = exchange.venue.query("BTCUSDT", client_order_id=order.client_order_id)
    assert found is not None
    assert exchange.venue.query_by_id("BTCUSDT", found.venue_order_id) == found
    amended = exchange.venue.amend(
        replace(order, quantity=Decimal("0.009")),
        timestamp_ms=exchange.venue.server_time_ms(),
        recv_window_ms=2000,
    )
    assert (amended.quantity, amended.client_order_id) == (Decimal("0.009"), order.client_order_id)
    canceled = exchange.venue.cancel("BTCUSDT", client_order_id=order.client_order_id)
    assert canceled is not None
    assert (canceled.status, canceled.client_order_id) == ("CANCELED", order.client_order_id)
    assert exchange.venue.cancel("BTCUSDT", client_order_id=order.client_order_id) is None
    assert exchange.venue.open_orders("BTCUSDT") == []


def test_post_only_goes_out_as_gtx_and_comes_back_as_the_type_it_is(exchange: FuturesExchange) -> None:
    order = replace(exchange.order(), type=OrderType.LIMIT_MAKER, time_in_force=None)
    placed = exchange.place(order)
    assert (placed.type, placed.time_in_force, placed.status) == ("LIMIT_MAKER", "GTC", "NEW")
    taking = replace(
        exchange.order(price=(exchange.touch()[1] * Decimal("1.01")).quantize(ONE)),
        type=OrderType.LIMIT_MAKER,
    )
    assert exchange.place(taking).status == "EXPIRED"


def test_only_does_not_exist_in_both_services_is_an_absence(exchange: FuturesExchange) -> None:
    assert exchange.venue.query("BTCUSDT", client_order_id="never") is None
    assert exchange.venue.query_algo("BTCUSDT", 999_999_999) is None
    exchange.fault("/fapi/v1/algoOrder", "GET", error_before={"status": 400, "code": -1000})
    with pytest.raises((VenueRejected, VenueUnavailable)):
        exchange.venue.query("BTCUSDT", client_order_id="never")


def test_every_conditional_type_waits_in_the_service_of_its_own(exchange: FuturesExchange) -> None:
    opened(exchange)
    low, high = below(exchange, "0.95"), below(exchange, "1.05")
    mark = WorkingType.MARK_PRICE
    orders = [
        conditional(exchange, OrderType.STOP_MARKET, stop=low, reduce_only=True, working_type=mark),
        conditional(exchange, OrderType.STOP_LIMIT, stop=low, price=low - 10, reduce_only=True),
        conditional(exchange, OrderType.TAKE_PROFIT_MARKET, stop=high, reduce_only=True),
        conditional(exchange, OrderType.TAKE_PROFIT_LIMIT, stop=high, price=high, reduce_only=True),
        conditional(exchange, OrderType.TRAILING_STOP_MARKET, stop=high, callback_bps=55),
        conditional(exchange, OrderType.STOP_MARKET, stop=low, close_position=True),
    ]
    placed = [exchange.place(order) for order in orders]
    assert {o.service for o in placed} == {OrderService.ALGO}
    assert [o.type for o in placed] == [o.type.value for o in orders]
    assert [o.stop_price for o in placed] == [o.stop_price for o in orders]
    assert all(o.venue_order_id == 0 and o.algo_id and not o.triggered and o.status == "NEW" for o in placed)
    assert {o.client_order_id for o in exchange.venue.open_orders("BTCUSDT")} == {
        o.client_order_id for o in orders
    }
    for order, report in zip(orders, placed, strict=True):
        found = exchange.venue.query("BTCUSDT", client_order_id=order.client_order_id)
        assert found is not None
        assert (found.algo_id, found.type) == (report.algo_id, order.type.value)
        assert exchange.venue.query_algo("BTCUSDT", report.algo_id or 0) == found
        canceled = exchange.venue.cancel("BTCUSDT", client_order_id=order.client_order_id)
        assert canceled is not None
        assert canceled.status == "CANCELED"
        assert exchange.venue.cancel("BTCUSDT", client_order_id=order.client_order_id) is None
        ended = exchange.venue.query("BTCUSDT", client_order_id=order.client_order_id)
        assert ended is not None
        assert ended.status == "CANCELED"


def test_the_callback_of_a_trailing_stop_is_sent_in_percent(
    exchange: FuturesExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = recorded(exchange, monkeypatch)
    exchange.place(
        conditional(
            exchange, OrderType.TRAILING_STOP_MARKET, stop=None, callback_bps=125, quantity=Decimal("0.01")
        )
    )
    assert parse_qs(bodies[-1])["callbackRate"] == ["1.25"]


def test_a_conditional_order_that_triggers_is_followed_to_the_order_it_became(
    exchange: FuturesExchange,
) -> None:
    opened(exchange)
    bid, _ = exchange.touch()
    stop = (bid * Decimal("0.999")).quantize(ONE)
    order = conditional(
        exchange,
        OrderType.STOP_MARKET,
        stop=stop,
        reduce_only=True,
        working_type=WorkingType.CONTRACT_PRICE,
    )
    placed = exchange.place(order)
    exchange.drive((1, bid * Decimal("0.99")), (30, bid * Decimal("0.99")), market="usdm", seconds=8)
    found = exchange.venue.query("BTCUSDT", client_order_id=order.client_order_id)
    assert found is not None
    assert (found.status, found.executed_quantity, found.type) == ("FILLED", order.quantity, "STOP_MARKET")
    assert found.triggered
    assert found.venue_order_id > 0
    followed = exchange.venue.query_algo("BTCUSDT", placed.algo_id or 0)
    assert followed is not None
    assert (followed.venue_order_id, followed.status) == (found.venue_order_id, "FILLED")
    assert (followed.algo_id, followed.triggered) == (placed.algo_id, True)
    assert exchange.venue.cancel("BTCUSDT", client_order_id=order.client_order_id) is None
    assert exchange.venue.positions(None) == []
    closed = [t for t in exchange.venue.trades("BTCUSDT", from_id=None, start_ms=None) if t.side is Side.SELL]
    assert {t.venue_order_id for t in closed} == {found.venue_order_id}
    assert sum(t.realized or 0 for t in closed) < 0


def test_a_triggered_order_that_rests_is_canceled_by_its_own_id(exchange: FuturesExchange) -> None:
    opened(exchange)
    bid, _ = exchange.touch()
    stop = (bid * Decimal("0.999")).quantize(ONE)
    order = conditional(
        exchange,
        OrderType.STOP_LIMIT,
        stop=stop,
        price=(bid * Decimal("1.03")).quantize(ONE),
        reduce_only=True,
        working_type=WorkingType.CONTRACT_PRICE,
    )
    exchange.place(order)
    exchange.drive((1, bid * Decimal("0.99")), (30, bid * Decimal("0.99")), market="usdm", seconds=8)
    (working,) = exchange.venue.open_orders("BTCUSDT")
    assert (working.client_order_id, working.triggered) == (order.client_order_id, True)
    assert working.venue_order_id > 0
    canceled = exchange.venue.cancel("BTCUSDT", client_order_id=order.client_order_id)
    assert canceled is not None
    assert (canceled.status, canceled.type) == ("CANCELED", "STOP_LIMIT")
    assert exchange.venue.open_orders("BTCUSDT") == []


def test_a_stop_that_would_trigger_at_once_is_refused_definitively(exchange: FuturesExchange) -> None:
    with pytest.raises(VenueRejected) as refused:
        exchange.place(conditional(exchange, OrderType.STOP_MARKET, stop=below(exchange, "1.05")))
    assert refused.value.code == -2021


def test_a_reducing_order_without_a_position_is_refused_definitively(exchange: FuturesExchange) -> None:
    with pytest.raises(VenueRejected) as refused:
        exchange.place(replace(exchange.order(), reduce_only=True))
    assert refused.value.code == -2022


def test_more_than_the_margin_is_refused_and_leverage_changes_what_is_enough(
    exchange: FuturesExchange,
) -> None:
    assert exchange.venue.set_leverage("BTCUSDT", 2) == 2
    mode = exchange.venue.mode()
    assert (mode.hedge, mode.multi_assets, mode.leverage["BTCUSDT"], mode.isolated["BTCUSDT"]) == (
        False,
        False,
        2,
        False,
    )
    lowest, second, *_ = mode.brackets["BTCUSDT"]
    # 50,000 x (0.5 % - 0.4 %) is what the second step deducts, so that the table has no jump
    assert (lowest.cap, lowest.rate, lowest.deducted) == (50_000, Decimal("0.004"), 0)
    assert (second.cap, second.rate, second.deducted) == (250_000, Decimal("0.005"), 50)
    with pytest.raises(VenueRejected) as refused:
        exchange.place(exchange.order(quantity="10"))
    assert refused.value.code == -2019


def test_isolated_margin_is_told_with_the_position(exchange: FuturesExchange) -> None:
    exchange.venue.set_isolated("BTCUSDT", True)
    exchange.venue.set_isolated("BTCUSDT", True)  # no need to change is no failure
    opened(exchange)
    (held,) = exchange.venue.positions("BTCUSDT")
    assert held.isolated
    assert held.liquidation_price is not None
    assert held.liquidation_price < held.entry_price


def test_hedge_mode_holds_both_sides_and_refuses_orders_of_the_other_mode(exchange: FuturesExchange) -> None:
    exchange.venue.set_hedge(True)
    exchange.venue.set_hedge(True)
    assert exchange.venue.mode().hedge
    with pytest.raises(VenueRejected) as refused:
        exchange.place(exchange.order())
    assert refused.value.code == -4061
    opened(exchange, position_side=PositionSide.LONG)
    opened(exchange, "0.020", side=Side.SELL, position_side=PositionSide.SHORT)
    held = {p.position_side: p.quantity for p in exchange.venue.positions(None)}
    assert held == {PositionSide.LONG: Decimal("0.010"), PositionSide.SHORT: Decimal("-0.020")}
    sides = {t.position_side for t in exchange.venue.trades("BTCUSDT", from_id=None, start_ms=None)}
    assert sides == {PositionSide.LONG, PositionSide.SHORT}
    # Closing a side is reducing by itself; reduceOnly is not sent.
    closed = opened(exchange, side=Side.SELL, position_side=PositionSide.LONG, reduce_only=True)
    assert (closed.status, closed.position_side) == ("FILLED", PositionSide.LONG)
    stop = conditional(
        exchange,
        OrderType.STOP_MARKET,
        Side.BUY,
        stop=below(exchange, "1.05"),
        position_side=PositionSide.SHORT,
        close_position=True,
    )
    assert exchange.place(stop).position_side is PositionSide.SHORT


def test_the_countdown_cancels_unless_it_is_renewed(exchange: FuturesExchange) -> None:
    exchange.place(exchange.order())
    exchange.venue.countdown_cancel("BTCUSDT", countdown_ms=60_000)
    exchange.venue.countdown_cancel("BTCUSDT", countdown_ms=0)
    exchange.advance(1)
    assert len(exchange.venue.open_orders("BTCUSDT")) == 1
    exchange.venue.countdown_cancel("BTCUSDT", countdown_ms=300)
    deadline = time.monotonic() + 20
    while exchange.venue.open_orders("BTCUSDT") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert exchange.venue.open_orders("BTCUSDT") == []


def test_key_permissions_and_commission_come_from_the_venue(exchange: FuturesExchange) -> None:
    permissions = exchange.venue.key_permissions()
    assert permissions is not None
    assert permissions["enableFutures"]
    assert not permissions["enableWithdrawals"]
    assert exchange.venue.commission_rates("BTCUSDT") == (Decimal("0.0002"), Decimal("0.0005"))


@pytest.mark.parametrize("service", list(OrderService))
def test_time_stamp_and_window_on_the_wire_are_the_stored_ones(
    exchange: FuturesExchange, monkeypatch: pytest.MonkeyPatch, service: OrderService
) -> None:
    bodies = recorded(exchange, monkeypatch)
    stamp = exchange.venue.server_time_ms() - 321
    order = far(exchange, waiting=service is OrderService.ALGO)
    exchange.venue.place(order, timestamp_ms=stamp, recv_window_ms=1987)
    (body,) = bodies
    sent = parse_qs(body)
    assert (sent["timestamp"], sent["recvWindow"]) == ([str(stamp)], ["1987"])
    name = "newClientOrderId" if service is OrderService.ORDER else "clientAlgoId"
    assert sent[name] == [order.client_order_id]


def test_a_request_that_is_too_old_is_refused_and_nothing_is_placed(exchange: FuturesExchange) -> None:
    with pytest.raises(VenueRejected) as refused:
        exchange.venue.place(
            exchange.order(), timestamp_ms=exchange.venue.server_time_ms() - 2_500, recv_window_ms=2000
        )
    assert refused.value.code == -1021
    assert exchange.venue.open_orders("BTCUSDT") == []


@pytest.mark.parametrize("path", ["/fapi/v1/order", "/fapi/v1/algoOrder"])
@pytest.mark.parametrize(
    ("effect", "kind", "placed"),
    [
        ({"error_after": "drop"}, OutcomeUnknown, True),
        ({"error_after": {"status": 503, "code": -1000}}, OutcomeUnknown, True),
        ({"error_after": {"status": 408, "code": -1007}}, OutcomeUnknown, True),
        ({"error_before": {"status": 500, "code": -1001}}, OutcomeUnknown, False),
        ({"error_before": {"status": 503, "code": -1008}}, VenueUnavailable, False),
        ({"error_before": {"status": 400, "code": -4164}}, VenueRejected, False),
        ({"error_before": {"status": 400, "code": -5022}}, VenueRejected, False),
    ],
)
def test_an_answer_that_proves_nothing_is_unknown_and_the_order_is_sent_once(
    exchange: FuturesExchange, path: str, effect: dict[str, Any], kind: type[Exception], placed: bool
) -> None:
    exchange.fault(path, "POST", **effect)
    order = far(exchange, waiting=path.endswith("algoOrder"))
    with pytest.raises(kind) as failed:
        exchange.place(order)
    if isinstance(failed.value, OutcomeUnknown):
        assert failed.value.client_order_id == order.client_order_id
    listed = [o.client_order_id for o in exchange.venue.open_orders("BTCUSDT")]
    assert listed == ([order.client_order_id] if placed else [])
    found = exchange.venue.query("BTCUSDT", client_order_id=order.client_order_id)
    assert (found is not None) is placed


@pytest.mark.parametrize("path", ["/fapi/v1/order", "/fapi/v1/algoOrder"])
def test_a_lost_answer_to_a_cancel_is_asked_for_again(exchange: FuturesExchange, path: str) -> None:
    order = far(exchange, waiting=path.endswith("algoOrder"))
    exchange.place(order)
    exchange.fault(path, "DELETE", error_after="drop")
    exchange.venue.cancel("BTCUSDT", client_order_id=order.client_order_id)
    found = exchange.venue.query("BTCUSDT", client_order_id=order.client_order_id)
    assert found is not None
    assert found.status == "CANCELED"


def test_the_trade_list_is_read_to_its_end_by_id_and_by_time(
    exchange: FuturesExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        opened(exchange, "0.002")
    everything = exchange.venue.trades("BTCUSDT", from_id=1, start_ms=None)
    ids = [t.trade_id for t in everything]
    assert len(ids) >= 5
    assert ids == sorted(set(ids))
    monkeypatch.setattr(usdm, "_ROWS_PER_CALL", 2)
    assert exchange.venue.trades("BTCUSDT", from_id=1, start_ms=None) == everything
    assert exchange.venue.trades("BTCUSDT", from_id=None, start_ms=1) == everything
    # Windows of a day and less than a page each: a span the venue would cut is walked through.
    monkeypatch.setattr(usdm, "_ROWS_PER_CALL", 1000)
    start = everything[0].time_ms - 40 * 86_400_000
    assert exchange.venue.trades("BTCUSDT", from_id=None, start_ms=start) == everything


def test_the_income_is_read_to_its_end_by_pages(
    exchange: FuturesExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        opened(exchange, "0.002")
    everything = exchange.venue.income(start_ms=0)
    assert len(everything) >= 4
    monkeypatch.setattr(usdm, "_ROWS_PER_CALL", 2)
    assert exchange.venue.income(start_ms=0) == everything
    assert exchange.venue.income(start_ms=everything[-1].time_ms + 1) == []
