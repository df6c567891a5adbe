"""The life of an order over REST."""

from __future__ import annotations

from decimal import Decimal

from .conftest import Venue


async def test_limit_order_below_the_market_rests_and_locks_its_cost(venue: Venue) -> None:
    client = venue.client(USDT="10000")
    bid, _ = venue.best()
    price = venue.price(bid - 1000)
    placed = await client.order(
        symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.05", price=price
    )
    assert placed.status == 200
    assert placed.body["status"] == "NEW"
    assert placed.body["fills"] == []
    account = await client.signed("GET", "/api/v3/account")
    usdt = next(row for row in account.body["balances"] if row["asset"] == "USDT")
    assert Decimal(usdt["locked"]) == Decimal(price) * Decimal("0.05")
    assert Decimal(usdt["free"]) + Decimal(usdt["locked"]) == Decimal("10000")


async def test_market_order_walks_the_book_and_pays_commission_from_what_it_receives(venue: Venue) -> None:
    client = venue.client(USDT="5000000")
    listing = venue.exchange.listing("BTCUSDT")
    levels = [
        (Decimal(p), Decimal(q))
        for p, q in (
            (listing.instrument.price_text(p), listing.instrument.qty_text(s))
            for p, s in listing.book.asks.top(4)
        )
    ]
    # One and a half levels: the whole best ask and half of the next.
    step = Decimal("0.00001")
    half = (levels[1][1] / 2).quantize(step)
    quantity = levels[0][1] + half
    cost = levels[0][0] * levels[0][1] + levels[1][0] * half
    answer = await client.order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=str(quantity))
    assert answer.body["status"] == "FILLED"
    assert Decimal(answer.body["cummulativeQuoteQty"]) == cost
    assert [(f["price"], f["qty"]) for f in answer.body["fills"]] == [
        (f"{levels[0][0]:.8f}", f"{levels[0][1]:.8f}"),
        (f"{levels[1][0]:.8f}", f"{half:.8f}"),
    ]
    # 0.1 % of each fill's quantity, cut to eight decimals.
    unit = Decimal("0.00000001")
    fees = [(q * Decimal("0.001")).quantize(unit, "ROUND_DOWN") for q in (levels[0][1], half)]
    assert [Decimal(f["commission"]) for f in answer.body["fills"]] == fees
    assert {f["commissionAsset"] for f in answer.body["fills"]} == {"BTC"}
    account = await client.signed("GET", "/api/v3/account", omitZeroBalances="true")
    balances = {row["asset"]: Decimal(row["free"]) for row in account.body["balances"]}
    assert balances["BTC"] == quantity - sum(fees)
    assert balances["USDT"] == Decimal("5000000") - cost


async def test_quote_order_quantity_is_filled_down_to_the_step(venue: Venue) -> None:
    client = venue.client(USDT="1000")
    _, ask = venue.best()
    price = Decimal(venue.price(ask))
    answer = await client.order(symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty="100")
    assert answer.body["status"] == "FILLED"
    assert answer.body["origQuoteOrderQty"] == "100.00000000"
    expected = (Decimal(100) / price).quantize(Decimal("0.00001"), "ROUND_DOWN")
    assert Decimal(answer.body["executedQty"]) == expected
    assert Decimal(answer.body["cummulativeQuoteQty"]) == expected * price


async def test_immediate_or_cancel_expires_what_it_cannot_fill(venue: Venue) -> None:
    client = venue.client(USDT="10000000")
    _, ask = venue.best()
    level = venue.exchange.listing("BTCUSDT").book.asks.levels[ask].steps
    more = venue.exchange.listing("BTCUSDT").instrument.qty_text(level + 100)
    answer = await client.order(
        symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="IOC", quantity=more, price=venue.price(ask)
    )
    assert answer.body["status"] == "EXPIRED"
    assert answer.body["executedQty"] == venue.exchange.listing("BTCUSDT").instrument.qty_text(level)
    account = await client.signed("GET", "/api/v3/account", omitZeroBalances="true")
    assert all(Decimal(row["locked"]) == 0 for row in account.body["balances"])


