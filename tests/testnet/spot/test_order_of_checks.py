"""A request that is wrong in several ways is refused for the first in the documented order."""

from __future__ import annotations

import pytest

from testnet.errors import ApiError
from testnet.exchange import Exchange
from testnet.listing import SymbolStatus
from testnet.orders import NewOrder

from .exchange_setup import exchange_with, funded, new_order, place

HUGE = 10**8  # steps: more than anybody can pay, and more than the largest order


def crowded() -> Exchange:
    """BTCUSDT at 100 with asks at 101, and an open order called `mine`."""
    exchange = exchange_with()
    user = funded(exchange, "user", usdt=1_000, btc=10)
    exchange.listing("BTCUSDT").book.asks.add(10_100, 1_000)
    place(exchange, user, new_order("BUY", 9_000, 10, client_id="mine"))
    return exchange


CASES = [
    # each row breaks the rule it names and the one after it
    (new_order("BUY", 10**9, HUGE), "PRICE_FILTER"),
    (new_order("BUY", 60_000, HUGE + 1), "PERCENT_PRICE_BY_SIDE"),
    (new_order("BUY", 40_000, HUGE + 1), "LOT_SIZE"),
    (new_order("BUY", 0, HUGE // 4, kind="MARKET"), "MARKET_LOT_SIZE"),
    (new_order("BUY", 40_000, HUGE // 2), "NOTIONAL"),
    (new_order("SELL", 10_100, 110, iceberg=10, client_id="mine"), "ICEBERG_PARTS"),
    (new_order("SELL", 0, 10, kind="STOP_LOSS", trailing=9, client_id="mine"), "TRAILING_DELTA"),
    (new_order("BUY", 9_000, 10**6, client_id="mine"), "Duplicate order sent"),
    (new_order("BUY", 10_100, 10**6, kind="LIMIT_MAKER"), "immediately match and take"),
    (new_order("BUY", 0, 10**6, kind="STOP_LOSS", stop=9_900), "would trigger immediately"),
    (new_order("BUY", 9_000, 10**6), "insufficient balance"),
]


@pytest.mark.parametrize(("request_", "refusal"), CASES, ids=[refusal for _, refusal in CASES])
def test_first_broken_rule_is_the_one_that_is_named(request_: NewOrder, refusal: str) -> None:
    exchange = crowded()
    with pytest.raises(ApiError, match=refusal):
        place(exchange, exchange.accounts.by_id["user"], request_)


@pytest.mark.parametrize(("request_", "refusal"), CASES, ids=[refusal for _, refusal in CASES])
def test_closed_market_comes_before_every_other_rule(request_: NewOrder, refusal: str) -> None:
    exchange = crowded()
    exchange.set_status(exchange.listing("BTCUSDT"), SymbolStatus.HALT)
    with pytest.raises(ApiError, match="Market is closed"):
        place(exchange, exchange.accounts.by_id["user"], request_)
    assert exchange.spot.order_id == 1
