"""USD-M on the paper exchange: positions against positions, strangers' orders, an adoption by two people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.exchange import FuturesExchange, running_exchange
from tests.integration.trading.services.sweeping import later
from trading.domain.ports import VenueOrder
from trading.domain.sweeps import Sweep
from trading.domain.values import OrderType, PositionSide, Side, TimeInForce
from trading.models import (
    Account,
    Divergence,
    Order,
    Position,
    PositionTransfer,
    ReconcileRun,
    SymbolAllowance,
    TradeCursor,
    TradingState,
)
from trading.services.books.verify import books_verify
from trading.services.controls import limits_install, states_install
from trading.services.reconcile import account_reconcile, adopt_request
from universe.adapters.binance import BinanceUsdmMarketData
from universe.models import Instrument, Quote, Venue
from universe.services import instruments_sync

if TYPE_CHECKING:
    from nautilus_site.common.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT") as address:
        yield address


@pytest.fixture
def exchange(url: str) -> FuturesExchange:
    return FuturesExchange(url)


@pytest.fixture
def account(exchange: FuturesExchange) -> Account:
    from nautilus_site.common.clock import now
    from trading.domain.values import Level

    venue = Venue.objects.create(name="binance-usdm", market="usdm", environment="local")
    instruments_sync(venue, BinanceUsdmMarketData(exchange.client))
    account = Account.objects.create(name="futures", venue=venue)
    states_install(level=Level.ACTIVE, reason="test", actor="test")
    limits_install(actor="test")
    instrument = Instrument.objects.get(venue=venue, symbol="BTCUSDT")
    SymbolAllowance.objects.create(account=account, instrument=instrument, added_at=now() - timedelta(days=1))
    bid, ask = exchange.touch()
    Quote.objects.update_or_create(
        instrument=instrument, defaults={"bid": bid, "ask": ask, "received_at": now()}
    )
    return account


def run(account: Account, exchange: FuturesExchange, sweep: Sweep = Sweep.TRADES) -> ReconcileRun:
    trigger = "start" if sweep is Sweep.STARTUP else "periodic"
    done = account_reconcile(account_id=account.pk, venue=exchange.venue, trigger=trigger, sweep=sweep)
    assert done is not None
    return done


def trade(exchange: FuturesExchange, side: str, quantity: str, cid: str) -> None:
    """Somebody else's trade on the same account."""
    bid, ask = exchange.touch()
    price = ask * Decimal("1.01") if side == "BUY" else bid * Decimal("0.99")
    order = VenueOrder(
        "BTCUSDT",
        Side(side),
        OrderType.LIMIT,
        TimeInForce.IOC,
        Decimal(quantity),
        price.quantize(Decimal("0.1")),
        cid,
    )
    exchange.place(order)


def held(account: Account) -> Decimal:
    return Position.objects.get(account=account, instrument__symbol="BTCUSDT").quantity


def test_a_position_from_before_the_books_were_opened_is_no_obstacle(
    account: Account, exchange: FuturesExchange
) -> None:
    """A node refused to start on positions older than its history (pain 6)."""
    trade(exchange, "SELL", "0.05", "before")
    assert run(account, exchange, Sweep.STARTUP).outcome == "clean"
    assert held(account) == Decimal("-0.05")
    trade(exchange, "BUY", "0.02", "after")
    assert run(account, exchange).outcome == "repaired"
    assert held(account) == Decimal("-0.03")
    assert run(account, exchange, Sweep.DEEP).outcome == "clean"


def test_what_a_stranger_trades_is_found_by_the_position_and_adopted(
    account: Account, exchange: FuturesExchange
) -> None:
    assert run(account, exchange, Sweep.STARTUP).outcome == "clean"
    trade(exchange, "BUY", "0.03", "autoclose-1")
    done = run(account, exchange)
    assert (done.outcome, done.report["orders_adopted"]) == ("repaired", 1)
    assert Order.objects.get(client_order_id="autoclose-1").origin == "external"
    assert held(account) == Decimal("0.03")
    assert run(account, exchange).outcome == "clean"


