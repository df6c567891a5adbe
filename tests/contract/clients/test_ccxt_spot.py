"""ccxt and ccxt.pro, unchanged, on the spot market."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from .checks import assert_bars, assert_book, assert_spot_account, only
from .exchange import SPOT_MONEY, PaperExchange
from .keys import ed25519_account
from .ledger import ledger_fills, ledger_orders
from .runs import Run, run_script

SPOT = {"BNB/USDT", "BTC/USDT", "ETH/USDT"}


@pytest.fixture(scope="module", params=["default", pytest.param("lean", marks=pytest.mark.long)])
def run(request: pytest.FixtureRequest, exchange: PaperExchange) -> Run:
    """The same walk with ccxt's own options and with those that leave margin and coin-M out."""
    return run_script("ccxt", "ccxt_spot.py", exchange, exchange.open_account(), request.param)


@pytest.fixture(scope="module")
def signed_with_ed25519(exchange: PaperExchange, tmp_path_factory: pytest.TempPathFactory) -> Run:
    account, key = ed25519_account(exchange, tmp_path_factory.mktemp("key"))
    return run_script("ccxt", "ccxt_spot.py", exchange, account, "lean", str(key))


@pytest.fixture(scope="module")
def live(exchange: PaperExchange) -> Run:
    return run_script("ccxt", "ccxt_pro_spot.py", exchange, exchange.open_account())


def test_loads_the_markets(run: Run) -> None:
    assert set(run["markets"]["names"]) >= SPOT
    market = run["markets"]["btc"]
    assert (market["id"], market["spot"], market["active"]) == ("BTCUSDT", True, True)
    assert Decimal(str(market["precision"]["price"])) == Decimal("0.01")
    assert Decimal(str(market["precision"]["amount"])) == Decimal("0.00001")
    assert {"BTC", "ETH", "BNB", "USDT"} <= set(run["currencies"])


def test_reads_market_data(run: Run) -> None:
    assert run["ticker"]["low"] <= run["ticker"]["last"] <= run["ticker"]["high"]
    assert run["tickers"] == run["bids_asks"] == ["BTC/USDT", "ETH/USDT"]
    assert_book(run["order_book"]["bids"], run["order_book"]["asks"])
    assert_bars(run["ohlcv"], 20)
    assert len(run["trades"]) == 5
    assert (run["fee"]["maker"], run["fee"]["taker"]) == (0.001, 0.001)


def test_reads_the_account_it_was_given(run: Run) -> None:
    held = {asset: total for asset, total in run["balance_at_first"].items() if total}
    assert held == {asset: float(amount) for asset, amount in SPOT_MONEY.items()}


def test_places_market_limit_and_post_only_orders(run: Run) -> None:
    assert (run["limit"]["status"], run["limit"]["filled"]) == ("open", 0)
    assert (run["market"]["status"], run["market"]["filled"]) == ("closed", 0.02)
    assert 490 < run["market_cost"]["cost"] <= 500
    assert run["post_only"]["id"] in run["open_orders"]
    assert run["query"]["id"] == run["limit"]["id"]


def test_places_stop_take_profit_and_oco_orders(run: Run, exchange: PaperExchange) -> None:
    orders = ledger_orders(exchange.ledger(run.account), "spot")
    assert only(orders, int(run["stop_loss_limit"]["id"])).type == "STOP_LOSS_LIMIT"
    assert only(orders, int(run["stop_market"]["id"])).type == "STOP_LOSS"
    assert only(orders, int(run["take_profit"]["id"])).type == "TAKE_PROFIT_LIMIT"
    assert {only(orders, int(leg["orderId"])).type for leg in run["oco"]["orders"]} == {
        "LIMIT_MAKER",
        "STOP_LOSS_LIMIT",
    }
    assert only(orders, int(run["cancel"]["id"])).status == "CANCELED"


