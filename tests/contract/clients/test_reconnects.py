"""Market streams that the exchange cuts, and the clients' own ways back to them."""

from __future__ import annotations

import pytest

from .exchange import PaperExchange
from .runs import run_script


# Not the SDKs: cut off without a closing handshake they neither tell nor connect again.
@pytest.mark.parametrize("client", ["python-binance", "ccxt"])
def test_a_client_whose_stream_was_cut_tells_and_goes_on_with_later_trades(
    exchange: PaperExchange, client: str
) -> None:
    run = run_script(client, "reconnecting.py", exchange, exchange.open_account(), client)
    assert run["resumed"] is None
    seen = run["seen"]
    assert max(int(trade) for trade in seen["before"]) < min(int(trade) for trade in seen["after"])
    assert seen["told"]
