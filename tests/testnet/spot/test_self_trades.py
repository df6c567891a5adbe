"""Self-trade prevention, case by case as the venue's FAQ tells it."""

from __future__ import annotations

import pytest

from testnet.exchange import Exchange
from testnet.orders import Order, Status
from testnet.prevention import prevented_steps

from .exchange_setup import assert_sound, exchange_with, funded, new_order, place

ALICE = "alice"


def book_of_three() -> tuple[Exchange, list[Order]]:
    """Bids of 1.2 at 120, 1.3 at 110 and 8.1 at 100, all of one account."""
    exchange = exchange_with()
    alice = funded(exchange, ALICE)
    makers = [
        place(exchange, alice, new_order("BUY", price, steps))
        for price, steps in ((12_000, 1_200), (11_000, 1_300), (10_000, 8_100))
    ]
    return exchange, makers


def sell(exchange: Exchange, steps: int, mode: str, price: int = 10_000, **more: str) -> Order:
    return place(exchange, exchange.accounts.by_id[ALICE], new_order("SELL", price, steps, stp=mode, **more))  # type: ignore[arg-type]


def test_none_lets_an_account_trade_with_itself() -> None:
    exchange, makers = book_of_three()
    taker = sell(exchange, 1_200, "NONE")
    assert (taker.status, makers[0].status) == (Status.FILLED, Status.FILLED)
    assert_sound(exchange)


def test_expire_maker_clears_the_way_and_rests() -> None:
    exchange, makers = book_of_three()
    taker = sell(exchange, 3_000, "EXPIRE_MAKER")
    assert [(m.status, m.prevented) for m in makers] == [
        (Status.EXPIRED_IN_MATCH, 1_200),
        (Status.EXPIRED_IN_MATCH, 1_300),
        (Status.EXPIRED_IN_MATCH, 8_100),
    ]
    assert (taker.status, taker.executed, taker.prevented) == (Status.NEW, 0, 0)
    assert exchange.listing("BTCUSDT").book.asks.top(1) == [(10_000, 3_000)]
    matches = list(exchange.spot.prevented)
    assert [(m.maker_id, m.price, m.maker_steps, m.taker_steps) for m in matches] == [
        (makers[0].order_id, 12_000, 1_200, 0),
        (makers[1].order_id, 11_000, 1_300, 0),
        (makers[2].order_id, 10_000, 8_100, 0),
    ]
    assert_sound(exchange)


def test_expire_taker_leaves_the_book_alone() -> None:
    exchange, makers = book_of_three()
    taker = sell(exchange, 3_000, "EXPIRE_TAKER")
    assert (taker.status, taker.prevented) == (Status.EXPIRED_IN_MATCH, 3_000)
    assert [maker.status for maker in makers] == [Status.NEW] * 3
    assert_sound(exchange)


def test_expire_both_ends_both() -> None:
    exchange, makers = book_of_three()
    taker = sell(exchange, 3_000, "EXPIRE_BOTH")
    assert (taker.status, taker.prevented) == (Status.EXPIRED_IN_MATCH, 3_000)
    assert [m.status for m in makers] == [Status.EXPIRED_IN_MATCH, Status.NEW, Status.NEW]
    assert_sound(exchange)


def test_decrement_takes_the_smaller_quantity_off_both() -> None:
    exchange = exchange_with()
    alice = funded(exchange, ALICE)
    maker = place(exchange, alice, new_order("BUY", 10_000, 6_000))
    taker = sell(exchange, 2_000, "DECREMENT")
    assert (maker.status, maker.prevented, maker.remaining) == (Status.NEW, 2_000, 4_000)
    assert (taker.status, taker.prevented) == (Status.EXPIRED_IN_MATCH, 2_000)
    assert maker.prevented_match_id == taker.prevented_match_id == 1
    assert exchange.listing("BTCUSDT").book.bids.top(1) == [(10_000, 4_000)]
    # What the maker lost is free again: 2.0 at 100.
    assert_sound(exchange)


def test_market_order_that_expires_its_makers_and_finds_nothing_else_expires_for_want_of_a_book() -> None:
    exchange = exchange_with()
    alice = funded(exchange, ALICE)
    maker = place(exchange, alice, new_order("BUY", 10_000, 1_000))
    taker = place(exchange, alice, new_order("SELL", 0, 1_000, kind="MARKET", stp="EXPIRE_MAKER"))
    assert maker.status is Status.EXPIRED_IN_MATCH
    assert (taker.status, taker.expiry_reason) == (Status.EXPIRED, "INSUFFICIENT_LIQUIDITY")


def test_mode_of_the_taker_decides_and_strangers_are_not_protected_from_each_other() -> None:
    exchange = exchange_with()
    alice, bob = funded(exchange, ALICE), funded(exchange, "bob")
    hers = place(exchange, alice, new_order("BUY", 10_000, 10, stp="EXPIRE_MAKER"))
    taker = place(exchange, alice, new_order("SELL", 10_000, 10, stp="EXPIRE_TAKER"))
    assert (hers.status, taker.status) == (Status.NEW, Status.EXPIRED_IN_MATCH)
    stranger = place(exchange, bob, new_order("SELL", 10_000, 10, stp="EXPIRE_BOTH"))
    assert (hers.status, stranger.status) == (Status.FILLED, Status.FILLED)


def test_market_buy_that_passes_its_own_orders_by_is_priced_without_them() -> None:
    exchange = exchange_with()
    alice = funded(exchange, ALICE, usdt=150, btc=2)
    place(exchange, alice, new_order("SELL", 10_000, 1_000))
    exchange.listing("BTCUSDT").book.asks.add(20_000, 1_000)
    # At 100 her own coin would be affordable; the next costs 200, which she does not have.
    bought = new_order("BUY", 0, 1_000, kind="MARKET", stp="EXPIRE_MAKER")
    with pytest.raises(Exception, match="insufficient balance"):
        place(exchange, alice, bought)


@pytest.mark.parametrize(
    ("mode", "lost"),
    [("EXPIRE_TAKER", (3, 0)), ("EXPIRE_MAKER", (0, 5)), ("EXPIRE_BOTH", (3, 5)), ("DECREMENT", (3, 3))],
)
def test_each_mode_takes_what_the_faq_says(mode: str, lost: tuple[int, int]) -> None:
    assert prevented_steps(mode, 3, 5) == lost


def test_no_mode_prevents_nothing() -> None:
    with pytest.raises(ValueError, match="expected one of"):
        prevented_steps("NONE", 3, 5)