async def test_fill_or_kill_fills_whole_or_not_at_all(venue: Venue) -> None:
    client = venue.client(USDT="10000000")
    _, ask = venue.best()
    listing = venue.exchange.listing("BTCUSDT")
    level = listing.book.asks.levels[ask].steps
    common = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "FOK"}
    too_much = await client.order(
        **common, quantity=listing.instrument.qty_text(level + 1), price=venue.price(ask)
    )
    assert too_much.body["status"] == "EXPIRED"
    assert too_much.body["executedQty"] == "0.00000000"
    exact = await client.order(**common, quantity=listing.instrument.qty_text(level), price=venue.price(ask))
    assert exact.body["status"] == "FILLED"


async def test_limit_maker_that_would_take_is_refused(venue: Venue) -> None:
    client = venue.client(USDT="10000")
    bid, ask = venue.best()
    common = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": "0.01"}
    refused = await client.order(**common, price=venue.price(ask))
    assert (refused.status, refused.body) == (
        400,
        {"code": -2010, "msg": "Order would immediately match and take."},
    )
    accepted = await client.order(**common, price=venue.price(bid))
    assert set(accepted.body) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}


async def test_client_order_id_is_unique_among_open_orders_only(venue: Venue) -> None:
    client = venue.client(USDT="100000")
    bid, _ = venue.best()
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01",
        "price": venue.price(bid - 500),
        "newClientOrderId": "mine-1",
    }
    first = await client.order(**order)
    again = await client.order(**order)
    assert again.body == {"code": -2010, "msg": "Duplicate order sent."}
    await client.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine-1")
    third = await client.order(**order)
    assert third.status == 200
    assert third.body["orderId"] > first.body["orderId"]
    found = await client.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine-1")
    assert found.body["orderId"] == third.body["orderId"]


async def test_cancelled_order_frees_its_lock_and_cannot_be_cancelled_twice(venue: Venue) -> None:
    client = venue.client(USDT="10000")
    bid, _ = venue.best()
    placed = await client.order(
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.01",
        price=venue.price(bid - 500),
        newClientOrderId="a",
    )
    which = {"symbol": "BTCUSDT", "orderId": placed.body["orderId"]}
    canceled = await client.signed("DELETE", "/api/v3/order", **which, newClientOrderId="the-cancel")
    assert canceled.body["status"] == "CANCELED"
    assert canceled.body["origClientOrderId"] == "a"
    assert canceled.body["clientOrderId"] == "the-cancel"
    twice = await client.signed("DELETE", "/api/v3/order", **which)
    assert (twice.status, twice.body) == (400, {"code": -2011, "msg": "Unknown order sent."})
    account = await client.signed("GET", "/api/v3/account")
    usdt = next(row for row in account.body["balances"] if row["asset"] == "USDT")
    assert usdt == {"asset": "USDT", "free": "10000.00000000", "locked": "0.00000000"}


async def test_order_of_another_account_is_unknown(venue: Venue) -> None:
    owner, stranger = venue.client(USDT="10000"), venue.client(USDT="10000")
    bid, _ = venue.best()
    placed = await owner.order(
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.01",
        price=venue.price(bid - 500),
    )
    which = {"symbol": "BTCUSDT", "orderId": placed.body["orderId"]}
    assert (await stranger.signed("GET", "/api/v3/order", **which)).body == {
        "code": -2013,
        "msg": "Order does not exist.",
    }
    assert (await stranger.signed("DELETE", "/api/v3/order", **which)).code == -2011


