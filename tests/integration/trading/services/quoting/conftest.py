"""A market maker on a desk, moved by hand: one round of everything the workers do for its quotes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.db.models import Q

from nautilus_site.common.clock import now
from tests.factories.exchange import Exchange, running_exchange
from trading.domain.orders import OPEN
from trading.domain.ports import KlineRecord
from trading.models import Order, Strategy, StrategyInstance
from trading.services import quoting
from universe.models import Bar, Instrument, Quote, StreamState
from universe.services import bars_store, instruments_sync

if TYPE_CHECKING:
    from tests.factories.trading import Desk

MINUTE_MS = 60_000
START_MS = 1_700_000_040_000
PARAMS: dict[str, Any] = {
    "lot": 0.001, "tick_size": 0.01, "inventory_limit": 4, "maker_fee_bps": 0.0, "stale_s": 3_600.0,
    "widest_bps": 1_000.0, "volatility_spike": 100.0, "sigma_bps": 2.0, "gamma": 0.05, "requote_ticks": 0,
}  # fmt: skip


@dataclass(slots=True)
class Maker:
    """The strategy on BTCUSDT, and the workers' rounds."""

    desk: Desk
    strategy: Strategy
    exchange: Exchange | None = None
    bars: int = 0
    passed: float = field(default=0.0)
    """Seconds of market time since the last bar."""

    @property
    def instance(self) -> StrategyInstance:
        return StrategyInstance.objects.select_related("strategy", "account", "instrument").get(
            strategy=self.strategy
        )

    @property
    def refreshed(self) -> Any:
        return quoting.quotes_refresh(self.desk.account.pk, self.desk.btc.pk)

    def close_bar(self, close: float) -> None:
        """A minute ends, and the strategy is stepped on it."""
        from trading.services.strategies import strategy_step

        value = Decimal(str(close))
        record = KlineRecord(
            open_time_ms=START_MS + self.bars * MINUTE_MS, open=value, high=value, low=value, close=value,
            volume=Decimal(1), close_time_ms=START_MS + (self.bars + 1) * MINUTE_MS - 1, quote_volume=value,
            trades=1, taker_base=Decimal(0), taker_quote=Decimal(0),
        )  # fmt: skip
        bars_store(self.desk.btc, "1m", [record], Bar.Source.STREAM)
        self.bars, self.passed = self.bars + 1, 0.0
        strategy_step(instance_id=self.instance.pk)

    def look(self, bid: str | None = None, ask: str | None = None, *, after_s: float = 1.0) -> None:
        """Hear of the book as it is, some market time later; of the exchange's own where there is one."""
        from trading.domain.clock import ns_to_datetime

        self.passed += after_s
        if self.exchange is not None:
            bid, ask = (str(price) for price in self.exchange.touch())
        elif bid is not None and ask is not None:
            self.desk.venue.move("BTCUSDT", Decimal(bid), Decimal(ask))
        else:
            row = Quote.objects.get(instrument=self.desk.btc)
            bid, ask = str(row.bid), str(row.ask)
        at_ns = (START_MS + self.bars * MINUTE_MS + int(self.passed * 1_000)) * 1_000_000
        Quote.objects.update_or_create(
            instrument=self.desk.btc,
            defaults={
                "bid": bid, "ask": ask, "bid_quantity": 1, "ask_quantity": 1,
                "market_time": ns_to_datetime(at_ns), "received_at": now(),
            },
        )  # fmt: skip

    def step(self) -> bool:
        """A book has changed: what the hint of the feed sets off."""
        from trading.services.strategies import book_step

        StrategyInstance.objects.filter(strategy=self.strategy).update(
            stepped_at=self.instance.stepped_at - timedelta(seconds=1)  # type: ignore[operator]
        )
        stepped = book_step(instance_id=self.instance.pk)
        if stepped:
            self.refreshed  # noqa: B018  it acts
        return stepped

    def send(self) -> None:
        """Send what is reserved, cancel what was asked to go, and hear what the exchange says."""
        from trading.services.execution.amend import amendments_open, order_amend
        from trading.services.execution.cancel import order_cancel

        for order in Order.objects.filter(status="RESERVED").order_by("pk"):
            self.desk.send(order)
        for order in Order.objects.filter(cancel_requested_at__isnull=False, ended_at=None):
            order_cancel(order_id=order.pk, venue=self.desk.venue)
        for command_id in amendments_open(self.desk.account.pk):
            order_amend(command_id=command_id, venue=self.desk.venue)

    def hear(self) -> None:
        """Settle what the exchange says of every open order, as the user stream would."""
        from trading.services.execution.resolve import order_resolve
        from trading.services.execution.settle import order_settle
        from trading.services.execution.trades import report_trades

        for order in Order.objects.select_related("instrument").filter(status__in=[s.value for s in OPEN]):
            if order.status in ("SENDING", "UNKNOWN"):
                order_resolve(order_id=order.pk, venue=self.desk.venue)
            elif order.status != "RESERVED":
                report = self.desk.venue.query("BTCUSDT", client_order_id=order.client_order_id)
                assert report is not None
                trades = report_trades(order, report, self.desk.venue)
                order_settle(order_id=order.pk, report=report, trades=trades, source="stream")

    def round(self, bid: str | None = None, ask: str | None = None, times: int = 1) -> None:
        """What a second brings."""
        for _ in range(times):
            self.look(bid, ask)
            self.step()
            self.send()
            self.hear()

    def trade_down_to(self, bid: str) -> None:
        """Somebody sells until our bid is taken, on the exchange in memory."""
        self.desk.venue.move("BTCUSDT", Decimal(bid) - 1, Decimal(bid))
        self.hear()

    def standing(self) -> list[tuple[str, str, str]]:
        """Open quotes at the exchange: side, price, what is left."""
        return sorted(
            (o.side.value, f"{o.price.normalize():f}", f"{(o.quantity - o.executed_quantity).normalize():f}")
            for o in self.desk.venue.open_orders("BTCUSDT")
        )

    def wanted(self) -> dict[str, float]:
        quotes = self.instance.quotes
        assert quotes is not None
        return dict(quotes)


