"""A desk on the paper exchange, moved by hand: one round of everything a worker does, and a market we drive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories.exchange import Exchange, running_exchange
from trading.domain.brackets import BracketState as S
from trading.domain.orders import OPEN
from trading.domain.ports import OrderReport
from trading.models import Bracket, BracketLeg, Order, Position
from universe.models import Instrument, Quote
from universe.services import instruments_sync

if TYPE_CHECKING:
    from nautilus_site.common.models import User
    from tests.factories.trading import Desk


@dataclass(slots=True)
class Rig:
    """The desk, its exchange, and the workers' rounds."""

    desk: Desk
    exchange: Exchange
    user: User
    requests: int = field(default=0)
    position_side: str = "BOTH"

    def buy(
        self,
        quantity: str = "0.01",
        *,
        type: str = "MARKET",  # noqa: A002
        price: str | None = None,
        **exits: Any,
    ) -> Order:
        """A person buys with exits of their own."""
        return self.ask("BUY", quantity, type=type, price=price, **exits)

    def ask(
        self,
        side: str,
        quantity: str,
        *,
        type: str = "MARKET",  # noqa: A002
        price: str | None = None,
        reduce_only: bool = False,
        **exits: Any,
    ) -> Order:
        from trading.services.brackets.requests import ExitsRequest, guarded_order_request

        self.look()
        self.requests += 1
        outcome = guarded_order_request(
            exits=ExitsRequest(**exits),
            account_name="desk",
            symbol="BTCUSDT",
            side=side,
            type=type,
            quantity=Decimal(quantity),
            quote_quantity=None,
            price=Decimal(price) if price else None,
            time_in_force=None,
            reduce_only=reduce_only,
            position_side=self.position_side,
            strategy_name=None,
            user=self.user,
            request_key=f"request-{self.requests}",
        )
        assert outcome.order is not None
        return outcome.order

    def look(self) -> tuple[Decimal, Decimal]:
        """Hear of the market as it is."""
        from nautilus_site.common.clock import now

        bid, ask = self.exchange.touch()
        Quote.objects.update_or_create(
            instrument=self.desk.btc,
            defaults={
                "bid": bid,
                "ask": ask,
                "market_time": now(),
                "received_at": now(),
                "mark_price": (bid + ask) / 2,
                "mark_received_at": now(),
            },
        )
        return bid, ask

    def near(self, factor: str) -> Decimal:
        """The touch times a factor, at the tick."""
        bid, _ = self.look()
        return (bid * Decimal(factor)).quantize(Decimal("1"))

    def send(self) -> None:
        """Send what is reserved, lists as one."""
        from trading.services.execution.authorise import order_authorise
        from trading.services.execution.send import order_send

        waiting = Order.objects.filter(account=self.desk.account, status="RESERVED").order_by("pk")
        for order_id in list(waiting.values_list("pk", flat=True)):
            authorised = order_authorise(
                order_id=order_id,
                held=self.desk.lease(),
                venue_time_ms=self.desk.venue.server_time_ms(),
            )
            if authorised is not None:
                order_send(authorised=authorised, venue=self.desk.venue, venue_name=self.desk.venue_row.name)

    def cancel(self) -> None:
        """Cancel at the exchange what was asked to be cancelled, and amend what was asked to be amended."""
        from trading.services.execution.amend import amendments_open, order_amend
        from trading.services.execution.cancel import order_cancel

        asked = Order.objects.filter(
            account=self.desk.account, cancel_requested_at__isnull=False, ended_at=None
        )
        for order_id in list(asked.values_list("pk", flat=True)):
            order_cancel(order_id=order_id, venue=self.desk.venue)
        for command_id in amendments_open(self.desk.account.pk):
            order_amend(command_id=command_id, venue=self.desk.venue)

    def hear(self) -> None:
        """Settle what the exchange says of every open order, as the user stream would."""
        from trading.services.execution.resolve import order_resolve
        from trading.services.execution.settle import order_settle
        from trading.services.execution.trades import report_trades

        for order in Order.objects.select_related("instrument").filter(
            account=self.desk.account, status__in=[s.value for s in OPEN]
        ):
            if order.status in ("SENDING", "UNKNOWN"):
                order_resolve(order_id=order.pk, venue=self.desk.venue)
                continue
            report = self.desk.venue.query("BTCUSDT", client_order_id=order.client_order_id)
            if report is not None:
                trades = report_trades(order, report, self.desk.venue)
                order_settle(order_id=order.pk, report=report, trades=trades, source="stream")

    def step(self) -> None:
        """Step every bracket once."""
        from trading.services.brackets import bracket_step, brackets_open

        for bracket_id in brackets_open(self.desk.account.pk):
            bracket_step(bracket_id=bracket_id)

    def round(self, times: int = 1) -> None:
        """What a second brings: hear, look, step, send, cancel, and look again."""
        for _ in range(times):
            self.look()
            self.send()
            self.hear()
            self.step()
            self.send()
            self.cancel()
            self.hear()

    def settle(self) -> Bracket:
        """Rounds until nothing changes any more."""
        before = None
        for _ in range(60):
            self.round()
            if self.bracket.state not in (S.PENDING, S.PROTECTED, S.DONE):
                time.sleep(0.05)  # it waits after a refusal, or for a sale
                continue
            seen = (self.bracket.state, sorted(self.open_at_venue()), self.position().quantity)
            if seen == before:
                break
            before = seen
        self.check()
        return self.bracket

    def drive_to(self, price: Decimal, seconds: int = 8) -> None:
        """Bring the market to a price."""
        self.exchange.drive((1, price), (seconds, price), market=self.market, seconds=seconds)
        self.look()

    def leap_to(self, price: Decimal) -> None:
        """Bring the market down to a price in one step, quoting nothing on the way, until its makers are there."""
        path = [[1, str(price)], [600, str(price)]]
        self.exchange.control("POST", "/market", {"symbol": "BTCUSDT", "market": self.market, "path": path})
        for _ in range(600):
            self.exchange.advance(1)
            if self.look()[0] <= price * Decimal("1.001"):
                return
        raise AssertionError(f"the market did not come to {price}")

    @property
    def market(self) -> str:
        return self.desk.venue_row.market

    @property
    def bracket(self) -> Bracket:
        """The newest bracket."""
        found = Bracket.objects.order_by("-pk").first()
        assert found is not None
        return found

    def position(self) -> Position:
        return self.desk.position(side=self.position_side)

    def listed(self) -> list[OrderReport]:
        return list(self.desk.venue.open_orders("BTCUSDT"))

    def open_at_venue(self) -> list[str]:
        """Open orders at the exchange, as `TYPE quantity`."""
        return [f"{o.type} {o.quantity.normalize():f}" for o in self.listed()]

    def legs(self, role: str) -> list[Order]:
        return [
            leg.order for leg in BracketLeg.objects.filter(role=role).select_related("order").order_by("pk")
        ]

    def check(self) -> None:
        """What must hold whenever we look: protection never exceeds what is held, and one set only."""
        position = self.position().quantity
        stops = [
            o
            for o in self.listed()
            if "STOP" in o.type and "TRAILING" not in o.type and o.position_side == self.position_side
        ]
        assert sum((o.quantity - o.executed_quantity for o in stops), Decimal(0)) <= abs(position)
        assert len({o.stop_price for o in stops}) <= 1
        held = self.desk.held_amounts()
        if not self.listed() and not Order.objects.filter(ended_at=None).exists():
            assert not any(name.startswith(("reserved", "open_")) for name in held), held


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT") as address:
        yield address


