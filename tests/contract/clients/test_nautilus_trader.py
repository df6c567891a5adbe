"""NautilusTrader's live Binance adapter, unchanged: a whole node from reconciliation to its stop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from .checks import net_position
from .exchange import FUTURES_MONEY, SPOT_MONEY, PaperExchange, running_exchange
from .ledger import ledger_balances, ledger_fills, ledger_orders, ledger_wallet
from .runs import Run, run_script

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def exchange() -> Iterator[PaperExchange]:
    """Fast enough that the first one-minute bar closes after two seconds; rate limits are on."""
    with running_exchange("--speed", "30") as running:
        yield running


@dataclass(frozen=True, slots=True)
class Walk:
    """A node's run, and the order that was there before it started."""

    run: Run
    earlier_id: int
    market: str


@pytest.fixture(scope="module")
def spot(exchange: PaperExchange) -> Walk:
    account = exchange.open_account()
    earlier = exchange.rest_order(account, "/api/v3/order")
    return Walk(run_script("nautilus", "nautilus_live.py", exchange, account, "spot"), earlier, "spot")


@pytest.fixture(scope="module")
def futures(exchange: PaperExchange) -> Walk:
    account = exchange.open_futures_account()
    earlier = exchange.rest_order(account, "/fapi/v1/order")
    return Walk(run_script("nautilus", "nautilus_live.py", exchange, account, "futures"), earlier, "usdm")


@pytest.fixture(params=["spot", "futures"])
def walk(request: pytest.FixtureRequest) -> Walk:
    """The same claims hold on both markets."""
    found: Walk = request.getfixturevalue(request.param)
    return found


def test_reconciles_an_order_placed_before_it_started(walk: Walk) -> None:
    assert [int(row[1]) for row in walk.run["reconciled"]["open"]] == [walk.earlier_id]


def test_knows_the_balances_at_the_start(walk: Walk) -> None:
    expected = SPOT_MONEY if walk.market == "spot" else FUTURES_MONEY
    held = {asset: Decimal(total) for asset, total in walk.run["reconciled"]["balances"].items()}
    assert {asset: total for asset, total in held.items() if total} == {
        asset: Decimal(amount) for asset, amount in expected.items()
    }


def test_receives_quotes_trades_bars_and_book(walk: Walk) -> None:
    expected = {"quote", "trade", "bar", "deltas"} | ({"mark"} if walk.market == "usdm" else set())
    assert walk.run["data"].keys() == expected


def test_the_trades_it_receives_are_of_its_own_market(walk: Walk, exchange: PaperExchange) -> None:
    # "BTCUSDT.BINANCE,price,size,aggressor,id,time": spot and futures have the same symbol.
    _, price, size, _, trade_id, _ = walk.run["data"]["trade"].split(",")
    root = "/api/v3" if walk.market == "spot" else "/fapi/v1"
    (row,) = exchange.get(f"{root}/historicalTrades", symbol="BTCUSDT", fromId=trade_id, limit="1")
    assert row["id"] == int(trade_id)
    assert (Decimal(row["price"]), Decimal(row["qty"])) == (Decimal(price), Decimal(size))


def test_follows_its_orders_to_the_end(walk: Walk) -> None:
    walk.run["walk"]  # it ran to its end and was not cut off
    names = [row["event"] for row in walk.run["events"]]
    assert "OrderFilled" in names
    if walk.market == "spot":
        assert "OrderRejected" not in names
        assert (names.count("OrderAccepted"), names.count("OrderCanceled")) == (3, 2)
    else:
        assert (names.count("OrderAccepted"), names.count("OrderCanceled")) == (2, 1)


def test_a_conditional_order_of_this_version_meets_the_venues_refusal_on_futures(
    futures: Walk, exchange: PaperExchange
) -> None:
    # It still sends STOP_MARKET to the order endpoint, which the venue moved to the algo endpoint.
    (rejected,) = [row for row in futures.run["events"] if row["event"] == "OrderRejected"]
    (reason,) = [row["reason"] for row in futures.run["events"] if "reason" in row]
    assert "-4120" in reason
    assert rejected["client_order_id"] not in {
        order.client_order_id for order in ledger_orders(exchange.ledger(futures.run.account), "usdm")
    }


def test_its_fill_is_the_exchanges_to_the_digit(walk: Walk, exchange: PaperExchange) -> None:
    fill = walk.run["fill"]
    told = ledger_fills(exchange.ledger(walk.run.account), walk.market)[-1]
    assert (int(fill["trade_id"]), int(fill["venue_order_id"])) == (told.trade_id, told.order_id)
    assert (Decimal(fill["price"]), Decimal(fill["quantity"])) == (told.price, told.quantity)
    assert (Decimal(fill["commission"]), fill["currency"]) == (told.commission, told.commission_asset)
    assert fill["maker"] is told.maker is False


def test_ends_with_the_exchanges_balances_and_position(walk: Walk, exchange: PaperExchange) -> None:
    ledger, account_id = exchange.ledger(walk.run.account), walk.run.account.account_id
    final = {asset: Decimal(total) for asset, total in walk.run["final"]["balances"].items()}
    if walk.market == "spot":
        expected = {asset: sum(pair) for asset, pair in ledger_balances(ledger, account_id).items()}
        assert {asset: total for asset, total in final.items() if total} == expected
    else:
        assert final["USDT"] == ledger_wallet(ledger, account_id)
        assert Decimal(walk.run["final"]["net_position"]) == net_position(ledger_fills(ledger, "usdm"))


def test_stops_and_leaves_only_what_was_there_before(walk: Walk, exchange: PaperExchange) -> None:
    assert walk.run["stopped"] is True
    orders = ledger_orders(exchange.ledger(walk.run.account), walk.market)
    assert [order.order_id for order in orders if order.status == "NEW"] == [walk.earlier_id]
