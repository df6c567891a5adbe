"""ccxt and ccxt.pro, unchanged, on USD-M futures."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from .checks import assert_bars, assert_book, assert_futures_account, net_position, only
from .exchange import FUTURES_MONEY, PaperExchange
from .ledger import ledger_fills, ledger_orders
from .runs import Run, run_script

S = "BTC/USDT:USDT"


@pytest.fixture(scope="module", params=["default", pytest.param("lean", marks=pytest.mark.long)])
def run(request: pytest.FixtureRequest, exchange: PaperExchange) -> Run:
    """The same walk with ccxt's own options and with those that leave margin and coin-M out."""
    return run_script("ccxt", "ccxt_futures.py", exchange, exchange.open_futures_account(), request.param)


@pytest.fixture(scope="module")
def live(exchange: PaperExchange) -> Run:
    return run_script("ccxt", "ccxt_pro_futures.py", exchange, exchange.open_futures_account())


def test_loads_spot_and_perpetual_markets_side_by_side(run: Run) -> None:
    assert {"BTC/USDT", S, "ETH/USDT", "ETH/USDT:USDT"} <= set(run["markets"]["names"])
    market = run["markets"]["btc"]
    assert (market["id"], market["swap"], market["linear"], market["settle"]) == (
        "BTCUSDT",
        True,
        True,
        "USDT",
    )
    assert market["expiry"] is None


def test_reads_market_data(run: Run) -> None:
    assert run["ticker"]["low"] <= run["ticker"]["last"] <= run["ticker"]["high"]
    assert run["tickers"] == run["bids_asks"] == [S, "ETH/USDT:USDT"]
    assert_book(run["order_book"]["bids"], run["order_book"]["asks"])
    for rows in run["ohlcv"]:
        assert_bars(rows, 20)
    assert len(run["trades"]) == 5
    assert run["open_interest"]["symbol"] == S


def test_reads_mark_price_and_funding(run: Run) -> None:
    funding = run["funding_rate"]
    assert abs(funding["markPrice"] / run["ticker"]["last"] - 1) < 0.02
    assert run["funding_rates"] == [S, "ETH/USDT:USDT"]
    times = [row["timestamp"] for row in run["funding_history"]]
    assert times == sorted(times)


def test_reads_and_changes_leverage_margin_and_position_mode(run: Run) -> None:
    assert int(run["leverage"]["leverage"]) == 10
    assert (run["read_leverage"]["longLeverage"], run["read_leverage"]["marginMode"]) == (10, "cross")
    assert int(run["margin_mode"]["code"]) == 200
    assert [int(answer["code"]) for answer in run["hedge_mode"]] == [200, 200]
    assert run["position_mode"]["hedged"] is False
    tiers = run["tiers"]
    assert tiers[0]["minNotional"] == 0
    assert [tier["maxLeverage"] for tier in tiers] == sorted(
        (tier["maxLeverage"] for tier in tiers), reverse=True
    )
    assert run["fee"]["maker"] < run["fee"]["taker"]


def test_reads_the_balance_it_was_given(run: Run) -> None:
    assert run["balance_at_first"]["USDT"] == float(FUTURES_MONEY["USDT"])


def test_places_market_limit_and_reduce_only_orders(run: Run) -> None:
    assert (run["limit"]["status"], run["limit"]["filled"]) == ("open", 0)
    assert (run["market"]["status"], run["market"]["filled"]) == ("closed", 0.05)
    assert (run["reduce_only"]["status"], run["reduce_only"]["reduceOnly"]) == ("closed", True)


def test_conditional_orders_are_algo_orders(run: Run) -> None:
    placed = {run[step]["id"] for step in ("stop_market", "take_profit", "trailing")}
    assert set(run["open_stops"]) == placed
    assert run["cancel_stop"]["id"] == run["stop_market"]["id"]
    assert run["cancel_stops"] == []


def test_places_a_batch_edits_and_cancels(run: Run, exchange: PaperExchange) -> None:
    assert [order["status"] for order in run["batch"]] == ["open", "open"]
    assert (run["edit"]["id"], run["edit"]["amount"]) == (run["limit"]["id"], 0.02)
    assert run["query"]["amount"] == 0.02
    assert set(run["open_orders"]) == {run["limit"]["id"], *(order["id"] for order in run["batch"])}
    assert run["cancel"]["status"] == "canceled"
    assert [order["status"] for order in run["cancel_batch"]] == ["canceled", "canceled"]
    order = only(ledger_orders(exchange.ledger(run.account), "usdm"), int(run["limit"]["id"]))
    assert (order.status, order.quantity) == ("CANCELED", Decimal("0.02"))