@pytest.fixture
def exchange(url: str) -> Exchange:
    return Exchange(url)


@pytest.fixture
def rig(new_desk: Callable[..., Desk], exchange: Exchange) -> Rig:
    """The desk with the exchange's own filters and prices, opened by its first reconciliation."""
    from tests.factories.trading import trader
    from trading.services.reconcile import account_reconcile
    from universe.adapters.binance import BinanceSpotMarketData

    desk = new_desk(opened=False, symbols=("BTCUSDT",))
    instruments_sync(desk.venue_row, BinanceSpotMarketData(exchange.client))
    desk.instruments = {i.symbol: i for i in Instrument.objects.filter(venue=desk.venue_row)}
    desk.venue = exchange.venue
    account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger="periodic")
    desk.account.refresh_from_db()
    rig = Rig(desk, exchange, trader())
    rig.look()
    desk.measure()
    return rig


@pytest.fixture
def hedged(futures: Rig) -> Rig:
    """The same account in hedge mode."""
    from trading.models import Account
    from trading.services.account_modes import account_mode_read

    futures.exchange.venue.set_hedge(True)
    Account.objects.filter(pk=futures.desk.account.pk).update(hedge_mode=True)
    futures.desk.account = Account.objects.select_related("venue").get(pk=futures.desk.account.pk)
    account_mode_read(account=futures.desk.account, venue=futures.exchange.venue)
    return futures


@pytest.fixture
def futures(new_desk: Callable[..., Desk], url: str) -> Rig:
    """The same on USD-M, one-way mode."""
    from tests.factories.exchange import FuturesExchange
    from tests.factories.trading import trader
    from trading.models import Account
    from trading.services.account_modes import account_mode_read
    from trading.services.reconcile import account_reconcile
    from universe.adapters.binance import BinanceUsdmMarketData

    exchange = FuturesExchange(url)
    desk = new_desk(opened=False, symbols=("BTCUSDT",))
    desk.venue_row.market = "usdm"
    desk.venue_row.save()
    desk.account = Account.objects.select_related("venue").get(pk=desk.account.pk)
    Instrument.objects.filter(venue=desk.venue_row).update(market="usdm")
    instruments_sync(desk.venue_row, BinanceUsdmMarketData(exchange.client))
    desk.instruments = {i.symbol: i for i in Instrument.objects.filter(venue=desk.venue_row)}
    desk.venue = exchange.venue  # type: ignore[assignment]
    exchange.venue.set_leverage("BTCUSDT", 3)
    account_mode_read(account=desk.account, venue=exchange.venue)
    account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger="periodic")
    desk.account = Account.objects.select_related("venue").get(pk=desk.account.pk)
    rig = Rig(desk, exchange, trader())
    rig.look()
    desk.measure()
    return rig
