"""python-binance, unchanged, on the spot market."""

from __future__ import annotations

from decimal import Decimal

import pytest

from .checks import assert_bars, assert_book, assert_spot_account, only
from .exchange import SPOT_MONEY, PaperExchange
from .keys import ed25519_account
from .ledger import ledger_orders, wire_balances
from .runs import Run, run_script


@pytest.fixture(scope="module")
def run(exchange: PaperExchange) -> Run:
    return run_script("python-binance", "python_binance_spot.py", exchange, exchange.open_account())


@pytest.fixture(scope="module")
def signed_with_ed25519(exchange: PaperExchange, tmp_path_factory: pytest.TempPathFactory) -> Run:
    account, key = ed25519_account(exchange, tmp_path_factory.mktemp("key"))
    return run_script("python-binance", "python_binance_spot.py", exchange, account, str(key))


@pytest.fixture(scope="module")
def live(exchange: PaperExchange) -> Run:
    return run_script("python-binance", "python_binance_spot_streams.py", exchange, exchange.open_account())


def test_reads_the_symbols_and_their_filters(run: Run) -> None:
    assert run["exchange_info"] == ["BTCUSDT", "ETHUSDT", "BNBUSDT"]
    symbol = run["symbol"]
    assert symbol["status"] == "TRADING"
    assert {"LIMIT", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT", "LIMIT_MAKER"} <= set(
        symbol["orderTypes"]
    )
    filters = {row["filterType"]: row for row in symbol["filters"]}
    assert {
        "PRICE_FILTER",
        "LOT_SIZE",
        "NOTIONAL",
        "PERCENT_PRICE_BY_SIDE",
        "MAX_NUM_ORDERS",
    } <= filters.keys()


def test_reads_market_data(run: Run) -> None:
    assert_book(run["order_book"]["bids"], run["order_book"]["asks"])
    assert_bars(run["klines"], 20)
    assert len(run["historical_klines"]) == 1200  # two pages of the venue's 1000
    assert run["historical_klines"] == sorted(set(run["historical_klines"]))
    recent, aggregated = run["trades"]
    assert [row["id"] for row in recent] == list(range(recent[0]["id"], recent[0]["id"] + 5))
    assert len(aggregated) == 5
    day, prices, tops, average = run["tickers"]
    assert Decimal(day["lowPrice"]) <= Decimal(day["lastPrice"]) <= Decimal(day["highPrice"])
    assert (
        {row["symbol"] for row in prices}
        == {row["symbol"] for row in tops}
        == {"BTCUSDT", "ETHUSDT", "BNBUSDT"}
    )
    assert Decimal(day["lowPrice"]) <= Decimal(average["price"]) <= Decimal(day["highPrice"])


def test_reads_times_in_microseconds_when_it_asks_for_them(run: Run) -> None:
    server, trade = run["microseconds"]
    assert len(str(server)) == len(str(trade)) == 16
    assert abs(server / 1000 - run["server"][1]) < 60_000


def test_reads_the_ticker_of_a_rolling_window(run: Run) -> None:
    window = run["rolling_ticker"]
    assert window["closeTime"] - window["openTime"] <= 3_600_000
    assert Decimal(window["lowPrice"]) <= Decimal(window["lastPrice"]) <= Decimal(window["highPrice"])


def test_reads_the_account_it_was_given(run: Run) -> None:
    assert wire_balances(run["account_at_first"]) == {
        asset: (Decimal(amount), Decimal(0)) for asset, amount in SPOT_MONEY.items()
    }
    assert (run["fee"][0]["makerCommission"], run["fee"][0]["takerCommission"]) == ("0.001", "0.001")
    assert Decimal(run["commission"]["standardCommission"]["taker"]) == Decimal("0.001")


def test_places_limit_maker_and_market_orders(run: Run) -> None:
    assert (run["limit"]["status"], run["limit"]["executedQty"]) == ("NEW", "0.00000000")
    assert run["limit"]["clientOrderId"].startswith("x-HNA2TXFJ")
    sold = run["market_sell"]
    assert sold["status"] == "FILLED"
    assert sum(Decimal(fill["qty"]) for fill in sold["fills"]) == Decimal("0.02")
    spent = Decimal(run["market_quote"]["cummulativeQuoteQty"])
    assert Decimal(490) < spent <= Decimal(500)  # floored to the step of 0.00001 BTC
    assert run["test_order"] == {}
    assert set(run["maker"]) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}


def test_places_stop_orders_and_an_oco(run: Run, exchange: PaperExchange) -> None:
    orders = ledger_orders(exchange.ledger(run.account), "spot")
    stop = only(orders, run["stop_loss_limit"]["orderId"])
    assert (stop.type, stop.status) == ("STOP_LOSS_LIMIT", "CANCELED")
    oco = run["oco"]
    assert (oco["contingencyType"], oco["listOrderStatus"]) == ("OCO", "EXECUTING")
    assert {only(orders, leg["orderId"]).type for leg in oco["orders"]} == {"LIMIT_MAKER", "STOP_LOSS_LIMIT"}
    assert [row["orderListId"] for row in run["open_oco"]] == [oco["orderListId"]]