def maker_on(desk: Desk, exchange: Exchange | None = None, **params: Any) -> Maker:
    """The only strategy of the desk's BTCUSDT, granted 2000 USDT; it has seen one bar."""
    strategy = desk.strategies["trend"]
    StrategyInstance.objects.filter(Q(instrument=desk.btc) | Q(strategy=strategy)).delete()
    strategy.kind, strategy.parameters = "market_maker", {**PARAMS, **params}
    strategy.save()
    StrategyInstance.objects.create(
        strategy=strategy, account=desk.account, instrument=desk.btc, allocation=Decimal(2000)
    )
    desk.limit(near_duplicate_window=0)
    StreamState.objects.create(
        name=f"market:{desk.venue_row.name}", connected_at=now(), last_message_at=now() + timedelta(hours=1)
    )
    maker = Maker(desk, strategy, exchange)
    maker.look(after_s=0.0)
    maker.close_bar(float(Quote.objects.get(instrument=desk.btc).bid or 0))
    return maker


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for time to pass; the tests of the pace set it."""
    monkeypatch.setattr(quoting, "PACE", timedelta(0))
    monkeypatch.setattr(quoting, "PACE_DENIED", timedelta(0))


@pytest.fixture
def maker(desk: Desk) -> Maker:
    """On the exchange in memory, holding two of its four lots."""
    made = maker_on(desk, inventory_base=2.0)
    bought = desk.send(desk.submit("BUY", "0.0021", type="MARKET", strategy=made.strategy))
    assert bought.executed_quantity == Decimal("0.0021")
    return made


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT") as address:
        yield address


@pytest.fixture
def live(new_desk: Callable[..., Desk], url: str) -> Maker:
    """On the paper exchange, with its own filters and prices; opened by its first reconciliation."""
    from trading.services.reconcile import account_reconcile
    from universe.adapters.binance import BinanceSpotMarketData

    exchange = Exchange(url)
    desk = new_desk(opened=False, symbols=("BTCUSDT",))
    instruments_sync(desk.venue_row, BinanceSpotMarketData(exchange.client))
    desk.instruments = {i.symbol: i for i in Instrument.objects.filter(venue=desk.venue_row)}
    desk.venue = exchange.venue
    account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger="periodic")
    desk.account.refresh_from_db()
    bid, ask = exchange.touch()
    Quote.objects.filter(instrument=desk.btc).update(bid=bid, ask=ask)
    desk.measure()
    return maker_on(desk, exchange, inventory_base=2.0)