def test_edits_an_order_by_replacing_it(run: Run, exchange: PaperExchange) -> None:
    orders = ledger_orders(exchange.ledger(run.account), "spot")
    assert only(orders, int(run["limit"]["id"])).status == "CANCELED"
    assert only(orders, int(run["edit"]["id"])).quantity == Decimal("0.02")


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("too_large", "InsufficientFunds"),
        ("too_small", "BadRequest"),
        ("unknown_order", "OrderNotFound"),
        ("would_take", "OrderImmediatelyFillable"),
        ("bad_secret", "AuthenticationError"),
    ],
)
def test_raises_its_own_exception_for_a_refusal(run: Run, step: str, kind: str) -> None:
    assert run.error(step).kinds[0] == kind


def test_what_it_reads_at_the_end_is_what_the_exchange_holds(run: Run, exchange: PaperExchange) -> None:
    assert_spot_account(exchange, run.account, *raw(run))
    assert_unified_agrees(run)


def test_signs_with_an_ed25519_key_as_well(signed_with_ed25519: Run, exchange: PaperExchange) -> None:
    assert signed_with_ed25519["market"]["status"] == "closed"
    assert signed_with_ed25519["edit"]["status"] == "open"
    assert_spot_account(exchange, signed_with_ed25519.account, *raw(signed_with_ed25519))


def test_watches_the_market(live: Run) -> None:
    assert live["watch_ticker"]["symbol"] == "BTC/USDT"
    assert all(trade["symbol"] == "BTC/USDT" for trade in live["watch_trades"])
    (opened, high, low, close) = live["watch_ohlcv"][-1][1:5]
    assert low <= min(opened, close) <= max(opened, close) <= high
    assert_book(live["watch_order_book"]["bids"], live["watch_order_book"]["asks"])
    top = live["watch_bids_asks"]["BTC/USDT"]
    assert top["bid"] < top["ask"]


def test_the_watched_book_equals_the_book_of_a_market_that_stands_still(live: Run) -> None:
    for side in ("bids", "asks"):
        kept, exact = live["still_book"][side]
        assert len(exact) > 10
        assert kept == exact


def test_trades_over_its_sockets(live: Run) -> None:
    assert live["limit_over_rest"]["status"] == live["limit_over_socket"]["status"] == "open"
    assert live["edit_over_socket"]["amount"] == 0.02
    assert {order["id"] for order in live["open_over_socket"]} == {
        live["limit_over_rest"]["id"],
        live["edit_over_socket"]["id"],
    }
    assert live["cancel"]["status"] == "canceled"
    assert live["market_over_socket"]["status"] == "closed"
    assert live.error("too_large_over_socket").kinds[0] == "InsufficientFunds"


def test_watches_its_own_orders_fills_and_balance(live: Run, exchange: PaperExchange) -> None:
    assert {order["status"] for order in live["watch_orders"]} == {"open", "canceled", "closed"}
    fills = ledger_fills(exchange.ledger(live.account), "spot")
    assert [(int(trade["id"]), Decimal(str(trade["amount"]))) for trade in live["watch_my_trades"]] == [
        (fill.trade_id, fill.quantity) for fill in fills
    ]
    bought = Decimal("0.015") - sum((fill.commission for fill in fills), Decimal())
    assert Decimal(str(live["watch_balance"]["BTC"]["total"])) == Decimal(SPOT_MONEY["BTC"]) + bought
    # ccxt 4.5.90 leaves the unified part of this answer empty; what the exchange sent is whole.
    assert live["balance_over_socket"]["info"]["balances"] == live["balance"]["info"]["balances"]
    assert_spot_account(exchange, live.account, *raw(live))


def raw(run: Run) -> tuple[list[Any], list[Any], list[Any]]:
    """The exchange's own text, which ccxt keeps beside its floats."""
    return (
        [order["info"] for order in run["orders"]],
        [fill["info"] for fill in run["fills"]],
        run["balance"]["info"]["balances"],
    )


def assert_unified_agrees(run: Run) -> None:
    """ccxt's floats are the nearest to the exchange's decimals."""
    for order in run["orders"]:
        assert order["amount"] == float(order["info"]["origQty"])
        assert order["filled"] == float(order["info"]["executedQty"])
    for fill in run["fills"]:
        assert (fill["amount"], fill["price"]) == (float(fill["info"]["qty"]), float(fill["info"]["price"]))
        assert fill["fee"]["cost"] == float(fill["info"]["commission"])
