"""Conditional orders as a client sees them trigger, in a market that is led down through them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from .checks import assert_futures_account, assert_spot_account
from .exchange import PaperExchange, running_exchange
from .runs import Run, run_script


@pytest.fixture(scope="module")
def exchange() -> Iterator[PaperExchange]:
    """A market that moves only when it is told to."""
    with running_exchange("--speed", "0", "--no-rate-limits") as running:
        yield running


@pytest.fixture(scope="module")
def run(exchange: PaperExchange) -> Run:
    account = exchange.open_futures_account()
    return run_script("python-binance", "python_binance_triggers.py", exchange, account)


def test_a_spot_stop_sells_at_market_when_its_price_is_reached(run: Run) -> None:
    stop = run["spot_stop"]["orderId"]
    reports = [(event["x"], event["X"]) for event in run["events"]["spot"] if event.get("i") == stop]
    assert reports[0] == ("NEW", "NEW")
    assert reports[-1] == ("TRADE", "FILLED")
    (order,) = [row for row in run["spot_reads"][0] if row["orderId"] == stop]
    assert (order["status"], Decimal(order["executedQty"])) == ("FILLED", Decimal("0.01"))


def test_one_leg_of_an_oco_trades_and_the_other_ends_with_the_list(run: Run) -> None:
    legs = {row["orderId"] for row in run["oco"]["orders"]}
    ended = {row["type"]: row["status"] for row in run["spot_reads"][0] if row["orderId"] in legs}
    assert ended == {"STOP_LOSS": "FILLED", "LIMIT_MAKER": "EXPIRED"}
    lists = [event for event in run["events"]["spot"] if event["e"] == "listStatus"]
    assert [(event["l"], event["L"]) for event in lists] == [
        ("EXEC_STARTED", "EXECUTING"),
        ("ALL_DONE", "ALL_DONE"),
    ]


def test_a_triggered_algo_order_becomes_an_ordinary_one_that_closes_the_position(run: Run) -> None:
    algo = run["algo"]
    assert algo["algoStatus"] == "FINISHED"
    told = [event["o"]["X"] for event in run["events"]["futures"] if event["e"] == "ALGO_UPDATE"]
    assert (told[0], told[-1]) == ("NEW", "FINISHED")
    assert "TRIGGERED" in told
    filled = [
        event["o"]
        for event in run["events"]["futures"]
        if event["e"] == "ORDER_TRADE_UPDATE" and event["o"]["i"] == int(algo["actualOrderId"])
    ]
    assert (filled[-1]["x"], filled[-1]["X"], filled[-1]["S"]) == ("TRADE", "FILLED", "SELL")
    assert [row for row in run["position"] if Decimal(row["positionAmt"])] == []


def test_what_it_reads_afterwards_is_what_the_exchange_holds(run: Run, exchange: PaperExchange) -> None:
    assert_spot_account(exchange, run.account, *run["spot_reads"])
    assert_futures_account(exchange, run.account, *run["futures_reads"])
