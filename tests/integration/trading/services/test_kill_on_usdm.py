"""Kill, dead-man and flatten on USD-M, through the real client on the paper exchange."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from nautilus_site.common.clock import now
from tests.factories.exchange import FuturesExchange, running_exchange
from tests.factories.futures import futures_account
from trading.domain.ports import OrderReport, VenueOrder
from trading.domain.values import (
    Level,
    OrderService,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
)
from trading.models import (
    Account,
    Flatten,
    KillEnforcement,
    Order,
    Position,
    RiskLimit,
    Strategy,
    SubPosition,
    SymbolAllowance,
)
from trading.services.account_modes import account_mode_read
from trading.services.controls import (
    enforcement_step,
    enforcements_due,
    kill_raise,
    limits_install,
    states_install,
)
from trading.services.controls.dead_man import RENEW_EVERY_S, DeadMan, symbols_active
from trading.services.equity import equity_mark
from trading.services.flatten import flatten_report, flatten_step
from trading.services.losses import losses_measure
from trading.services.reconcile import account_reconcile
from trading.services.venue_clock import venue_clock_note
from universe.adapters.binance import BinanceUsdmMarketData
from universe.models import Instrument, Quote, StreamState, Venue
from universe.services import instruments_sync

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT") as address:
        yield address


@dataclass
class Desk:
    account: Account
    btc: Instrument
    exchange: FuturesExchange

    def limit(self, side: str, share: str, **changes: object) -> str:
        """A resting order that far from the market; its client id."""
        bid, _ = self.exchange.touch()
        price = (bid * Decimal(share)).quantize(Decimal(1))
        order = replace(self.exchange.order(side, price, "0.01"), time_in_force=TimeInForce.GTC, **changes)  # type: ignore[arg-type]
        return str(self.exchange.place(order).client_order_id)

    def stop(self, side: str, share: str, **changes: object) -> str:
        bid, _ = self.exchange.touch()
        order = replace(
            self.exchange.order(side),
            type=OrderType.STOP_MARKET,
            price=None,
            time_in_force=None,
            stop_price=(bid * Decimal(share)).quantize(Decimal(1)),
            working_type=WorkingType.CONTRACT_PRICE,
            client_order_id=f"s{uuid.uuid4().hex[:28]}",
            **changes,
        )  # type: ignore[arg-type]
        return str(self.exchange.place(order).client_order_id)

    def hold(self, side: str, quantity: str) -> None:
        """Open a position at the market, and take it into the books."""
        bid, ask = self.exchange.touch()
        price = ask * Decimal("1.002") if side == "BUY" else bid * Decimal("0.998")
        self.exchange.place(self.exchange.order(side, price.quantize(Decimal("0.1")), quantity))
        account_reconcile(account_id=self.account.pk, venue=self.exchange.venue, trigger="manual")

    def priced(self) -> None:
        """Hear the exchange's prices now."""
        bid, ask = self.exchange.touch()
        prices = {"bid": bid, "ask": ask, "received_at": now(), "market_time": now()}
        mark = {"mark_price": (bid + ask) / 2, "mark_received_at": now()}
        Quote.objects.update_or_create(instrument=self.btc, defaults=prices | mark)
        # What feed, control worker and equity tick keep fresh beside it.
        venue_clock_note(venue_name=self.account.venue.name, venue=self.exchange.venue)
        StreamState.objects.update_or_create(
            name=f"user:{self.account.name}", defaults={"connected_at": now(), "last_message_at": now()}
        )
        equity_mark()
        losses_measure()

    def open_orders(self) -> dict[str, OrderReport]:
        return {o.client_order_id: o for o in self.exchange.venue.open_orders(None)}

    def position(self) -> Decimal:
        return sum((p.quantity for p in self.exchange.venue.positions(None)), Decimal(0))

    def kill(self, level: Level, *, include_stops: bool = False, rounds: int = 4) -> KillEnforcement:
        kill_raise(
            scope="account:futures", level=level, reason="drill", actor="test", include_stops=include_stops
        )
        for _ in range(rounds):
            for due in enforcements_due(self.account, "control"):
                enforcement_step(account=self.account, venue=self.exchange.venue, due=due, enforcer="control")
        return KillEnforcement.objects.latest("pk")


@pytest.fixture
def desk(url: str, monkeypatch: pytest.MonkeyPatch) -> Desk:
    exchange = FuturesExchange(url)
    venue = Venue.objects.create(name="binance-usdm", market="usdm", environment="local")
    instruments_sync(venue, BinanceUsdmMarketData(exchange.client))
    btc = Instrument.objects.get(venue=venue, symbol="BTCUSDT")
    account = Account.objects.create(name="futures", venue=venue, shards=1)
    SymbolAllowance.objects.create(account=account, instrument=btc, added_at=now())
    limits_install(actor="test")
    states_install(level=Level.ACTIVE, reason="test", actor="test")
    account_mode_read(account, exchange.venue)
    account_reconcile(account_id=account.pk, venue=exchange.venue, trigger="start")
    monkeypatch.setattr("trading.services.execution.drain.execution_venue", lambda account: exchange.venue)
    account.refresh_from_db()
    assert account.opened_at is not None
    desk = Desk(account, btc, exchange)
    desk.priced()
    return desk