def test_a_position_no_trade_explains_reduces_and_is_adopted_by_two_people(
    account: Account, exchange: FuturesExchange, trader: User, risk_officer: User
) -> None:
    assert run(account, exchange, Sweep.STARTUP).outcome == "clean"
    trade(exchange, "BUY", "0.04", "unlisted")
    last = exchange.venue.trades("BTCUSDT", from_id=None, start_ms=None)[-1].trade_id
    # As if the venue did not list that trade any more.
    TradeCursor.objects.update(last_trade_id=last, opening_trade_id=last)
    for _ in range(2):
        assert run(account, exchange).outcome == "divergent"
        later(6)
    row = Divergence.objects.get(kind="POSITION_MISMATCH")
    assert (row.ours, row.theirs) == ("0", "0.04")
    assert row.confirmed_at is not None
    assert TradingState.objects.get(scope="symbol:BTCUSDT").level == 1
    assert not Order.objects.exists(), "no order and no fill is invented"
    request = adopt_request(divergence_id=row.pk, requester=trader, reason="bought on the exchange's page")
    assert request.diff["adjustment"] == [None, "0.04"]
    assert held_or_none(account) in (None, Decimal(0))
    assert run(account, exchange).outcome == "divergent"
    change_request_approve(request_id=request.pk, approver=risk_officer, note="seen there")
    assert held(account) == Decimal("0.04")
    assert PositionTransfer.objects.get().price == exchange.venue.positions(None)[0].entry_price
    assert books_verify(account, full=True).differences == []
    run(account, exchange)
    assert not Divergence.objects.filter(kind="POSITION_MISMATCH", resolved_at=None).exists()


def held_or_none(account: Account) -> Decimal | None:
    row = Position.objects.filter(account=account, instrument__symbol="BTCUSDT").first()
    return row.quantity if row else None


def test_in_hedge_mode_each_side_is_compared_booked_and_reduced_for_itself(
    account: Account, exchange: FuturesExchange
) -> None:
    """Long 0.03 and short 0.02 of one symbol, both by somebody else; then the venue hides half of the short."""
    exchange.client.signed_request(
        "POST",
        "/fapi/v1/positionSide/dual",
        {"dualSidePosition": True},
        timestamp_ms=exchange.venue.server_time_ms(),
        recv_window_ms=5000,
    )
    Account.objects.filter(pk=account.pk).update(hedge_mode=True)
    assert run(account, exchange, Sweep.STARTUP).outcome == "clean"
    for side, position_side, quantity in (("BUY", "LONG", "0.03"), ("SELL", "SHORT", "0.02")):
        bid, ask = exchange.touch()
        price = ask * Decimal("1.01") if side == "BUY" else bid * Decimal("0.99")
        exchange.place(
            VenueOrder(
                "BTCUSDT",
                Side(side),
                OrderType.LIMIT,
                TimeInForce.IOC,
                Decimal(quantity),
                price.quantize(Decimal("0.1")),
                f"hedge-{position_side}",
                position_side=PositionSide(position_side),
            )
        )
    done = run(account, exchange)
    assert (done.outcome, done.report["orders_adopted"]) == ("repaired", 2)
    sides = dict(Position.objects.filter(account=account).values_list("position_side", "quantity"))
    assert (sides["LONG"], sides["SHORT"]) == (Decimal("0.03"), Decimal("-0.02"))
    told = exchange.venue.positions(None)
    assert {p.position_side: p.quantity for p in told if p.quantity} == {
        "LONG": sides["LONG"],
        "SHORT": sides["SHORT"],
    }
    assert run(account, exchange).outcome == "clean"
    assert books_verify(account, full=True).differences == []

    halved = [replace(p, quantity=p.quantity / 2) if p.position_side == "SHORT" else p for p in told]
    exchange.venue.positions = lambda symbol: halved  # type: ignore[method-assign]
    for _ in range(2):
        assert run(account, exchange).outcome == "divergent"
        later(6)
    row = Divergence.objects.get(resolved_at=None)
    assert (row.subject, row.ours, row.theirs) == ("BTCUSDT:SHORT", "-0.02", "-0.01")
    assert row.confirmed_at is not None
