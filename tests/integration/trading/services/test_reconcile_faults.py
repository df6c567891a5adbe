"""Reconciliation on the real paper exchange: events lost, doubled and out of order, restarts at bad moments."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories.exchange import Exchange, running_exchange
from tests.integration.trading.services.sweeping import forget, later
from trading.adapters.binance.user_links import SpotLink
from trading.adapters.binance.user_stream import UserStream
from trading.domain.sweeps import Sweep
from trading.models import Divergence, Fill, LedgerEntry, Order, ReconcileRun, TradingState
from trading.services.reconcile import account_reconcile, sweeps_restart
from trading.services.venue_events import venue_event_store, venue_events_settle
from universe.adapters.binance import endpoints_for
from universe.adapters.binance.events import Connected
from universe.models import Instrument
from universe.services import instruments_sync

if TYPE_CHECKING:
    from tests.factories.trading import Desk


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT", "ETHUSDT") as address:
        yield address


@pytest.fixture
def exchange(url: str) -> Iterator[Exchange]:
    exchange = Exchange(url)
    yield exchange
    exchange.control("DELETE", "/faults")


@pytest.fixture
def live(new_desk: Callable[..., Desk], exchange: Exchange) -> Desk:
    from universe.adapters.binance import BinanceSpotMarketData

    desk = new_desk(opened=False, symbols=("BTCUSDT", "ETHUSDT"))
    instruments_sync(desk.venue_row, BinanceSpotMarketData(exchange.client))
    desk.instruments = {i.symbol: i for i in Instrument.objects.filter(venue=desk.venue_row)}
    bid, ask = exchange.touch()
    desk.quote("BTCUSDT", str(bid), str(ask))
    desk.venue = exchange.venue  # type: ignore[assignment]
    assert run(desk, Sweep.STARTUP, "start").outcome == "clean"
    desk.account.refresh_from_db()
    desk.measure()
    return desk


def run(desk: Desk, sweep: Sweep = Sweep.TRADES, trigger: str = "periodic") -> ReconcileRun:
    done = account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger=trigger, sweep=sweep)
    assert done is not None
    return done


def equal_to_the_exchange(desk: Desk, exchange: Exchange) -> None:
    """Position and balances after == the venue's, to the last digit."""
    held = {b.asset: b.free + b.locked for b in exchange.venue.balances()}
    assert {b.asset: b.amount for b in desk.account.balances.all() if b.amount} == held
    assert desk.position().quantity + 1 == held["BTC"], "one coin was there at the opening"


def buy(desk: Desk, quantity: str = "0.01") -> Order:
    return desk.send(desk.submit("BUY", quantity, type="MARKET"))


def near(exchange: Exchange) -> str:
    bid, _ = exchange.touch()
    return str((bid * Decimal("0.999")).quantize(Decimal(1)))


async def _heard(desk: Desk, exchange: Exchange, act: Callable[[], Any]) -> list[dict[str, Any]]:
    """What the user stream tells while something is done."""

    async def link() -> SpotLink:
        return await SpotLink.open(
            endpoints_for("local", local_url=exchange.url).spot_ws_api,
            api_key=exchange.account["api_key"],
            api_secret=exchange.account["api_secret"],
        )

    stream = UserStream(link)
    heard: list[dict[str, Any]] = []
    connected = asyncio.Event()

    async def listen() -> None:
        async for item in stream.events():
            if isinstance(item, Connected):
                connected.set()
            elif isinstance(item, dict):
                heard.append(item)

    task = asyncio.create_task(listen())
    try:
        async with asyncio.timeout(30):
            await connected.wait()
        await asyncio.to_thread(act)
        await asyncio.sleep(1.5)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return heard


@pytest.mark.parametrize("effect", ["drop_event", "duplicate_event", "reorder_events"])
def test_whatever_the_user_stream_does_the_books_end_equal(
    live: Desk, exchange: Exchange, effect: str
) -> None:
    exchange.control("POST", "/faults", {"match": {"event": "executionReport"}, "effect": {effect: True}})
    orders = [exchange.order(price=exchange.touch()[1] * 2, quantity="0.01") for _ in range(3)]
    heard = asyncio.run(
        _heard(live, exchange, lambda: [exchange.place(o) for o in orders])
    )  # somebody else's orders: only the stream or a sweep can tell of them
    for event in heard:
        venue_event_store(account_id=live.account.pk, event=event)
    venue_events_settle(account_id=live.account.pk)
    assert run(live).outcome in ("clean", "repaired")
    assert Order.objects.filter(origin="external", status="FILLED").count() == 3
    equal_to_the_exchange(live, exchange)
    entries = LedgerEntry.objects.count()
    again = run(live, Sweep.DEEP, "manual")
    assert (again.outcome, again.report["fills_booked"]) == ("clean", 0)
    assert LedgerEntry.objects.count() == entries


def test_a_fill_deleted_here_is_found_at_the_exchange_and_booked_once(live: Desk, exchange: Exchange) -> None:
    buy(live)
    assert run(live, Sweep.DEEP, "manual").outcome == "clean"
    fills = Fill.objects.count()
    forget(Fill.objects.latest("pk"))
    assert run(live, Sweep.DEEP, "manual").report["fills_booked"] == 1
    assert Fill.objects.count() == fills
    equal_to_the_exchange(live, exchange)
    assert run(live, Sweep.DEEP, "manual").outcome == "clean"


def test_zero_balances_change_nothing_and_reduce_nothing(live: Desk, exchange: Exchange) -> None:
    buy(live)
    assert run(live).outcome == "clean"
    before = (LedgerEntry.objects.count(), live.position().quantity, live.balance("USDT").amount)
    exchange.control(
        "POST", "/faults", {"match": {"path": "/api/v3/account"}, "effect": {"zero_balances": True}}
    )
    for _ in range(8):
        assert run(live).outcome == "divergent"
        later(250)  # 33 minutes in all
    assert Divergence.objects.get().kind == "ACCOUNT_EMPTY"
    assert (LedgerEntry.objects.count(), live.position().quantity, live.balance("USDT").amount) == before
    assert not TradingState.objects.filter(level__gt=0).exists()
    exchange.control("DELETE", "/faults")
    assert run(live).outcome == "clean"


@pytest.mark.parametrize("moment", ["cold", "warm", "mid-fill", "mid-cancel"])
def test_after_a_restart_the_position_is_the_exchanges(live: Desk, exchange: Exchange, moment: str) -> None:
    """A restart must not book an equal and opposite fill (pain 5)."""
    buy(live)
    if moment == "warm":
        assert run(live).outcome == "clean"
    elif moment == "mid-fill":
        order = live.submit("BUY", "0.01", type="MARKET")
        authorised = live.authorise(order)
        assert authorised is not None  # sent and executed; the process died before it could book the answer
        live.venue.place(
            authorised.order,
            timestamp_ms=authorised.timestamp_ms,
            recv_window_ms=authorised.recv_window_ms,
        )
        Order.objects.filter(pk=order.pk).update(sent_at="2020-01-01T00:00:00Z")
    elif moment == "mid-cancel":
        order = live.send(live.submit("BUY", "0.001", price=near(exchange)))
        exchange.venue.cancel("BTCUSDT", client_order_id=order.client_order_id)
    sweeps_restart()
    started = run(live, Sweep.STARTUP, "start")
    assert started.outcome in ("clean", "repaired")
    assert not Order.objects.filter(status__in=("SENDING", "UNKNOWN", "NEW")).exists()
    equal_to_the_exchange(live, exchange)
    assert run(live, Sweep.DEEP, "manual").outcome == "clean"
