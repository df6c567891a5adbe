"""python-binance, unchanged, on USD-M futures."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from .checks import assert_bars, assert_book, assert_futures_account, net_position, only
from .exchange import FUTURES_MONEY, PaperExchange
from .ledger import ledger_fills, ledger_orders, ledger_position
from .runs import Run, run_script

HOURS_MS = 3_600_000


@pytest.fixture(scope="module")
def run(exchange: PaperExchange) -> Run:
    return run_script(
        "python-binance", "python_binance_futures.py", exchange, exchange.open_futures_account()
    )


@pytest.fixture(scope="module")
def live(exchange: PaperExchange) -> Run:
    return run_script(
        "python-binance", "python_binance_futures_streams.py", exchange, exchange.open_futures_account()
    )


def test_reads_the_contracts_and_their_filters(run: Run) -> None:
    contracts = {row["symbol"]: row for row in run["exchange_info"]["symbols"]}
    assert {"BTCUSDT", "ETHUSDT"} <= contracts.keys()
    contract = contracts["BTCUSDT"]
    assert (contract["contractType"], contract["marginAsset"], contract["deliveryDate"]) == (
        "PERPETUAL",
        "USDT",
        4_133_404_800_000,
    )
    assert {"STOP_MARKET", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"} <= set(contract["orderTypes"])
    names = {row["filterType"] for row in contract["filters"]}
    assert {"PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "MIN_NOTIONAL", "PERCENT_PRICE"} <= names


def test_reads_market_data(run: Run) -> None:
    assert_book(run["order_book"]["bids"], run["order_book"]["asks"])
    assert [len(rows) for rows in run["trades"]] == [5, 5]
    for rows in run["klines"].values():
        assert_bars(rows, 20)
    day, prices, tops = run["tickers"]
    assert Decimal(day["lowPrice"]) <= Decimal(day["lastPrice"]) <= Decimal(day["highPrice"])
    assert {row["symbol"] for row in prices} == {row["symbol"] for row in tops}
    assert Decimal(run["open_interest"]["openInterest"]) >= 0


def test_reads_mark_price_and_funding(run: Run) -> None:
    mark = run["mark_price"]
    top = run["tickers"][2]
    bid = next(Decimal(row["bidPrice"]) for row in top if row["symbol"] == "BTCUSDT")
    assert abs(Decimal(mark["markPrice"]) / bid - 1) < Decimal("0.02")
    interval = next(
        (row["fundingIntervalHours"] for row in run["funding_info"] if row["symbol"] == "BTCUSDT"), 8
    )
    assert mark["nextFundingTime"] % (interval * HOURS_MS) == 0
    times = [row["fundingTime"] for row in run["funding_rate"]]
    assert times == sorted(times)


def test_reads_and_changes_leverage_margin_type_and_position_mode(run: Run) -> None:
    assert run["position_mode"] == {"dualSidePosition": False}
    assert run["multi_assets_mode"] == {"multiAssetsMargin": False}
    assert (run["leverage"]["leverage"], run["leverage"]["symbol"]) == (10, "BTCUSDT")
    assert run["margin_type"]["code"] == 200
    (config,) = run["symbol_config"]
    assert (config["leverage"], config["marginType"]) == (10, "CROSSED")
    assert run["account_config"]["dualSidePosition"] is False
    (brackets,) = run["brackets"]
    floors = [row["notionalFloor"] for row in brackets["brackets"]]
    assert floors[0] == 0
    assert floors[1:] == [row["notionalCap"] for row in brackets["brackets"]][:-1]
    assert Decimal(run["commission_rate"]["takerCommissionRate"]) > Decimal(
        run["commission_rate"]["makerCommissionRate"]
    )


def test_places_limit_market_and_reduce_only_orders(run: Run) -> None:
    assert (run["limit"]["status"], run["limit"]["type"]) == ("NEW", "LIMIT")
    assert run["limit"]["clientOrderId"].startswith("x-Cb7ytekJ")
    assert (run["market"]["status"], run["market"]["executedQty"]) == ("FILLED", "0.050")
    (position,) = run["position"]
    assert Decimal(position["positionAmt"]) == Decimal("0.050")
    assert (run["reduce_only"]["status"], run["reduce_only"]["reduceOnly"]) == ("FILLED", True)
    assert run["post_only"]["timeInForce"] == "GTX"


def test_holds_a_long_and_a_short_side_by_side_in_hedge_mode(run: Run) -> None:
    held = {row["positionSide"]: Decimal(row["positionAmt"]) for row in run["hedged"]}
    assert (held["LONG"], held["SHORT"]) == (Decimal("0.1"), Decimal("-0.1"))


def test_conditional_orders_are_algo_orders(run: Run) -> None:
    stop = run["stop_market"]
    assert "orderId" not in stop
    assert (stop["algoStatus"], stop["orderType"]) == ("NEW", "STOP_MARKET")
    assert {row["algoId"] for row in run["open_algo_orders"]} == {
        stop["algoId"],
        run["take_profit"]["algoId"],
    }
    assert run["query_algo"]["algoId"] == stop["algoId"]
    assert run["cancel_algo"]["algoId"] == stop["algoId"]
    assert run.error("stop_on_order_endpoint").code == -4120


def test_places_a_batch_in_which_one_item_is_refused(run: Run) -> None:
    first, second, refused = run["batch"]
    assert first["status"] == second["status"] == "NEW"
    assert refused["code"] < 0


def test_modifies_queries_and_cancels(run: Run, exchange: PaperExchange) -> None:
    assert Decimal(run["modify"]["origQty"]) == Decimal("0.020")
    assert run["modify"]["orderId"] == run["query"]["orderId"] == run["limit"]["orderId"]
    assert Decimal(run["query"]["origQty"]) == Decimal("0.020")
    assert run["limit"]["orderId"] in run["open_orders"]
    assert run["cancel"]["status"] == "CANCELED"
    order = only(ledger_orders(exchange.ledger(run.account), "usdm"), run["limit"]["orderId"])
    assert (order.status, order.quantity) == ("CANCELED", Decimal("0.020"))
    assert run["cancel_all"]["code"] == 200
    assert run["nothing_open"] == []


def test_sets_the_dead_mans_switch_and_gets_one_listen_key(run: Run) -> None:
    assert (run["countdown"]["symbol"], int(run["countdown"]["countdownTime"])) == ("BTCUSDT", 60_000)
    first, again = run["listen_key"]
    assert first == again


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("too_large", -2019),
        ("off_the_tick", -1111),
        ("reduce_only_refused", -2022),
        ("unknown_order", -2013),
        ("cancel_unknown", -2011),
        ("margin_type_no_change", -4046),
        ("position_mode_no_change", -4059),
    ],
)
def test_raises_its_own_exception_for_a_refusal(run: Run, step: str, code: int) -> None:
    error = run.error(step)
    assert (error.kinds[0], error.code) == ("BinanceAPIException", code)


def test_an_order_far_too_small_is_refused_by_one_of_its_filters(run: Run) -> None:
    # Both its price (outside the band round the mark price) and its notional are too small.
    assert run.error("too_small").code in (-4013, -4024, -4164)


def test_income_explains_the_wallet(run: Run) -> None:
    (balance,) = [row for row in run["balances"] if row["asset"] == "USDT"]
    moved = sum(Decimal(row["income"]) for row in run["income"] if row["incomeType"] != "TRANSFER")
    assert Decimal(balance["balance"]) == Decimal(FUTURES_MONEY["USDT"]) + moved
    assert {row["incomeType"] for row in run["income"]} >= {"COMMISSION", "REALIZED_PNL"}


def test_what_it_reads_at_the_end_is_what_the_exchange_holds(run: Run, exchange: PaperExchange) -> None:
    ledger = exchange.ledger(run.account)
    assert Decimal(run["account"]["totalWalletBalance"]) == Decimal(run["balances"][0]["balance"])
    assert_futures_account(
        exchange, run.account, run["orders"], run["fills"], run["account"]["totalWalletBalance"]
    )
    held = {
        row["symbol"]: Decimal(row["positionAmt"]) for row in run["positions"] if Decimal(row["positionAmt"])
    }
    assert held == {"BTCUSDT": net_position(ledger_fills(ledger, "usdm"))} == {"BTCUSDT": Decimal("0.030")}
    assert ledger_position(ledger, "BTCUSDT") == Decimal("0.030")


def test_market_streams_bring_every_kind_of_event(live: Run) -> None:
    assert unwrapped(live["mark_socket"])["e"] == "markPriceUpdate"
    assert {row["s"] for row in unwrapped(live["all_marks_socket"])} >= {"BTCUSDT", "ETHUSDT"}
    assert unwrapped(live["kline_socket"])["e"] == "continuous_kline"
    assert unwrapped(live["agg_trade_socket"])["e"] == "aggTrade"
    assert unwrapped(live["book_ticker_socket"])["e"] == "bookTicker"
    depth = unwrapped(live["depth_socket"])
    assert (depth["e"], len(depth["b"])) == ("depthUpdate", 10)
    assert unwrapped(live["ticker_socket"])["e"] == "24hrTicker"


def test_orders_go_over_the_websocket_api(live: Run) -> None:
    order_id = live["ws_limit"]["orderId"]
    assert (
        live["ws_edit"]["orderId"] == live["ws_query"]["orderId"] == live["ws_cancel"]["orderId"] == order_id
    )
    assert Decimal(live["ws_query"]["origQty"]) == Decimal("0.020")
    assert live["ws_market"]["orderId"] > order_id
    assert_book(live["ws_book"]["bids"], live["ws_book"]["asks"])
    assert Decimal(live["ws_position"][0]["positionAmt"]) == Decimal("-0.015")
    for row, later in zip(live["ws_balance"], live["balances"], strict=True):
        assert (row["asset"], row["balance"]) == (later["asset"], later["balance"])
    error = live.error("ws_refused")
    assert (error.kinds[0], error.code) == ("BinanceAPIException", -2019)


def test_the_user_stream_tells_every_order_fill_and_position(live: Run, exchange: PaperExchange) -> None:
    events = live["user_events"]
    updates = [event["o"] for event in events if event["e"] == "ORDER_TRADE_UPDATE"]
    order_id = live["ws_limit"]["orderId"]
    assert [(row["x"], row["X"]) for row in updates if row["i"] == order_id] == [
        ("NEW", "NEW"),
        ("AMENDMENT", "NEW"),
        ("CANCELED", "CANCELED"),
    ]
    ledger = exchange.ledger(live.account)
    assert [
        (row["t"], Decimal(row["l"]), Decimal(row["L"]), Decimal(row["n"]), row["m"])
        for row in updates
        if row["x"] == "TRADE"
    ] == [
        (fill.trade_id, fill.quantity, fill.price, fill.commission, fill.maker)
        for fill in ledger_fills(ledger, "usdm")
    ]
    positions = [row for event in events if event["e"] == "ACCOUNT_UPDATE" for row in event["a"]["P"]]
    assert Decimal(positions[-1]["pa"]) == net_position(ledger_fills(ledger, "usdm")) == Decimal("-0.015")
    assert [event["o"]["X"] for event in events if event["e"] == "ALGO_UPDATE"] == ["NEW", "CANCELED"]
    assert [event["ac"] for event in events if event["e"] == "ACCOUNT_CONFIG_UPDATE"] == [
        {"s": "BTCUSDT", "l": 7}
    ]
    wallet = next(row["balance"] for row in live["balances"] if row["asset"] == "USDT")
    assert_futures_account(exchange, live.account, live["orders"], live["fills"], wallet)


def unwrapped(message: Any) -> Any:
    """The payload, without the envelope of a combined stream."""
    return message["data"] if isinstance(message, dict) and "stream" in message else message
