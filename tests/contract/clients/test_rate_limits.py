"""The request limit as the clients meet it: the weight they are told, and the exception they raise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .exchange import PaperExchange, running_exchange
from .runs import run_script


@pytest.fixture
def exchange() -> Iterator[PaperExchange]:
    """One per test, as all clients here share one address; its limits are on, as they are by default."""
    with running_exchange("--speed", "0") as running:
        yield running


@pytest.mark.parametrize(
    ("client", "exception", "text"),
    [
        ("python-binance", "BinanceAPIException", "-1003"),
        ("ccxt", "DDoSProtection", "429"),
        ("sdk", "TooManyRequestsError", "-1003"),
    ],
)
def test_a_client_above_the_weight_of_a_minute_raises_its_own_exception(
    exchange: PaperExchange, client: str, exception: str, text: str
) -> None:
    run = run_script(client, "rate_limited.py", exchange, exchange.open_account(), client)
    refused = run.error("refused")
    assert refused.kinds[0] == exception
    assert text in refused.text
    # 24 requests of weight 250 are the 6000 of a minute. A minute may have begun during the run.
    assert run["used"][0] == 250
    assert max(run["used"]) == 6000