def test_cancel_takes_both_order_lists_and_keeps_the_stops_of_a_position(desk: Desk) -> None:
    desk.hold("BUY", "0.02")
    entries = {desk.limit("BUY", "0.95"), desk.limit("BUY", "0.94"), desk.stop("BUY", "1.05")}
    stop = desk.stop("SELL", "0.9", reduce_only=True)
    assert set(desk.open_orders()) == {*entries, stop}
    row = desk.kill(Level.CANCEL)
    assert set(desk.open_orders()) == {stop}
    assert row.confirmed_at is not None
    assert (row.kept, row.open_orders_remaining) == (1, 0)
    row = desk.kill(Level.CANCEL, include_stops=True)
    assert desk.open_orders() == {}
    assert row.confirmed_at is not None


def test_reducing_keeps_the_way_out_of_a_short(desk: Desk) -> None:
    desk.hold("SELL", "0.02")
    way_out, adding = desk.limit("BUY", "0.95"), desk.limit("SELL", "1.05")
    desk.kill(Level.REDUCING)
    assert set(desk.open_orders()) == {way_out}
    assert adding not in desk.open_orders()


def close(desk: Desk, scope: str = "account:futures") -> dict[str, object]:
    """Step as the control worker would until nothing is being closed any more."""
    for _ in range(12):
        Flatten.objects.update(retry_at=None)
        Account.objects.filter(pk=desk.account.pk).update(reconciled_at=now())
        desk.priced()
        if not flatten_step(account=desk.account, venue=desk.exchange.venue):
            break
    (report,) = flatten_report(scope)
    orders = Order.objects.filter(origin=Order.Origin.FLATTEN)
    assert report["flatten"] == "done", [(o.status, o.code, o.message) for o in orders]
    return report


