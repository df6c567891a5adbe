"""The ExecutionVenue port over the real client, against the paper exchange run as a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.factories.exchange import Exchange
from trading.adapters.binance.spot import BinanceSpot
from trading.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from trading.domain.ports import VenueOrder
from trading.domain.values import OrderType, Side, TimeInForce
from universe.adapters.binance import SpotClient, endpoints_for


@pytest.fixture
def exchange(url: str) -> Iterator[Exchange]:
    running = Exchange(url)
    yield running
    running.control("DELETE", "/faults")


def test_an_order_that_takes_answers_with_its_fills_and_the_trade_list_says_the_same(
    exchange: Exchange,
) -> None:
    _, ask = exchange.touch()
    order = exchange.order(price=(ask * Decimal("1.005")).quantize(Decimal("1")))
    report = exchange.place(order)
    assert report.client_order_id == order.client_order_id
    assert report.executed_quantity == sum(f.quantity for f in report.fills)
    assert report.cumulative_quote == sum(f.quote_quantity for f in report.fills)
    listed = exchange.venue.trades("BTCUSDT", from_id=None, start_ms=None)
    facts = [
        (t.trade_id, t.price, t.quantity, t.quote_quantity, t.commission, t.commission_asset) for t in listed
    ]
    assert facts == [
        (f.trade_id, f.price, f.quantity, f.quote_quantity, f.commission, f.commission_asset)
        for f in report.fills
    ]
    balances = {b.asset: b.free + b.locked for b in exchange.venue.balances()}
    assert balances["USDT"] == 100_000 - report.cumulative_quote
    assert balances["BTC"] == 1 + report.executed_quantity - sum(f.commission for f in report.fills)


def test_an_order_that_rests_is_listed_found_and_canceled_once(exchange: Exchange) -> None:
    order = exchange.order()
    placed = exchange.place(order)
    assert placed.status == "NEW"
    assert [o.client_order_id for o in exchange.venue.open_orders("BTCUSDT")] == [order.client_order_id]
    found = exchange.venue.query("BTCUSDT", client_order_id=order.client_order_id)
    assert found is not None
    assert exchange.venue.query_by_id("BTCUSDT", found.venue_order_id) == found
    canceled = exchange.venue.cancel("BTCUSDT", client_order_id=order.client_order_id)
    assert canceled is not None
    assert (canceled.status, canceled.client_order_id) == ("CANCELED", order.client_order_id)
    assert exchange.venue.cancel("BTCUSDT", client_order_id=order.client_order_id) is None
    assert exchange.venue.open_orders(None) == []


def test_only_does_not_exist_is_an_absence(exchange: Exchange) -> None:
    assert exchange.venue.query("BTCUSDT", client_order_id="never") is None
    with pytest.raises(VenueRejected):
        exchange.venue.query("NOSUCHUSDT", client_order_id="never")


def test_time_stamp_and_window_on_the_wire_are_the_stored_ones(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """python-binance writes its own timestamp and a window of 10000 unless it is kept from it."""
    bodies: list[str] = []
    original = exchange.client.session.request

    def record(method: str, address: str, **kwargs: Any) -> Any:
        bodies.append(kwargs["data"])
        return original(method, address, **kwargs)

    stamp = exchange.venue.server_time_ms() - 321
    order = exchange.order()
    monkeypatch.setattr(exchange.client.session, "request", record)
    exchange.venue.place(order, timestamp_ms=stamp, recv_window_ms=1987)
    (body,) = bodies
    sent = parse_qs(body)
    assert sent["timestamp"] == [str(stamp)]
    assert sent["recvWindow"] == ["1987"]
    assert sent["newClientOrderId"] == [order.client_order_id]


def test_a_request_that_is_too_old_is_refused_and_nothing_is_placed(exchange: Exchange) -> None:
    order = exchange.order()
    with pytest.raises(VenueRejected) as refused:
        exchange.venue.place(order, timestamp_ms=exchange.venue.server_time_ms() - 2_500, recv_window_ms=2000)
    assert refused.value.code == -1021
    assert exchange.venue.open_orders(None) == []


def test_more_than_the_balance_is_refused(exchange: Exchange) -> None:
    with pytest.raises(VenueRejected) as refused:
        exchange.place(exchange.order(quantity="5"))
    assert refused.value.code == -2010


@pytest.mark.parametrize(
    ("effect", "kind", "placed"),
    [
        ({"error_after": "drop"}, OutcomeUnknown, True),
        ({"error_after": {"status": 500, "code": -1000}}, OutcomeUnknown, True),
        ({"error_after": {"status": 503, "code": -1007}}, OutcomeUnknown, True),
        ({"error_before": {"status": 500, "code": -1001}}, OutcomeUnknown, False),
        ({"error_before": {"status": 503, "code": -1008}}, VenueUnavailable, False),
        ({"error_before": {"status": 400, "code": -2010}}, VenueRejected, False),
    ],
)
def test_an_answer_that_proves_nothing_is_unknown_and_the_order_is_sent_once(
    exchange: Exchange, effect: dict[str, Any], kind: type[Exception], placed: bool
) -> None:
    exchange.fault("/api/v3/order", "POST", **effect)
    order = exchange.order()
    with pytest.raises(kind):
        exchange.place(order)
    listed = [o.client_order_id for o in exchange.venue.open_orders(None)]
    assert listed == ([order.client_order_id] if placed else [])


def test_a_lost_answer_to_a_cancel_is_asked_for_again(exchange: Exchange) -> None:
    order = exchange.order()
    exchange.place(order)
    exchange.fault("/api/v3/order", "DELETE", error_after="drop")
    assert exchange.venue.cancel("BTCUSDT", client_order_id=order.client_order_id) is None
    found = exchange.venue.query("BTCUSDT", client_order_id=order.client_order_id)
    assert found is not None
    assert found.status == "CANCELED"


def test_a_ban_says_how_long_and_is_not_tried_again(exchange: Exchange) -> None:
    exchange.fault("/api/v3/order", "POST", rate_limit={"status": 429, "retry_after": 7})
    with pytest.raises(VenueUnavailable) as busy:
        exchange.place(exchange.order())
    assert busy.value.retry_after_s == 7
    asked = time.monotonic()
    with pytest.raises(VenueUnavailable):
        exchange.place(exchange_order_without_asking())
    assert time.monotonic() - asked < 0.5, "the client waits out a ban without asking the venue"


def exchange_order_without_asking() -> VenueOrder:
    return VenueOrder(
        "BTCUSDT", Side.BUY, OrderType.LIMIT, TimeInForce.GTC, Decimal("0.01"), Decimal(50000), "banned"
    )


def test_a_wrong_idea_of_the_venues_clock_is_corrected_by_a_read(exchange: Exchange) -> None:
    exchange.venue._offset_ms, exchange.venue._offset_at = -60_000, time.monotonic()
    assert exchange.venue.balances()
    assert abs(exchange.venue._offset_ms) < 1_000


def test_a_key_without_permission_to_trade_cannot_place(exchange: Exchange) -> None:
    key = exchange.control(
        "POST",
        f"/accounts/{exchange.account['account_id']}/keys",
        {"permissions": {"read": True, "trade": False, "withdraw": False, "ip_restricted": True}},
    )
    reader = BinanceSpot(
        SpotClient(
            endpoints_for("local", local_url=exchange.url),
            api_key=key["api_key"],
            api_secret=key["api_secret"],
        )
    )
    assert reader.balances()
    with pytest.raises(VenueRejected):
        reader.place(exchange.order(), timestamp_ms=reader.server_time_ms(), recv_window_ms=2000)


def test_the_trade_list_is_read_to_its_end_by_id(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    from trading.adapters.binance import spot

    monkeypatch.setattr(spot, "_TRADES_PER_CALL", 2)
    _, ask = exchange.touch()
    for _ in range(5):
        exchange.place(
            exchange.order(price=(ask * Decimal("1.005")).quantize(Decimal("1")), quantity="0.001")
        )
    trades = exchange.venue.trades("BTCUSDT", from_id=1, start_ms=None)
    ids = [t.trade_id for t in trades]
    assert len(ids) >= 5
    assert ids == sorted(set(ids))


def test_orders_in_any_state_are_listed_to_the_end_by_id(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trading.adapters.binance import spot

    monkeypatch.setattr(spot, "_ORDERS_PER_CALL", 2)
    placed = [exchange.place(exchange.order()) for _ in range(5)]
    exchange.venue.cancel("BTCUSDT", client_order_id=placed[2].client_order_id)
    found = exchange.venue.orders_since("BTCUSDT", from_id=placed[1].venue_order_id)
    assert [o.venue_order_id for o in found] == [o.venue_order_id for o in placed[1:]]
    assert [o.status for o in found] == ["NEW", "CANCELED", "NEW", "NEW"]
    newest = exchange.venue.orders_since("BTCUSDT", from_id=None)
    assert newest[-1].venue_order_id == placed[-1].venue_order_id