async def test_two_users_trade_with_each_other_by_price_then_time(venue: Venue) -> None:
    early, late, taker = venue.client(BTC="1"), venue.client(BTC="1"), venue.client(USDT="100000")
    bid, ask = venue.best()
    assert ask - bid > 1
    inside = venue.price(bid + 1)
    sell = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.1",
        "price": inside,
    }
    first, second = await early.order(**sell), await late.order(**sell)
    bought = await taker.order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.15")
    assert [f["qty"] for f in bought.body["fills"]] == ["0.10000000", "0.05000000"]
    assert {f["price"] for f in bought.body["fills"]} == {inside}
    states = [
        (await client.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=o.body["orderId"])).body
        for client, o in ((early, first), (late, second))
    ]
    assert [(s["status"], s["executedQty"]) for s in states] == [
        ("FILLED", "0.10000000"),
        ("PARTIALLY_FILLED", "0.05000000"),
    ]
    assert early.account is not None
    fills = (await taker.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT")).body
    assert [fill["isMaker"] for fill in fills] == [False, False]
    ledger = (await venue.anonymous().public("GET", "/testnet/v1/ledger")).body
    assert {f["counterparty"] for f in ledger["fills"] if f["account_id"] == early.account.account_id} == {
        taker.account.account_id if taker.account else ""
    }


async def test_resting_order_is_filled_when_the_market_comes_to_it(venue: Venue) -> None:
    client = venue.client(USDT="100000")
    bid, _ = venue.best()
    placed = await client.order(
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.01",
        price=venue.price(bid - 200),
    )
    control = venue.anonymous()
    target = Decimal(venue.price(bid - 2000))
    body = f'{{"symbol": "BTCUSDT", "path": [[30, "{target}"], [60, "{target}"]]}}'
    assert (await control.raw("POST", "/testnet/v1/market", body=body)).status == 200
    await venue.advance(60_000)
    order = await client.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=placed.body["orderId"])
    assert order.body["status"] == "FILLED"
    # A resting order trades at its own price, never a better or worse one.
    assert Decimal(order.body["cummulativeQuoteQty"]) == Decimal(venue.price(bid - 200)) * Decimal("0.01")
    trades = (await client.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT")).body
    assert all(trade["isMaker"] for trade in trades)
    newer = await client.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", fromId=trades[-1]["id"] + 1)
    assert newer.body == []


async def test_insufficient_balance_refuses_and_changes_nothing(venue: Venue) -> None:
    client = venue.client(USDT="10")
    answer = await client.order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1")
    assert (answer.status, answer.body) == (
        400,
        {"code": -2010, "msg": "Account has insufficient balance for requested action."},
    )
    assert (await client.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT")).body == []


async def test_cancel_all_cancels_every_open_order_of_the_symbol(venue: Venue) -> None:
    client = venue.client(USDT="100000")
    bid, _ = venue.best()
    for offset in (300, 400, 500):
        await client.order(
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.01",
            price=venue.price(bid - offset),
        )
    assert len((await client.signed("GET", "/api/v3/openOrders")).body) == 3
    canceled = await client.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    assert [row["status"] for row in canceled.body] == ["CANCELED"] * 3
    assert (await client.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")).body == []
    assert (await client.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")).code == -2011


async def test_test_order_passes_the_checks_and_leaves_no_trace(venue: Venue) -> None:
    client = venue.client(USDT="10000")
    answer = await client.signed(
        "POST", "/api/v3/order/test", symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty="50"
    )
    assert (answer.status, answer.body) == (200, {})
    assert venue.exchange.spot.order_id == 0


async def test_halted_symbol_refuses_orders_but_lets_them_be_cancelled(venue: Venue) -> None:
    client = venue.client(USDT="10000")
    bid, _ = venue.best()
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01",
        "price": venue.price(bid - 500),
    }
    placed = await client.order(**order)
    halt = '{"symbol": "BTCUSDT", "action": "halt"}'
    await venue.anonymous().raw("POST", "/testnet/v1/symbols", body=halt)
    assert (await client.order(**order)).body == {"code": -2010, "msg": "Market is closed."}
    info = await client.public("GET", "/api/v3/exchangeInfo", symbol="BTCUSDT")
    assert info.body["symbols"][0]["status"] == "HALT"
    canceled = await client.signed(
        "DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=placed.body["orderId"]
    )
    assert canceled.body["status"] == "CANCELED"
