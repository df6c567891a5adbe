"""Parameters, signatures, timing, filters, limits: how the exchange says no."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import pytest

from testnet.account_setup import add_key

from .conftest import SHARES, StartVenue, Venue

LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}


@SHARES
@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (
            {"quantity": "1e-05"},
            -1100,
            "Illegal characters found in parameter 'quantity'; legal range is "
            "'^([0-9]{1,20})(\\.[0-9]{1,20})?$'.",
        ),
        ({"quantity": "-1"}, -1100, None),
        ({"quantity": "0.000000001"}, -1111, "Parameter 'quantity' has too much precision."),
        ({"quantity": "0.000001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "0.010005"}, -1013, "Filter failure: LOT_SIZE"),
        ({"price": "100.001"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": "1.00"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"quantity": "0.00001"}, -1013, "Filter failure: NOTIONAL"),
        ({"symbol": "NOPEUSDT"}, -1121, "Invalid symbol."),
        ({"symbol": "btcusdt"}, -1100, None),
        ({"side": "HOLD"}, -1117, "Invalid side."),
        ({"type": "GUESS"}, -1116, "Invalid orderType."),
        (
            {"type": "STOP_LOSS_LIMIT"},
            -1102,
            "Param 'stopPrice' or 'trailingDelta' must be sent, but both were empty/null!",
        ),
        ({"timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
        ({"price": ""}, -1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
        ({"stopPrice": "5"}, -1106, "Parameter 'stopPrice' sent when not required."),
        ({"newClientOrderId": "x" * 37}, -1100, None),
        ({"newClientOrderId": "with space"}, -1100, None),
        ({"colour": "blue"}, -1104, None),
        ({"recvWindow": "60001"}, -1131, None),
    ],
)
async def test_bad_order_is_refused_with_its_own_code(
    shared_venue: Venue, change: dict[str, str], code: int, message: str | None
) -> None:
    client = shared_venue.client(USDT="1000000")
    order = {**LIMIT, "price": shared_venue.price(shared_venue.best()[0] - 100), **change}
    answer = await client.order(**order)
    assert (answer.status, answer.code) == (400, code)
    if message is not None:
        assert answer.body["msg"] == message
    assert shared_venue.exchange.spot.order_id == 0


@SHARES
@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"type": "MARKET", "quantity": "1", "price": "5"}, -1106),
        ({"type": "MARKET", "quantity": "1", "timeInForce": "GTC"}, -1106),
        ({"type": "MARKET"}, -1102),
        ({"type": "MARKET", "quantity": "1", "quoteOrderQty": "5"}, -1128),
        ({"type": "MARKET", "quantity": "150"}, -1013),
        ({"type": "MARKET", "quoteOrderQty": "4.99"}, -1013),
    ],
)
async def test_bad_market_order_is_refused(shared_venue: Venue, order: dict[str, str], code: int) -> None:
    client = shared_venue.client(USDT="100000000")
    answer = await client.order(symbol="BTCUSDT", side="BUY", **order)
    assert answer.code == code


async def test_filters_allow_their_limit_and_refuse_one_step_beyond(venue: Venue) -> None:
    client = venue.client(USDT="1000000000")
    price = venue.best()[0] - 100
    listing = venue.exchange.listing("BTCUSDT")
    # NOTIONAL is 5: the smallest quantity that reaches it at this price, and one step less.
    per_step = price * listing.instrument.quote_per
    least = -(-5 * 10**8 // per_step)
    order = {**LIMIT, "price": venue.price(price)}
    enough = await client.order(**{**order, "quantity": listing.instrument.qty_text(least)})
    assert enough.status == 200
    short = await client.order(**{**order, "quantity": listing.instrument.qty_text(least - 1)})
    assert short.body["msg"] == "Filter failure: NOTIONAL"


async def test_order_201_of_a_symbol_breaks_the_open_order_limit(venue: Venue) -> None:
    client = venue.client(USDT="100000000")
    order: dict[str, Any] = {**LIMIT, "price": venue.price(venue.best()[0] - 100)}
    for _ in range(200):
        assert (await client.order(**order)).status == 200
    assert (await client.order(**order)).body["msg"] == "Filter failure: MAX_NUM_ORDERS"


async def test_signature_covers_the_raw_text_of_query_and_body(venue: Venue) -> None:
    client = venue.client(USDT="1000")
    stamp = int(time.time() * 1000)
    query, body = "omitZeroBalances=true", f"timestamp={stamp}"
    signature = client.sign(query + body)
    split = await client.raw("POST", "/api/v3/order/test", query, f"{body}&signature={signature}")
    # The signature is right, so the complaint is about the parameters, not about who sends them.
    assert split.code in (-1104, -1102)
    # Percent-encoding is signed as sent: the same text decoded would give another signature.
    encoded = f"symbol=%42TCUSDT&timestamp={stamp}"
    good = await client.raw("GET", "/api/v3/openOrders", f"{encoded}&signature={client.sign(encoded)}")
    assert good.status == 200
    decoded = client.sign(f"symbol=BTCUSDT&timestamp={stamp}")
    assert (await client.raw("GET", "/api/v3/openOrders", f"{encoded}&signature={decoded}")).code == -1022
    upper = client.sign(encoded).upper()
    assert (await client.raw("GET", "/api/v3/openOrders", f"{encoded}&signature={upper}")).status == 200
    first = await client.raw("GET", "/api/v3/openOrders", f"signature={client.sign(encoded)}&{encoded}")
    assert first.status == 200


async def test_order_sent_as_form_body_is_accepted(venue: Venue) -> None:
    client = venue.client(USDT="10000")
    order = {**LIMIT, "price": venue.price(venue.best()[0] - 100)}
    assert (await client.signed("POST", "/api/v3/order", in_body=True, **order)).status == 200


@SHARES
async def test_bad_credentials_are_refused_each_with_its_code(shared_venue: Venue) -> None:
    client = shared_venue.client(USDT="10000")
    good = client.api_key
    client.api_key = ""
    missing = await client.signed("GET", "/api/v3/account")
    assert (missing.status, missing.body) == (401, {"code": -2014, "msg": "API-key format invalid."})
    client.api_key = "z" * 64
    unknown = await client.signed("GET", "/api/v3/account")
    assert (unknown.status, unknown.body) == (
        401,
        {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."},
    )
    client.api_key, client.secret = good, "wrong" * 4
    wrong = await client.signed("GET", "/api/v3/account")
    assert (wrong.status, wrong.body) == (
        400,
        {"code": -1022, "msg": "Signature for this request is not valid."},
    )
    unsigned = await client.public("GET", "/api/v3/account", timestamp=int(time.time() * 1000))
    assert unsigned.code == -1102


async def test_key_without_trade_permission_reads_but_does_not_trade(venue: Venue) -> None:
    owner = venue.client(USDT="10000")
    assert owner.account is not None
    permissions = {"read": True, "trade": False, "withdraw": False, "ip_restricted": True}
    reader = venue.with_key(
        owner.account, add_key(venue.exchange, owner.account, {"permissions": permissions})
    )
    assert (await reader.signed("GET", "/api/v3/account")).body["canTrade"] is False
    refused = await reader.order(**LIMIT, price=venue.price(venue.best()[0] - 100))
    assert (refused.status, refused.code) == (401, -2015)
    shown = (await reader.signed("GET", "/sapi/v1/account/apiRestrictions")).body
    assert (shown["enableSpotAndMarginTrading"], shown["enableWithdrawals"], shown["ipRestrict"]) == (
        False,
        False,
        True,
    )


@SHARES
@pytest.mark.parametrize(
    ("offset_ms", "window", "accepted"),
    [(0, None, True), (-4000, None, True), (-6000, None, False), (-6000, "10000", True), (3000, None, False)],
)
async def test_timestamp_is_judged_by_the_receive_window(
    shared_venue: Venue, offset_ms: int, window: str | None, accepted: bool
) -> None:
    client = shared_venue.client(USDT="1")
    params: dict[str, Any] = {"timestamp": int(time.time() * 1000) + offset_ms}
    if window:
        params["recvWindow"] = window
    answer = await client.signed("GET", "/api/v3/account", **params)
    assert answer.status == (200 if accepted else 400)
    if not accepted:
        assert answer.code == -1021


@SHARES
async def test_parameters_are_judged_before_credentials_and_credentials_before_filters(
    shared_venue: Venue,
) -> None:
    client = shared_venue.client(USDT="1")
    client.secret = "not the secret"
    price = shared_venue.price(shared_venue.best()[0] - 100)
    assert (await client.order(**{**LIMIT, "price": "1e5"})).code == -1100
    assert (await client.order(**{**LIMIT, "price": price, "quantity": "0.00001"})).code == -1022


async def test_weight_is_counted_and_refused_then_banned(start_venue: StartVenue) -> None:
    venue = await start_venue(rate_limits=True)
    client = venue.anonymous()
    first = await client.public("GET", "/api/v3/depth", symbol="BTCUSDT", limit=5000)
    before = int(first.headers["X-MBX-USED-WEIGHT-1M"])
    assert before == 250
    answers = [await client.public("GET", "/api/v3/depth", symbol="BTCUSDT", limit=5000) for _ in range(24)]
    assert answers[22].status == 200  # 24 x 250 = 6000, exactly the limit
    refused = answers[23]
    assert (refused.status, refused.code) == (429, -1003)
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    for _ in range(60):
        last = await client.public("GET", "/api/v3/ping")
    assert last.status == 418
    assert int(last.headers["Retry-After"]) > 60


async def test_orders_are_counted_per_account(start_venue: StartVenue) -> None:
    venue = await start_venue(rate_limits=True)
    client, other = venue.client(USDT="1000000"), venue.client(USDT="1000000")
    order = {**LIMIT, "price": venue.price(venue.best()[0] - 100)}
    now = int(time.time() * 1000)
    # Start in a fresh ten-second window, so that the hundred and first falls into the same one.
    venue.server.gate.venue.limits.check_order("any", now)
    for _ in range(100):
        venue.server.gate.venue.limits.count_order(
            client.account.account_id if client.account else "", int(time.time() * 1000)
        )
    refused = await client.order(**order)
    if refused.status == 200:  # the window turned over between counting and placing
        pytest.skip("ten-second window turned over")
    assert (refused.status, refused.code) == (429, -1015)
    accepted = await other.order(**order)
    assert accepted.headers["X-MBX-ORDER-COUNT-10S"] == "1"


@SHARES
async def test_unknown_path_is_a_clear_404(shared_venue: Venue) -> None:
    answer = await shared_venue.anonymous().public("GET", "/api/v3/nothing")
    assert answer.status == 404
    assert answer.code == -5000


@SHARES
async def test_repeated_parameter_is_refused(shared_venue: Venue) -> None:
    answer = await shared_venue.anonymous().raw(
        "GET", "/api/v3/depth", urlencode([("symbol", "BTCUSDT"), ("symbol", "ETHUSDT")])
    )
    assert answer.code == -1101
