"""The official spot SDK, unchanged."""

from __future__ import annotations

from decimal import Decimal

import pytest

from .checks import assert_bars, assert_book, assert_spot_account, only
from .exchange import PaperExchange
from .keys import ed25519_account
from .ledger import ledger_orders
from .runs import Run, run_script


@pytest.fixture(scope="module")
def run(exchange: PaperExchange) -> Run:
    return run_script("sdk", "sdk_spot.py", exchange, exchange.open_account())


@pytest.fixture(scope="module")
def logged_on(exchange: PaperExchange, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """With an Ed25519 key, which is what `session.logon` needs."""
    account, key = ed25519_account(exchange, tmp_path_factory.mktemp("key"))
    return run_script("sdk", "sdk_spot.py", exchange, account, str(key))


def test_answers_have_the_types_its_models_declare(run: Run) -> None:
    assert "Pydantic" not in run.stderr
    assert "validation error" not in run.stderr


def test_reads_market_data(run: Run) -> None:
    assert {row["symbol"] for row in run["exchange_info"]["symbols"]} == {"BTCUSDT", "ETHUSDT"}
    assert_book(run["depth"]["bids"], run["depth"]["asks"])
    assert_bars(run["klines"], 20)
    assert [len(rows) for rows in run["trades"]] == [5, 5]
    day, average = run["ticker"]
    assert Decimal(day["lowPrice"]) <= Decimal(average["price"]) <= Decimal(day["highPrice"])
    assert Decimal(run["commission"]["standardCommission"]["maker"]) == Decimal("0.001")


def test_reads_the_ticker_of_a_rolling_window(run: Run) -> None:
    assert run["rolling_ticker"]["symbol"] == "BTCUSDT"


def test_places_limit_market_and_stop_orders(run: Run, exchange: PaperExchange) -> None:
    assert (run["limit"]["status"], run["market"]["status"]) == ("NEW", "FILLED")
    assert run["query"]["orderId"] == run["limit"]["orderId"]
    stop = only(ledger_orders(exchange.ledger(run.account), "spot"), run["stop_loss_limit"]["orderId"])
    assert (stop.type, stop.status) == ("STOP_LOSS_LIMIT", "CANCELED")


def test_places_an_oco_finds_and_cancels_it(run: Run, exchange: PaperExchange) -> None:
    one, listed, every = run["order_lists"]
    oco = run["oco"]
    assert one["orderListId"] == oco["orderListId"]
    assert (
        [row["orderListId"] for row in listed]
        == [row["orderListId"] for row in every]
        == [oco["orderListId"]]
    )
    assert run["cancel_list"]["listOrderStatus"] == "ALL_DONE"
    orders = ledger_orders(exchange.ledger(run.account), "spot")
    legs = [only(orders, leg["orderId"]) for leg in oco["orders"]]
    assert {leg.type for leg in legs} == {"LIMIT_MAKER", "STOP_LOSS"}
    assert {leg.status for leg in legs} == {"CANCELED"}


def test_replaces_and_amends(run: Run, exchange: PaperExchange) -> None:
    replaced = run["cancel_replace"]
    assert (replaced["cancelResult"], replaced["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    amended = only(
        ledger_orders(exchange.ledger(run.account), "spot"), replaced["newOrderResponse"]["orderId"]
    )
    assert amended.quantity == Decimal(run["amend"]["amendedOrder"]["qty"]) == Decimal("0.015")


@pytest.mark.parametrize(
    ("step", "kind", "code"),
    [
        ("too_large", "BadRequestError", -2010),
        ("unknown_order", "BadRequestError", -2013),
        ("bad_key", "UnauthorizedError", -2015),
    ],
)
def test_raises_its_own_exception_for_a_refusal(run: Run, step: str, kind: str, code: int) -> None:
    assert run.error(step).kinds[0] == kind
    assert str(code) in run.error(step).text


def test_trades_over_the_websocket_api(run: Run) -> None:
    depth, klines, ticker = run["ws_market_data"]
    assert_book(depth["bids"], depth["asks"])
    assert (len(klines), ticker["symbol"]) == (5, "BTCUSDT")
    assert (run["ws_limit"]["status"], run["ws_market"]["status"]) == ("NEW", "FILLED")
    assert run["ws_query"]["orderId"] == run["ws_cancel"]["orderId"] == run["ws_limit"]["orderId"]
    assert run.error("ws_too_large").code == -2010


def test_the_user_stream_tells_its_orders(run: Run) -> None:
    told = {(event["i"], event["x"]) for event in run["user_events"] if "x" in event}
    assert {(run["ws_limit"]["orderId"], "NEW"), (run["ws_limit"]["orderId"], "CANCELED")} <= told
    assert (run["ws_market"]["orderId"], "TRADE") in told


def test_market_streams_bring_every_kind_of_event(run: Run) -> None:
    assert (
        run["stream_trade"]["s"]
        == run["stream_agg_trade"]["s"]
        == run["stream_book_ticker"]["s"]
        == "BTCUSDT"
    )
    assert run["stream_kline"]["k"]["i"] == "1m"
    assert run["stream_depth"]["U"] <= run["stream_depth"]["u"]
    assert_book(run["stream_partial_depth"]["bids"], run["stream_partial_depth"]["asks"])


def test_logs_on_with_an_ed25519_key(logged_on: Run) -> None:
    assert logged_on["logon"]["apiKey"] == logged_on["session"]["apiKey"] == logged_on.account.api_key
    assert logged_on["ws_market"]["status"] == "FILLED"
    assert logged_on["market"]["status"] == "FILLED"  # over REST, signed with the same key


@pytest.mark.parametrize("who", ["run", "logged_on"])
def test_what_it_reads_at_the_end_is_what_the_exchange_holds(
    who: str, request: pytest.FixtureRequest, exchange: PaperExchange
) -> None:
    done: Run = request.getfixturevalue(who)
    assert_spot_account(exchange, done.account, done["orders"], done["fills"], done["balances"])