def test_refusals_carry_the_exchanges_code(run: Run) -> None:
    # At an address that is not production's ccxt knows no finer classes for futures errors.
    assert "ExchangeError" in run.error("too_large").kinds
    assert '"code":-2019' in run.error("too_large").text
    assert '"code":-2013' in run.error("unknown_order").text


def test_what_it_reads_of_its_position_is_what_the_exchange_holds(run: Run, exchange: PaperExchange) -> None:
    (position,) = run["positions"]
    (risk,) = run["position_risk"]
    assert (position["side"], position["contracts"]) == ("long", 0.03)
    assert (risk["side"], risk["contracts"]) == ("long", 0.03)
    # The average of the two fills that built it, weighted by quantity (there is one buy).
    bought = [fill for fill in ledger_fills(exchange.ledger(run.account), "usdm") if fill.side == "BUY"]
    average = sum(fill.price * fill.quantity for fill in bought) / sum(fill.quantity for fill in bought)
    assert position["entryPrice"] == pytest.approx(float(average), rel=1e-7)
    assert run["close"] == []
    assert net_position(ledger_fills(exchange.ledger(run.account), "usdm")) == 0


def test_its_ledger_lists_commissions_and_realised_profit(run: Run) -> None:
    kinds = {entry["info"]["incomeType"] for entry in run["ledger"]}
    assert {"COMMISSION", "REALIZED_PNL"} <= kinds
    assert run["income"] == []  # no funding fell due


def test_what_it_reads_at_the_end_is_what_the_exchange_holds(run: Run, exchange: PaperExchange) -> None:
    assert_futures_account(exchange, run.account, *raw(run))
    for order in run["orders"]:
        assert order["filled"] == float(order["info"]["executedQty"])
    for fill in run["fills"]:
        assert fill["fee"]["cost"] == float(fill["info"]["commission"])


def test_watches_the_market(live: Run) -> None:
    assert live["watch_ticker"]["symbol"] == S
    assert all(trade["symbol"] == S for trade in live["watch_trades"])
    (opened, high, low, close) = live["watch_ohlcv"][-1][1:5]
    assert low <= min(opened, close) <= max(opened, close) <= high
    assert_book(live["watch_order_book"]["bids"], live["watch_order_book"]["asks"])
    assert live["watch_bids_asks"][S]["bid"] < live["watch_bids_asks"][S]["ask"]
    assert abs(live["watch_mark_price"]["markPrice"] / live["watch_order_book"]["bids"][0][0] - 1) < 0.02


def test_the_watched_book_equals_the_book_of_a_market_that_stands_still(live: Run) -> None:
    for side in ("bids", "asks"):
        kept, exact = live["still_book"][side]
        assert len(exact) > 10
        assert kept == exact


def test_trades_over_its_sockets(live: Run) -> None:
    assert live["limit_over_socket"]["status"] == "open"
    assert live["edit_over_socket"]["amount"] == 0.02
    assert live["cancel_over_socket"]["status"] == "canceled"
    assert live["market_over_socket"]["id"]
    assert "-2019" in live.error("too_large_over_socket").text
    assert [row["contracts"] for row in live["positions_over_socket"]] == [0.015]
    (row,) = [row for row in live["balance_over_socket"]["info"]["assets"] if row["asset"] == "USDT"]
    assert row["walletBalance"] == raw(live)[2]


def test_watches_its_own_orders_fills_position_and_balance(live: Run, exchange: PaperExchange) -> None:
    seen = live["seen"]
    assert {order["status"] for order in seen["orders"]} >= {"open", "canceled", "closed"}
    fills = ledger_fills(exchange.ledger(live.account), "usdm")
    assert [(int(trade["id"]), Decimal(str(trade["amount"]))) for trade in seen["fills"]] == [
        (fill.trade_id, fill.quantity) for fill in fills
    ]
    assert seen["positions"][-1]["contracts"] == float(net_position(fills)) == 0.015
    assert seen["balance"]["USDT"]["total"] == float(raw(live)[2])
    for step in ("watch_orders", "watch_my_trades", "watch_positions", "watch_balance"):
        assert live[step] is None
    assert_futures_account(exchange, live.account, *raw(live))


def raw(run: Run) -> tuple[list[Any], list[Any], Any]:
    """The exchange's own text, which ccxt keeps beside its floats."""
    wallet = next(row["walletBalance"] for row in run["balance"]["info"]["assets"] if row["asset"] == "USDT")
    return [order["info"] for order in run["orders"]], [fill["info"] for fill in run["fills"]], wallet
