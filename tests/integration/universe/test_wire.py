"""What goes out on the wire, byte for byte, and what the answers become."""

from __future__ import annotations

import hashlib
import hmac
import socket
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.universe.raw_server import http, raw_server
from trading.domain.errors import OutcomeUnknown, VenueRejected, VenueUnavailable
from universe.adapters.binance import BinanceSpotMarketData, Priority, SpotClient, endpoints_for
from universe.domain.calls import CallOutcome

KEY, SECRET = "the-key", "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
ORDER: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": Decimal("0.00001000"),
    "price": Decimal("60000.10"),
    "newClientOrderId": "abcdefghij234567",
}


def client(url: str, **options: Any) -> SpotClient:
    return SpotClient(endpoints_for("local", local_url=url), api_key=KEY, api_secret=SECRET, **options)


def place(made: SpotClient) -> Any:
    return made.signed_request(
        "POST", "/api/v3/order", ORDER, timestamp_ms=1_499_827_319_559, recv_window_ms=2000
    )


def test_an_order_goes_out_with_exactly_our_timestamp_window_and_plain_decimals() -> None:
    with raw_server(http("200 OK", '{"orderId": 7}')) as server:
        assert place(client(server.url)) == {"orderId": 7}
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    payload = (
        "newClientOrderId=abcdefghij234567&price=60000.1&quantity=0.00001&recvWindow=2000&side=BUY"
        "&symbol=BTCUSDT&timeInForce=GTC&timestamp=1499827319559&type=LIMIT"
    )
    signature = hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()
    assert body.decode() == f"{payload}&signature={signature}"
    assert head.startswith(b"POST /api/v3/order HTTP/1.1")
    assert b"X-MBX-APIKEY: the-key" in head
    assert b"Content-Type: application/x-www-form-urlencoded" in head


def test_the_librarys_own_wrappers_send_our_window_and_clock_too() -> None:
    with raw_server(http("200 OK", "{}")) as server:
        client(server.url, clock_ms=lambda: 1234567890123).get_account()
    target = server.requests[0].split(b" ")[1].decode()
    assert target.startswith("/api/v3/account?recvWindow=2000&timestamp=1234567890123&signature=")


def test_parameters_are_percent_encoded_before_they_are_signed() -> None:
    with raw_server(http("200 OK", "{}")) as server:
        made = client(server.url)
        made.signed_request(
            "GET", "/api/v3/order", {"origClientOrderId": "a/b:c"}, timestamp_ms=1, recv_window_ms=2
        )
    query = server.requests[0].split(b" ")[1].decode().split("?")[1]
    payload, _, signature = query.rpartition("&signature=")
    assert payload == "origClientOrderId=a%2Fb%3Ac&recvWindow=2&timestamp=1"
    assert signature == hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()


def test_a_float_never_reaches_the_wire() -> None:
    with raw_server() as server:
        made = client(server.url)
        with pytest.raises(TypeError, match="quantity"):
            made.signed_request(
                "POST", "/api/v3/order", {**ORDER, "quantity": 0.00001}, timestamp_ms=1, recv_window_ms=2
            )
    assert server.requests == []


def test_an_answer_that_is_cut_off_is_unknown_and_is_not_sent_again() -> None:
    seen: list[tuple[str, CallOutcome, int | None]] = []
    with raw_server(b"", http("200 OK", "{}")) as server:
        made = client(
            server.url, observer=lambda venue, outcome, latency, code: seen.append((venue, outcome, code))
        )
        with pytest.raises(OutcomeUnknown) as unknown:
            place(made)
    assert unknown.value.client_order_id == "abcdefghij234567"
    assert len(server.requests) == 1
    assert seen == [("binance-spot", CallOutcome.UNKNOWN, None)]


def test_a_refusal_is_final_and_counts_as_an_answer() -> None:
    seen: list[tuple[CallOutcome, int | None]] = []
    with raw_server(
        http("400 Bad Request", '{"code":-2010,"msg":"Account has insufficient balance"}')
    ) as server:
        made = client(server.url, observer=lambda venue, outcome, latency, code: seen.append((outcome, code)))
        with pytest.raises(VenueRejected) as refused:
            place(made)
    assert refused.value.code == -2010
    assert seen == [(CallOutcome.OK, -2010)]


def test_nothing_is_sent_while_a_retry_after_is_in_force() -> None:
    limited = http("429 Too Many Requests", '{"code":-1003,"msg":"Too many"}', "Retry-After: 30")
    with raw_server(limited) as server:
        made = client(server.url)
        with pytest.raises(VenueUnavailable) as first:
            place(made)
        with pytest.raises(VenueUnavailable) as second:
            made.signed_request("DELETE", "/api/v3/order", {}, timestamp_ms=1, recv_window_ms=2)
    assert first.value.retry_after_s == 30
    assert second.value.retry_after_s is not None
    assert 28 < second.value.retry_after_s <= 30
    assert len(server.requests) == 1


def test_used_weight_and_order_counts_are_read_from_the_headers() -> None:
    headers = (
        "X-MBX-USED-WEIGHT-1M: 5000",
        "X-MBX-ORDER-COUNT-10S: 3",
        "X-MBX-ORDER-COUNT-1D: 44",
        "Date: now",
    )
    with raw_server(http("200 OK", "{}", *headers)) as server:
        made = client(server.url)
        place(made)
        assert made.last_headers.used_weight == 5000
        assert (made.last_headers.order_count_10s, made.last_headers.order_count_1d) == (3, 44)
        assert made.last_headers.date == "now"
        with pytest.raises(VenueUnavailable):  # 5000 of 6000 is above four fifths
            place(made)
    assert len(server.requests) == 1


def test_a_redirect_is_not_followed() -> None:
    with (
        raw_server(http("307 Temporary Redirect", "", "Location: http://127.0.0.1:9/api/v3/order")) as server,
        pytest.raises(OutcomeUnknown),
    ):
        place(client(server.url))
    assert len(server.requests) == 1


def test_a_closed_port_means_that_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with pytest.raises(VenueUnavailable):
        place(client(f"http://127.0.0.1:{port}"))


def test_a_read_is_tried_three_times_at_most() -> None:
    bad = http("502 Bad Gateway", "")
    with raw_server(bad, bad, http("200 OK", '{"serverTime": 5}')) as server:
        assert BinanceSpotMarketData(client(server.url), sleep=lambda _: None).server_time_ms() == 5
    with raw_server(bad, bad, bad, bad) as server, pytest.raises(VenueUnavailable):
        BinanceSpotMarketData(client(server.url), sleep=lambda _: None).server_time_ms()
    assert len(server.requests) == 3


def test_klines_are_paged_until_a_page_is_short() -> None:
    def row(at: int) -> str:
        return f'[{at * 60000},"1","2","0.5","1.5","10",{at * 60000 + 59999},"15",4,"5","7","0"]'

    full = "[" + ",".join(row(at) for at in range(1000)) + "]"
    last = "[" + row(1000) + "]"
    with raw_server(http("200 OK", full), http("200 OK", last)) as server:
        market = BinanceSpotMarketData(client(server.url), priority=Priority.BULK)
        bars = market.klines("BTCUSDT", "1m", start_ms=0)
    assert [bar.open_time_ms for bar in bars] == [at * 60000 for at in range(1001)]
    assert bars[0].high == Decimal(2)
    assert b"startTime=60000000" in server.requests[1]
