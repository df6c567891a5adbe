"""The official USD-M futures SDK, unchanged."""

from __future__ import annotations

from decimal import Decimal

import pytest

from .checks import assert_bars, assert_book, assert_futures_account, net_position, only
from .exchange import FUTURES_MONEY, PaperExchange
from .ledger import ledger_fills, ledger_orders
from .runs import Run, run_script


@pytest.fixture(scope="module")
def run(exchange: PaperExchange) -> Run:
    return run_script("sdk", "sdk_usdm.py", exchange, exchange.open_futures_account())


def test_answers_have_the_types_its_models_declare(run: Run) -> None:
    assert "Pydantic" not in run.stderr
    assert "validation error" not in run.stderr


def test_reads_market_data(run: Run) -> None:
    assert {"BTCUSDT", "ETHUSDT"} <= {row["symbol"] for row in run["exchange_info"]["symbols"]}
    assert_book(run["depth"]["bids"], run["depth"]["asks"])
    assert_bars(run["klines"], 20)
    assert [len(rows) for rows in run["trades"]] == [5, 5]
    day, interest = run["ticker"]
    assert Decimal(day["lowPrice"]) <= Decimal(day["lastPrice"]) <= Decimal(day["highPrice"])
    assert interest["symbol"] == run["mark_price"]["symbol"] == "BTCUSDT"
    history, _ = run["funding"]
    assert [row["fundingTime"] for row in history] == sorted(row["fundingTime"] for row in history)


def test_reads_and_changes_leverage_and_margin_type(run: Run) -> None:
    assert (run["leverage"]["leverage"], run["margin_type"]["code"]) == (10, 200)
    assert run["position_mode"]["dualSidePosition"] is False
    symbol, account, rate = run["configuration"]
    assert (symbol[0]["leverage"], symbol[0]["marginType"]) == (10, "CROSSED")
    assert account["canTrade"] is True
    assert Decimal(rate["makerCommissionRate"]) < Decimal(rate["takerCommissionRate"])
    assert "-4046" in run.error("margin_type_no_change").text


def test_places_limit_market_and_reduce_only_orders(run: Run) -> None:
    assert run["limit"]["status"] == "NEW"
    assert (run["market"]["status"], run["market"]["executedQty"]) == ("FILLED", "0.050")
    assert (run["reduce_only"]["status"], run["reduce_only"]["reduceOnly"]) == ("FILLED", True)


def test_conditional_orders_are_algo_orders(run: Run) -> None:
    stop = run["stop_market"]
    found, listed = run["algo_orders"]
    assert stop["algoStatus"] == "NEW"
    assert found["algoId"] == stop["algoId"] == run["cancel_algo"]["algoId"]
    assert [row["algoId"] for row in listed] == [stop["algoId"]]
    assert "-4120" in run.error("stop_on_order_endpoint").text


def test_places_and_cancels_a_batch(run: Run) -> None:
    assert [leg["status"] for leg in run["batch"]] == ["NEW", "NEW"]
    assert [leg["status"] for leg in run["cancel_batch"]] == ["CANCELED", "CANCELED"]


def test_modifies_queries_and_cancels(run: Run, exchange: PaperExchange) -> None:
    assert run["modify"]["orderId"] == run["query"]["orderId"] == run["limit"]["orderId"]
    assert run["open_orders"] == [run["limit"]["orderId"]]
    order = only(ledger_orders(exchange.ledger(run.account), "usdm"), run["limit"]["orderId"])
    assert (order.status, order.quantity) == ("CANCELED", Decimal("0.02"))
    assert run["countdown"]["symbol"] == "BTCUSDT"


def test_a_margin_too_small_is_a_bad_request(run: Run) -> None:
    assert run.error("too_large").kinds[0] == "BadRequestError"
    assert "-2019" in run.error("too_large").text
    assert run.error("ws_too_large").code == -2019


def test_trades_over_the_websocket_api(run: Run) -> None:
    assert run["listen_key"] == run["listen_key_over_rest"]
    assert run["ws_limit"]["status"] == "NEW"
    assert run["ws_modify"]["orderId"] == run["ws_query"]["orderId"] == run["ws_cancel"]["orderId"]
    assert run["ws_cancel_algo"]["algoId"] == run["ws_algo"]["algoId"]
    book, positions, balances, account = run["ws_reads"]
    assert_book(book["bids"], book["asks"])
    assert [Decimal(row["positionAmt"]) for row in positions] == [Decimal("0.045")]
    wallet = next(row["balance"] for row in balances if row["asset"] == "USDT")
    assert wallet == account["totalWalletBalance"]


def test_the_user_stream_tells_its_orders(run: Run) -> None:
    updates = [event["o"] for event in run["user_events"] if "x" in event.get("o", {})]
    told = {(row["i"], row["x"]) for row in updates}
    order_id = run["ws_limit"]["orderId"]
    assert {(order_id, "NEW"), (order_id, "AMENDMENT"), (order_id, "CANCELED")} <= told
    assert (run["ws_market"]["orderId"], "TRADE") in told


def test_market_streams_bring_every_kind_of_event(run: Run) -> None:
    assert Decimal(run["stream_mark"]["p"]) > 0
    assert run["stream_kline"]["k"]["i"] == "1m"
    assert run["stream_agg_trade"]["s"] == run["stream_book_ticker"]["s"] == "BTCUSDT"
    assert run["stream_depth"]["pu"] <= run["stream_depth"]["u"]
    assert_book(run["stream_partial_depth"]["b"], run["stream_partial_depth"]["a"])


def test_income_explains_the_wallet(run: Run) -> None:
    (wallet,) = [row["balance"] for row in run["balances"] if row["asset"] == "USDT"]
    moved = sum(Decimal(row["income"]) for row in run["income"] if row["incomeType"] != "TRANSFER")
    assert Decimal(wallet) == Decimal(FUTURES_MONEY["USDT"]) + moved


def test_what_it_reads_at_the_end_is_what_the_exchange_holds(run: Run, exchange: PaperExchange) -> None:
    third, second = run["account"]
    assert third["totalWalletBalance"] == second["totalWalletBalance"]
    assert_futures_account(exchange, run.account, run["orders"], run["fills"], third["totalWalletBalance"])
    (position,) = run["positions"]
    held = net_position(ledger_fills(exchange.ledger(run.account), "usdm"))
    assert Decimal(position["positionAmt"]) == held == Decimal("0.045")