def test_queries_replaces_amends_and_cancels(run: Run, exchange: PaperExchange) -> None:
    assert run["query"]["orderId"] == run["limit"]["orderId"]
    replaced = run["cancel_replace"]
    assert (replaced["cancelResult"], replaced["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    orders = ledger_orders(exchange.ledger(run.account), "spot")
    assert only(orders, run["limit"]["orderId"]).status == "CANCELED"
    amended = run["amend"]["amendedOrder"]
    assert Decimal(amended["qty"]) == Decimal("0.015")
    assert only(orders, amended["orderId"]).quantity == Decimal("0.015")
    assert run["cancel"]["status"] == "CANCELED"
    assert run["nothing_open"] == []


@pytest.mark.parametrize(
    ("step", "code", "text"),
    [
        ("too_large", -2010, "Account has insufficient balance for requested action."),
        ("off_the_tick", -1013, "Filter failure: PRICE_FILTER"),
        ("float_quantity", -1100, "Illegal characters found in parameter 'quantity'"),
        ("unknown_order", -2013, "Order does not exist."),
        ("unknown_symbol", -1121, "Invalid symbol."),
    ],
)
def test_raises_its_own_exception_for_a_refusal(run: Run, step: str, code: int, text: str) -> None:
    error = run.error(step)
    assert error.kinds[0] == "BinanceAPIException"
    assert error.code == code
    assert text in error.text


def test_what_it_reads_at_the_end_is_what_the_exchange_holds(run: Run, exchange: PaperExchange) -> None:
    assert run["left_open"]["status"] == "NEW"  # so that something is locked
    assert_spot_account(exchange, run.account, run["orders"], run["fills"], run["balances"])


def test_signs_with_an_ed25519_key_as_well(signed_with_ed25519: Run) -> None:
    assert signed_with_ed25519["limit"]["status"] == "NEW"
    assert signed_with_ed25519["market_sell"]["status"] == "FILLED"
    assert signed_with_ed25519["cancel_replace"]["newOrderResult"] == "SUCCESS"
    assert signed_with_ed25519["nothing_open"] == []


def test_streams_bring_every_kind_of_event(live: Run) -> None:
    events = live["multiplex"]
    assert events["btcusdt@trade"]["e"] == "trade"
    assert events["btcusdt@aggTrade"]["e"] == "aggTrade"
    assert events["btcusdt@kline_1m"]["k"]["i"] == "1m"
    assert set(events["btcusdt@bookTicker"]) == {"u", "s", "b", "B", "a", "A"}
    assert events["btcusdt@depth@100ms"]["U"] <= events["btcusdt@depth@100ms"]["u"]
    assert live["trade_socket"]["s"] == live["kline_socket"]["s"] == "BTCUSDT"
    assert len(live["depth_socket"]["bids"]) == 10
    assert live["miniticker_socket"]["e"] == "24hrMiniTicker"
    assert live["ticker_socket"]["e"] == "24hrTicker"
    assert live["threaded_manager"]["e"] == "trade"


def test_the_depth_cache_equals_the_book_of_a_market_that_stands_still(live: Run) -> None:
    book = live["depth_cache"]
    for side in ("bids", "asks"):
        kept = [[Decimal(price), Decimal(quantity)] for price, quantity in book[side]]
        exact = [[Decimal(price), Decimal(quantity)] for price, quantity in book["exact"][side]]
        assert kept == exact


def test_orders_go_over_the_websocket_api(live: Run) -> None:
    assert live["ws_limit"]["status"] == "NEW"
    assert live["ws_query"]["orderId"] == live["ws_limit"]["orderId"]
    assert [row["orderId"] for row in live["ws_open_orders"]] == [live["ws_limit"]["orderId"]]
    assert live["ws_cancel"]["status"] == "CANCELED"
    assert live["ws_market"]["status"] == "FILLED"
    assert live["ws_cancel_replace"]["newOrderResult"] == "SUCCESS"
    assert live["ws_oco"]["contingencyType"] == "OCO"
    refused = live.error("ws_refused")
    assert (refused.kinds[0], refused.code) == ("BinanceAPIException", -2010)


def test_the_user_stream_tells_every_order_fill_and_balance(live: Run, exchange: PaperExchange) -> None:
    events = live["user_events"]
    reports = [event for event in events if event["e"] == "executionReport"]
    told = {(event["i"], event["x"]) for event in reports}
    assert (live["ws_limit"]["orderId"], "NEW") in told
    assert (live["ws_limit"]["orderId"], "CANCELED") in told
    ledger = exchange.ledger(live.account)
    fills = [
        (event["t"], Decimal(event["l"]), Decimal(event["L"]), event["N"])
        for event in reports
        if event["x"] == "TRADE"
    ]
    assert fills == [
        (int(row["trade_id"]), Decimal(row["qty"]), Decimal(row["price"]), row["commission_asset"])
        for row in ledger["fills"]
    ]
    assert any(event["e"] == "listStatus" and event["c"] == "OCO" for event in events)
    assert_spot_account(exchange, live.account, live["orders"], live["fills"], live["balances"])
