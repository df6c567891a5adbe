"""Conditional orders, lists and amendments on spot, against the paper exchange run as a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.factories.exchange import Exchange
from trading.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from trading.domain.ports import OrderListReport, VenueOrder, VenueOrderList
from trading.domain.values import ListKind, OrderType, Side, TimeInForce

ONE = Decimal(1)


@pytest.fixture
def exchange(url: str) -> Iterator[Exchange]:
    running = Exchange(url)
    yield running
    running.control("DELETE", "/faults")
    for order in running.venue.open_orders(None):
        running.venue.cancel(order.symbol, client_order_id=order.client_order_id)


def leg(
    exchange: Exchange,
    kind: OrderType,
    side: Side = Side.SELL,
    *,
    price: Decimal | None = None,
    stop: Decimal | None = None,
    callback: int | None = None,
) -> VenueOrder:
    return replace(
        exchange.order(),
        type=kind,
        side=side,
        time_in_force=TimeInForce.GTC if price and kind is not OrderType.LIMIT_MAKER else None,
        price=price,
        stop_price=stop,
        callback_bps=callback,
    )


def near(exchange: Exchange, share: str) -> Decimal:
    return (exchange.touch()[0] * Decimal(share)).quantize(ONE)


def placed(exchange: Exchange, orders: VenueOrderList) -> OrderListReport:
    report: OrderListReport = exchange.venue.place_list(
        orders, timestamp_ms=exchange.venue.server_time_ms(), recv_window_ms=2000
    )
    return report


def oco(exchange: Exchange) -> VenueOrderList:
    above = leg(exchange, OrderType.LIMIT_MAKER, price=near(exchange, "1.05"))
    below = leg(exchange, OrderType.STOP_MARKET, stop=near(exchange, "0.95"))
    return VenueOrderList(ListKind.OCO, "BTCUSDT", f"L{above.client_order_id}", (above, below))


@pytest.mark.parametrize(
    ("kind", "stop", "limit", "callback"),
    [
        (OrderType.STOP_MARKET, "0.95", None, None),
        (OrderType.STOP_LIMIT, "0.95", "0.94", None),
        (OrderType.TAKE_PROFIT_MARKET, "1.05", None, None),
        (OrderType.TAKE_PROFIT_LIMIT, "1.05", "1.05", None),
        (OrderType.TRAILING_STOP_MARKET, None, None, 100),
    ],
)
def test_a_conditional_order_waits_under_the_kernels_name_until_it_is_canceled(
    exchange: Exchange, kind: OrderType, stop: str | None, limit: str | None, callback: int | None
) -> None:
    order = leg(
        exchange,
        kind,
        price=near(exchange, limit) if limit else None,
        stop=near(exchange, stop) if stop else None,
        callback=callback,
    )
    for report in (
        exchange.place(order),
        exchange.venue.query("BTCUSDT", client_order_id=order.client_order_id),
        exchange.venue.open_orders("BTCUSDT")[0],
        exchange.venue.cancel("BTCUSDT", client_order_id=order.client_order_id),
    ):
        assert (report.type, report.stop_price, report.triggered) == (kind.value, order.stop_price, False)
    assert exchange.venue.open_orders(None) == []


def test_a_stop_that_is_reached_sells_and_says_that_it_triggered(exchange: Exchange) -> None:
    bid, _ = exchange.touch()
    order = leg(exchange, OrderType.STOP_MARKET, stop=near(exchange, "0.999"))
    exchange.place(order)
    exchange.drive((1, bid * Decimal("0.99")), (30, bid * Decimal("0.99")), seconds=8)
    found = exchange.venue.query("BTCUSDT", client_order_id=order.client_order_id)
    assert (found.status, found.triggered, found.type) == ("FILLED", True, "STOP_MARKET")


def test_a_list_is_placed_found_and_canceled_as_a_whole(exchange: Exchange) -> None:
    orders = oco(exchange)
    report = placed(exchange, orders)
    assert [o.client_order_id for o in report.legs] == [o.client_order_id for o in orders.legs]
    assert [o.type for o in report.legs] == ["LIMIT_MAKER", "STOP_MARKET"]
    assert {o.venue_list_id for o in report.legs} == {report.venue_list_id}
    found = exchange.venue.query_list(client_list_id=orders.client_list_id)
    assert found.venue_list_id == report.venue_list_id
    assert {o.status for o in found.legs} == {"NEW"}
    canceled = exchange.venue.cancel_list("BTCUSDT", client_list_id=orders.client_list_id)
    assert {o.client_order_id: o.status for o in canceled.legs} == dict.fromkeys(
        (o.client_order_id for o in orders.legs), "CANCELED"
    )
    assert exchange.venue.cancel_list("BTCUSDT", client_list_id=orders.client_list_id) is None
    assert exchange.venue.query_list(client_list_id="never") is None


def test_the_cancel_of_one_order_cancels_its_list_and_answers_about_that_order(exchange: Exchange) -> None:
    orders = oco(exchange)
    placed(exchange, orders)
    for number in (1, 0):
        name = orders.legs[number].client_order_id
        canceled = exchange.venue.cancel("BTCUSDT", client_order_id=name)
        if number:
            assert (canceled.client_order_id, canceled.status) == (name, "CANCELED")
        else:
            assert canceled is None


def test_an_entry_with_its_protection_is_one_list_whose_stop_waits_for_the_entry(exchange: Exchange) -> None:
    _, ask = exchange.touch()
    entry = exchange.order(price=(ask * Decimal("1.005")).quantize(ONE))
    entry = replace(entry, time_in_force=TimeInForce.GTC)
    above = leg(
        exchange, OrderType.TAKE_PROFIT_LIMIT, price=near(exchange, "1.05"), stop=near(exchange, "1.049")
    )
    below = leg(exchange, OrderType.STOP_LIMIT, price=near(exchange, "0.94"), stop=near(exchange, "0.95"))
    small = [replace(order, quantity=Decimal("0.009")) for order in (above, below)]
    orders = VenueOrderList(ListKind.OTOCO, "BTCUSDT", f"L{entry.client_order_id}", (entry, *small))
    report = placed(exchange, orders)
    assert report.legs[0].status == "FILLED"
    assert sum(f.quantity for f in report.legs[0].fills) == entry.quantity
    found = exchange.venue.query_list(client_list_id=orders.client_list_id)
    states = {o.client_order_id: o.status for o in found.legs}
    assert states == {
        entry.client_order_id: "FILLED",
        above.client_order_id: "NEW",
        below.client_order_id: "NEW",
    }


def test_an_entry_that_rests_keeps_its_stop_pending(exchange: Exchange) -> None:
    entry = exchange.order()
    stop = replace(
        leg(exchange, OrderType.STOP_MARKET, stop=near(exchange, "0.8")), quantity=Decimal("0.009")
    )
    orders = VenueOrderList(ListKind.OTO, "BTCUSDT", f"L{entry.client_order_id}", (entry, stop))
    report = placed(exchange, orders)
    assert [o.status for o in report.legs] == ["NEW", "PENDING_NEW"]


@pytest.mark.parametrize(
    ("effect", "kind", "there"),
    [
        ({"error_after": "drop"}, OutcomeUnknown, True),
        ({"error_before": {"status": 500, "code": -1001}}, OutcomeUnknown, False),
        ({"error_before": {"status": 503, "code": -1008}}, VenueUnavailable, False),
        ({"error_before": {"status": 400, "code": -1165}}, VenueRejected, False),
    ],
)
def test_the_outcome_of_a_list_is_unknown_as_a_whole(
    exchange: Exchange, effect: dict[str, Any], kind: type[Exception], there: bool
) -> None:
    exchange.fault("/api/v3/orderList/oco", "POST", **effect)
    orders = oco(exchange)
    with pytest.raises(kind) as failed:
        placed(exchange, orders)
    if isinstance(failed.value, OutcomeUnknown):
        assert failed.value.client_order_id == orders.client_list_id
    found = exchange.venue.query_list(client_list_id=orders.client_list_id)
    assert (found is not None) is there
    assert len(exchange.venue.open_orders(None)) == (2 if there else 0)


def test_orders_that_make_no_list_are_not_sent(exchange: Exchange) -> None:
    orders = oco(exchange)
    uneven = (orders.legs[0], replace(orders.legs[1], quantity=Decimal("0.02")))
    with pytest.raises(ValueError, match="one quantity"):
        placed(exchange, replace(orders, legs=uneven))
    with pytest.raises(ValueError, match="has 2 orders"):
        placed(exchange, replace(orders, legs=orders.legs[:1]))


def test_an_amended_order_keeps_its_id_and_only_shrinks(exchange: Exchange) -> None:
    order = exchange.order()
    before = exchange.place(order)
    stamp = exchange.venue.server_time_ms()
    amended = exchange.venue.amend(
        replace(order, quantity=Decimal("0.006")), timestamp_ms=stamp, recv_window_ms=2000
    )
    assert (amended.client_order_id, amended.venue_order_id) == (order.client_order_id, before.venue_order_id)
    assert amended.quantity == Decimal("0.006")
    with pytest.raises(VenueRejected) as refused:
        exchange.venue.amend(
            replace(order, quantity=Decimal("0.007")), timestamp_ms=stamp, recv_window_ms=2000
        )
    assert refused.value.code == -2038
    found = exchange.venue.query("BTCUSDT", client_order_id=order.client_order_id)
    assert found.quantity == Decimal("0.006")
