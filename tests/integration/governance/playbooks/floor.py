"""A desk that trades on the running paper exchange, and what other processes would do for it meanwhile."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from governance.services.playbooks import playbooks_install
from governance.tasks import guardian_tick
from nautilus_site.common.clock import now
from tests.factories.exchange import Exchange, FuturesExchange
from trading.models import Account, LossMeasure
from trading.services.equity import equity_mark
from trading.services.execution.send import order_send
from trading.services.losses import losses_measure
from trading.services.orders import OrderDenied
from trading.services.reconcile import account_reconcile
from universe.adapters.binance import BinanceSpotMarketData, BinanceUsdmMarketData
from universe.models import Bar, Instrument, Quote, StreamState
from universe.services import bars_store, instruments_sync

if TYPE_CHECKING:
    from tests.factories.trading import Desk


class Floor:
    """Everything between the exchange and the playbooks, driven by hand."""

    def __init__(self, desk: Desk, exchange: Exchange, market_data: Any) -> None:
        self.desk, self.exchange, self.market_data = desk, exchange, market_data

    def look(self) -> None:
        """Hear of the market and of the account as they are."""
        moment = now()
        for instrument in Instrument.objects.filter(venue=self.desk.venue_row):
            touch = self._get(self.exchange.TICKER, instrument.symbol)
            bid, ask = Decimal(touch["bidPrice"]), Decimal(touch["askPrice"])
            told: dict[str, Any] = {"bid": bid, "ask": ask, "market_time": moment, "received_at": moment}
            if instrument.market == "usdm":
                premium = self._get("/fapi/v1/premiumIndex", instrument.symbol)
                told |= {"mark_price": Decimal(premium["markPrice"]), "mark_received_at": moment}
                told["funding_rate"] = Decimal(premium["lastFundingRate"])
            Quote.objects.update_or_create(instrument=instrument, defaults=told)
        StreamState.objects.update(last_message_at=moment)
        Account.objects.update(reconciled_at=moment)
        equity_mark()
        losses_measure()

    def hear_bars(self) -> None:
        """Take in the closed minutes of every symbol, of new ones too."""
        instruments_sync(self.desk.venue_row, self.market_data)
        for instrument in Instrument.objects.filter(venue=self.desk.venue_row):
            found = self.market_data.klines(instrument.symbol, "1m", limit=62)
            bars_store(instrument, "1m", found[:-1], Bar.Source.STREAM)
        self.look()

    def reconcile(self) -> None:
        """Find out what others did on the account."""
        account_reconcile(account_id=self.desk.account.pk, venue=self.desk.venue, trigger="periodic")
        self.look()

    def minutes(self, count: int) -> None:
        """Let market time pass."""
        self.exchange.control("POST", "/clock", {"advance_ms": count * 60_000})

    def order(self, side: str = "BUY", quantity: str = "0.001", **changes: Any) -> str:
        """One order at the market: how it stands, or the code our rails denied it with."""
        self.look()
        try:
            order = self.desk.submit(side, quantity, type="MARKET", **changes)
        except OrderDenied as denied:
            return str(denied.code)
        authorised = self.desk.authorise(order)
        assert authorised is not None
        order_send(authorised=authorised, venue=self.desk.venue, venue_name=self.desk.venue_row.name)
        return str(self.desk.fresh(order).status)

    def until(self, done: Callable[[], bool], step: Callable[[], Any], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, "it did not happen in time"
            step()
            guardian_tick()

    def _get(self, path: str, symbol: str) -> Any:
        with urllib.request.urlopen(f"{self.exchange.url}{path}?symbol={symbol}", timeout=5) as answer:
            return json.load(answer)


def open_floor(url: str, *symbols: str, market: str = "spot") -> Floor:
    """A funded account of its own on the exchange, opened by its first reconciliation, guarded."""
    from tests.factories.trading import trading_desk
    from trading.services.account_modes import account_mode_read

    desk = trading_desk(opened=False, symbols=symbols)
    exchange: Exchange
    market_data: Any
    if market == "usdm":
        exchange = FuturesExchange(url, funds={"name": "desk", **FuturesExchange.FUNDS})
        market_data = BinanceUsdmMarketData(exchange.client)
        desk.venue_row.market = market
        desk.venue_row.save()
        Instrument.objects.filter(venue=desk.venue_row).update(market=market)
    else:
        exchange = Exchange(url, funds={"name": "desk", **Exchange.FUNDS})
        market_data = BinanceSpotMarketData(exchange.client)
    instruments_sync(desk.venue_row, market_data)
    desk.instruments = {i.symbol: i for i in Instrument.objects.filter(venue=desk.venue_row)}
    desk.venue = exchange.venue
    desk.account = Account.objects.select_related("venue").get(pk=desk.account.pk)
    if market == "usdm":
        for symbol in symbols:
            exchange.venue.set_leverage(symbol, 3)
        account_mode_read(account=desk.account, venue=exchange.venue)
    account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger="periodic")
    desk.account = Account.objects.select_related("venue").get(pk=desk.account.pk)
    playbooks_install(actor="test")
    desk.limit(
        near_duplicate_window=0, clock_max_age=600, orders_per_minute=1000, orders_per_minute_strategy=1000,
        repeated_executions=1000, max_drawdown=1, daily_loss=10**9,
    )  # fmt: skip
    floor = Floor(desk, exchange, market_data)
    floor.look()
    LossMeasure.objects.update(measured_at=now())
    return floor
