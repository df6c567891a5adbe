"""The examples of the documentation, run as they stand there."""

from __future__ import annotations

from decimal import Decimal

import pytest

from .exchange import PaperExchange
from .ledger import ledger_fills, ledger_position
from .runs import EXAMPLES, run_example

# Command, where its library lives, and the net quantity of BTC it trades on spot and on futures.
TRADES = [
    ("python_binance.py", "python-binance", "0.01", "0.01"),
    ("ccxt_example.py", "ccxt", "0.01", "-0.01"),
    ("ccxt_pro.py", "ccxt", "0.01", "0.01"),
    ("sdk_spot.py", "sdk", "0", "0"),
    ("sdk_usdm.py", "sdk", "0", "0.01"),
    ("nautilus_node.py SPOT", "nautilus", "0.01", "0"),
    ("nautilus_node.py USDT_FUTURES", "nautilus", "0", "0.01"),
]
SHARED = {"account.py", "ccxt_addresses.py"}


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {
        command.split()[0] for command, *_ in TRADES
    } | SHARED


@pytest.mark.long
@pytest.mark.parametrize(("command", "client", "spot", "futures"), TRADES)
def test_the_example_trades_what_it_says(
    exchange: PaperExchange, command: str, client: str, spot: str, futures: str
) -> None:
    account = exchange.open_futures_account()
    run_example(client, command, exchange, account)
    ledger = exchange.ledger(account)
    fills = ledger_fills(ledger, "spot")
    assert fills or spot == "0"
    assert sum(
        (fill.quantity if fill.side == "BUY" else -fill.quantity for fill in fills), Decimal()
    ) == Decimal(spot)
    assert ledger_position(ledger, "BTCUSDT") == Decimal(futures)


@pytest.mark.long
def test_an_example_without_a_key_opens_an_account_of_its_own(exchange: PaperExchange) -> None:
    before = {row["account_id"] for row in exchange.control("GET", "/accounts")}
    output = run_example("ccxt", "ccxt_example.py", exchange, None)
    (opened,) = {row["account_id"] for row in exchange.control("GET", "/accounts")} - before
    ledger = exchange.control("GET", f"/ledger?account_id={opened}")
    assert "spot order" in output
    assert {row["market"] for row in ledger["fills"]} == {"spot", "usdm"}
