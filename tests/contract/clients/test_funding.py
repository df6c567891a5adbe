"""Funding as a client sees it, in a market that is moved to its funding time by hand."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from .checks import assert_futures_account
from .exchange import PaperExchange, running_exchange
from .runs import Run, run_script


@pytest.fixture(scope="module")
def exchange() -> Iterator[PaperExchange]:
    """A market that stands still, a quarter of an hour before a funding time."""
    with running_exchange("--speed", "0", "--start", "2026-06-01T07:45:00") as running:
        yield running


@pytest.fixture(scope="module")
def run(exchange: PaperExchange) -> Run:
    return run_script(
        "python-binance", "python_binance_funding.py", exchange, exchange.open_futures_account()
    )


def test_a_short_is_paid_what_its_notional_at_the_mark_price_earns(run: Run) -> None:
    (rate,) = [row for row in run["rates"] if row["fundingTime"] == run["funded"]["nextFundingTime"]]
    (income,) = run["income"]
    # Longs pay shorts a positive rate: 0.5 BTC at the mark price of the funding time, cut to eight decimals.
    expected = Decimal("0.500") * Decimal(rate["markPrice"]) * Decimal(rate["fundingRate"])
    assert abs(Decimal(income["income"]) - expected) < Decimal("0.00000001")
    assert (income["asset"], income["symbol"], income["time"]) == ("USDT", "BTCUSDT", rate["fundingTime"])


def test_the_wallet_moved_by_the_funding_and_the_commission(run: Run, exchange: PaperExchange) -> None:
    wallet = run["account"]["totalWalletBalance"]
    assert_futures_account(exchange, run.account, run["orders"], run["fills"], wallet)