def recorded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every placement and cancel from here on, in the order the exchange was asked."""
    asked: list[tuple[str, str]] = []
    venue = desk.exchange.venue
    place, cancel = venue.place, venue.cancel

    def placing(order: VenueOrder, **when: int) -> OrderReport:
        report = place(order, **when)
        asked.append(("place", report.status))
        return report

    def canceling(symbol: str, *, client_order_id: str) -> OrderReport | None:
        asked.append(("cancel", client_order_id))
        return cancel(symbol, client_order_id=client_order_id)

    monkeypatch.setattr(venue, "place", placing)
    monkeypatch.setattr(venue, "cancel", canceling)
    return asked


@pytest.mark.parametrize(("side", "closing"), [("BUY", "SELL"), ("SELL", "BUY")])
def test_a_flatten_closes_what_the_venue_holds_and_takes_protection_back_only_then(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, side: str, closing: str
) -> None:
    desk.hold(side, "0.03")
    stop = desk.stop(closing, "0.9" if side == "BUY" else "1.1", reduce_only=True)
    entry = desk.limit(side, "0.95" if side == "BUY" else "1.05")
    desk.kill(Level.FLATTEN)
    assert set(desk.open_orders()) == {stop}, f"{entry} is gone, and the position is not naked"
    RiskLimit.objects.filter(name="max_notional").update(value=1_500)
    asked = recorded(desk, monkeypatch)
    close(desk)
    orders = Order.objects.filter(origin=Order.Origin.FLATTEN)
    assert {(o.side, o.reduce_only) for o in orders} == {(closing, True)}
    assert desk.position() == 0
    assert desk.open_orders() == {}
    placed = [number for number, (what, _) in enumerate(asked) if what == "place"]
    assert len(placed) > 1, "it went in slices"
    assert asked.index(("cancel", stop)) > placed[-1]


def test_protection_stays_when_a_flatten_has_to_stop(desk: Desk) -> None:
    desk.hold("BUY", "0.02")
    stop = desk.stop("SELL", "0.9", reduce_only=True)
    desk.kill(Level.FLATTEN)
    desk.exchange.control(
        "POST",
        "/faults",
        {
            "match": {"path": "/fapi/v1/order", "method": "POST", "count": 50},
            "effect": {"error_before": {"status": 400, "code": -2022}},
        },
    )
    try:
        for _ in range(30):
            Flatten.objects.update(retry_at=None)
            Account.objects.filter(pk=desk.account.pk).update(reconciled_at=now())
            desk.priced()
            if not flatten_step(account=desk.account, venue=desk.exchange.venue):
                break
    finally:
        desk.exchange.control("DELETE", "/faults")
    (report,) = flatten_report("account:futures")
    assert report["flatten"] == "stopped"
    assert set(desk.open_orders()) == {stop}


def test_each_side_of_hedge_mode_is_closed_for_itself(desk: Desk) -> None:
    desk.exchange.venue.set_hedge(True)
    Account.objects.filter(pk=desk.account.pk).update(hedge_mode=True)
    desk.account.refresh_from_db()
    account_mode_read(desk.account, desk.exchange.venue)
    bid, ask = desk.exchange.touch()
    for side, of, price in (
        (Side.BUY, PositionSide.LONG, ask * Decimal("1.002")),
        (Side.SELL, PositionSide.SHORT, bid * Decimal("0.998")),
    ):
        order = desk.exchange.order(side, price.quantize(Decimal("0.1")), "0.02")
        desk.exchange.place(replace(order, position_side=of))
    account_reconcile(account_id=desk.account.pk, venue=desk.exchange.venue, trigger="manual")
    guards = {
        desk.stop("SELL", "0.9", position_side=PositionSide.LONG),
        desk.stop("BUY", "1.1", position_side=PositionSide.SHORT),
    }
    desk.kill(Level.FLATTEN)
    assert set(desk.open_orders()) == guards
    for _ in range(12):
        Flatten.objects.update(retry_at=None)
        Account.objects.filter(pk=desk.account.pk).update(reconciled_at=now())
        desk.priced()
        if not flatten_step(account=desk.account, venue=desk.exchange.venue):
            break
    assert {(r["position_side"], r["side"], r["flatten"]) for r in flatten_report("account:futures")} == {
        ("LONG", "SELL", "done"),
        ("SHORT", "BUY", "done"),
    }
    assert desk.exchange.venue.positions(None) == []
    assert desk.open_orders() == {}


def test_the_scope_of_a_model_closes_the_part_of_its_strategies(desk: Desk) -> None:
    desk.hold("BUY", "0.03")
    strategy = Strategy.objects.create(
        name="hmm", kind="moving_average", model_family="regime", model_version=3, model_digest="a" * 64,
        updated_at=now(),
    )  # fmt: skip
    position = Position.objects.get(account=desk.account)
    SubPosition.objects.filter(position=position).update(quantity=Decimal("0.02"))
    SubPosition.objects.create(position=position, owner=strategy.name, quantity=Decimal("0.01"))
    stop = desk.stop("SELL", "0.9", reduce_only=True)
    kill_raise(scope="model:regime@3", level=Level.FLATTEN, reason="drill", actor="test")
    for _ in range(4):
        for due in enforcements_due(desk.account, "control"):
            enforcement_step(account=desk.account, venue=desk.exchange.venue, due=due, enforcer="control")
    report = close(desk, "model:regime@3")
    assert (report["wanted"], report["closed"]) == ("0.01", "0.01")
    assert desk.position() == Decimal("0.02")
    assert set(desk.open_orders()) == {stop}, "what is left of the position keeps its protection"


def test_when_everything_is_gone_the_venue_cancels_orders_and_leaves_conditional_ones(desk: Desk) -> None:
    """Armed as the watchdog arms it, then nobody renews it: the paper exchange itself cancels."""
    desk.hold("BUY", "0.02")
    entry, stop = desk.limit("BUY", "0.95"), desk.stop("SELL", "0.9", reduce_only=True)
    assert symbols_active(desk.account) == {"BTCUSDT"}
    desk.exchange.venue.countdown_cancel("BTCUSDT", countdown_ms=1000)
    assert set(desk.open_orders()) == {entry, stop}
    until = time.monotonic() + 30
    while entry in desk.open_orders() and time.monotonic() < until:
        time.sleep(0.1)
    left = desk.open_orders()
    assert set(left) == {stop}
    assert left[stop].service is OrderService.ALGO
    assert left[stop].side is Side.SELL


class Recorded:
    """What the dead-man asks of a venue."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def countdown_cancel(self, symbol: str, *, countdown_ms: int) -> None:
        self.calls.append((symbol, countdown_ms))


def test_the_dead_man_is_renewed_in_time_and_disarmed_where_nothing_trades_any_more() -> None:
    futures = futures_account()
    SymbolAllowance.objects.create(account=futures.account, instrument=futures.instrument, added_at=now())
    moment = 1000.0
    venue, dead_man = Recorded(), DeadMan(clock=lambda: moment)
    dead_man.renew(futures.account, venue)  # type: ignore[arg-type]
    assert venue.calls == [("BTCUSDT", 120_000)]
    moment += RENEW_EVERY_S - 1
    dead_man.renew(futures.account, venue)  # type: ignore[arg-type]
    assert len(venue.calls) == 1
    moment += 2
    dead_man.renew(futures.account, venue)  # type: ignore[arg-type]
    assert venue.calls[1:] == [("BTCUSDT", 120_000)]
    SymbolAllowance.objects.all().delete()
    moment += 3
    dead_man.renew(futures.account, venue)  # type: ignore[arg-type]
    assert venue.calls[2:] == [("BTCUSDT", 0)]
    moment += 100
    dead_man.renew(futures.account, venue)  # type: ignore[arg-type]
    assert len(venue.calls) == 3
