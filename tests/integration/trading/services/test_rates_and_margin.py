"""What the rails count over real rows: orders in a sliding minute, margin by brackets, prevention as sent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from nautilus_site.common.clock import now
from trading.domain.ports import FuturesMode, LeverageBracket
from trading.domain.prevention import SelfTradePrevention
from trading.models import MarginTerms, Order
from trading.services.execution.authorise import venue_order
from trading.services.margin_state import margin_read, margin_terms_note
from trading.services.orders import OrderDenied
from universe.models import Quote

if TYPE_CHECKING:
    from tests.factories.futures import Futures
    from tests.factories.trading import Desk

UNITS = 10**8


def denial(desk: Desk, **changes: Any) -> OrderDenied:
    with pytest.raises(OrderDenied) as error:
        desk.submit("BUY", "0.001", **changes)
    return error.value


def asked(order: Order, ago: timedelta) -> None:
    Order.objects.filter(pk=order.pk).update(created_at=now() - ago)


def test_the_window_of_the_order_rate_slides_and_does_not_start_with_the_minute(desk: Desk) -> None:
    desk.limit(orders_per_minute=3)
    first, second, third = (desk.submit("BUY", "0.001", key=f"r{n}") for n in range(3))
    asked(first, timedelta(seconds=59))
    asked(second, timedelta(seconds=31))
    asked(third, timedelta(seconds=29))
    no = denial(desk, key="r3")
    assert (no.code, no.extra["rail"], no.extra["measured"]) == ("RATE_LIMITED", "order_rate", 4)
    assert 0 < no.extra["retry_after"] <= 1
    # Across a minute's turn, three in the last 60 s are three, wherever the minute began.
    asked(first, timedelta(seconds=60))
    assert desk.submit("BUY", "0.001", key="r4").status == "RESERVED"
    no = denial(desk, key="r5")
    assert 28 < no.extra["retry_after"] <= 29


def test_after_the_limit_was_lowered_the_wait_is_for_as_many_as_are_too_many(desk: Desk) -> None:
    orders = [desk.submit("BUY", "0.001", key=f"l{n}") for n in range(4)]
    for order, ago in zip(orders, (50, 40, 30, 20), strict=True):
        asked(order, timedelta(seconds=ago))
    desk.limit(orders_per_minute=2)
    # room for one is there when but one of the four is left: after the third, asked for 30 s ago, has gone
    assert 29 < denial(desk, key="l9").extra["retry_after"] <= 30
    desk.limit(orders_per_minute=0)
    assert denial(desk, key="l10").extra["retry_after"] == 60


def test_a_strategys_own_rate_counts_its_own_orders(desk: Desk) -> None:
    desk.limit(orders_per_minute_strategy=1)
    own = {"strategy": desk.strategies["trend"], "origin": Order.Origin.STRATEGY}
    asked(desk.submit("BUY", "0.001", **own), timedelta(seconds=45))
    assert desk.submit("BUY", "0.001").status == "RESERVED"
    no = denial(desk, **own)
    assert no.extra["rail"] == "order_rate_strategy"
    assert 14 < no.extra["retry_after"] <= 15


def test_an_order_carries_the_mode_of_prevention_its_instrument_takes(desk: Desk) -> None:
    assert venue_order(desk.submit("BUY", "0.001", price="59500")).prevention is None
    desk.btc.filters = desk.btc.filters | {
        "allowedSelfTradePreventionModes": ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER"]
    }
    desk.btc.version += 1
    desk.btc.save()
    entry = desk.send(desk.submit("BUY", "0.01", price="60010"))
    assert venue_order(entry).prevention is SelfTradePrevention.EXPIRE_TAKER
    leaving = desk.submit("SELL", "0.005", price="59990", origin=Order.Origin.FLATTEN)
    assert venue_order(leaving).prevention is SelfTradePrevention.EXPIRE_MAKER


# -- margin ------------------------------------------------------------------------------------

TABLE = (
    LeverageBracket(Decimal(50_000), Decimal("0.004"), Decimal(0)),
    LeverageBracket(Decimal(250_000), Decimal("0.005"), Decimal(50)),
    LeverageBracket(Decimal(1_000_000), Decimal("0.01"), Decimal(1_300)),
)


@pytest.fixture
def futures(db: None) -> Futures:
    from tests.factories.futures import futures_account

    return futures_account()


def test_margin_is_read_with_the_brackets_the_venue_has_told(futures: Futures) -> None:
    mode = FuturesMode(False, False, {"BTCUSDT": 4}, {"BTCUSDT": False}, {"BTCUSDT": TABLE})
    assert margin_terms_note(futures.account, mode) == 1
    futures.fill("BUY", "2", "60000")
    futures.quote("61999", "62001")
    Quote.objects.update(mark_price=Decimal("62500"))
    setup, margin = margin_read(futures.account, futures.instrument, Decimal("0.01"))
    assert setup is not None
    assert (setup.leverage, setup.hedge, setup.isolated) == (4, False, False)
    assert margin is not None
    # 2 BTC at the mark of 62,500 are 125,000: won 5,000, and a quarter is tied up
    wallet = futures.wallet("USDT")
    assert margin.balance == int((wallet + 5_000) * UNITS)
    assert margin.available == int((wallet + 5_000 - 31_250) * UNITS)
    (held,) = margin.held
    assert (held.notional, held.short, held.traded) == (125_000 * UNITS, False, True)
    assert [(b.cap // UNITS, b.rate, b.cum // UNITS) for b in margin.brackets] == [
        (50_000, 400_000, 0),
        (250_000, 500_000, 50),
        (1_000_000, 1_000_000, 1_300),
    ]
    assert held.brackets == margin.brackets


def test_the_other_side_of_hedge_mode_is_held_and_not_the_one_an_order_is_about(futures: Futures) -> None:
    futures.fill("SELL", "0.1", "60000", position_side="SHORT")
    futures.quote("60000", "60000")
    _, margin = margin_read(futures.account, futures.instrument, Decimal("0.02"), "LONG")
    assert margin is not None
    (held,) = margin.held
    assert (held.notional, held.short, held.traded) == (6_000 * UNITS, True, False)
    # its brackets were never read: the assumed rate stands for them
    assert [b.rate for b in held.brackets] == [2_000_000]


def test_a_position_without_a_price_makes_the_margin_unknown(futures: Futures) -> None:
    MarginTerms.objects.create(
        account=futures.account, instrument=futures.instrument, leverage=3, seen_at=now()
    )
    futures.fill("BUY", "0.1", "60000")
    Quote.objects.update(bid=None, ask=None, mark_price=None)
    setup, margin = margin_read(futures.account, futures.instrument, Decimal("0.01"))
    assert setup is not None
    assert setup.leverage == 3
    assert margin is None


def test_an_account_never_read_has_neither_mode_nor_margin(futures: Futures) -> None:
    futures.account.balances.all().delete()
    assert margin_read(futures.account, futures.instrument, Decimal("0.01")) == (None, None)
