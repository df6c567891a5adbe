"""A small world to trade in: one venue, two symbols with prices, one funded and reconciled account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from nautilus_site.common.clock import now
from tests.factories.trading import measured_by_others, results_measured
from tests.fakes.instruments import exchange_info_entry
from trading.domain.values import Level
from trading.models import (
    Account,
    Balance,
    Decision,
    Fill,
    Order,
    OrderEvent,
    Position,
    Strategy,
    StrategyInstance,
    SymbolAllowance,
)
from trading.services.controls import limits_install, states_install
from universe.models import Instrument, Quote, Venue

MARKET_TIME = timedelta(days=30)


@dataclass(slots=True)
class World:
    """The rows a test starts from. BTCUSDT stands at 59990/60010, ETHUSDT at 2999/3001."""

    venue: Venue
    account: Account
    btc: Instrument
    eth: Instrument
    strategy: Strategy
    instance: StrategyInstance

    def quote(self, instrument: Instrument, bid: str | None, ask: str | None) -> None:
        """Set the top of the book, received just now."""
        Quote.objects.update_or_create(
            instrument=instrument,
            defaults={
                "bid": bid,
                "ask": ask,
                "market_time": now() - MARKET_TIME,
                "received_at": now(),
            },
        )

    def order(self, **changes: Any) -> Order:
        """An order as the services would have left it; `changes` are columns."""
        moment = now()
        cid = f"t-{uuid4().hex[:30]}"
        columns: dict[str, Any] = {
            "account": self.account,
            "instrument": self.btc,
            "origin": Order.Origin.STRATEGY,
            "intent_key": cid,
            "client_order_id": cid,
            "strategy": self.strategy,
            "side": "BUY",
            "type": "LIMIT",
            "venue_type": "LIMIT",
            "time_in_force": "GTC",
            "quantity": Decimal("0.01"),
            "price": Decimal("60000"),
            "status": "NEW",
            "created_at": moment,
            "updated_at": moment,
        }
        order = Order.objects.create(**{**columns, **changes})
        OrderEvent.objects.create(order=order, status="RESERVED", source="rails", at=order.created_at)
        return order

    def fill(self, order: Order, *, trade_id: int, price: str, quantity: str, **changes: Any) -> Fill:
        """A fill without its consequences: what positions and balances say is the test's own business."""
        columns: dict[str, Any] = {
            "account": order.account,
            "instrument": order.instrument,
            "order": order,
            "trade_id": trade_id,
            "side": order.side,
            "price": Decimal(price),
            "quantity": Decimal(quantity),
            "quote_quantity": Decimal(price) * Decimal(quantity),
            "commission": Decimal(0),
            "commission_asset": "USDT",
            "commission_quote": Decimal(0),
            "maker": False,
            "traded_at": now() - MARKET_TIME,
            "recorded_at": now(),
            "source": "stream",
        }
        return Fill.objects.create(**{**columns, **changes})

    def decision(self, *, bar_open_at: datetime, target: float = 0.5) -> Decision:
        """A decision of the instance."""
        return Decision.objects.create(
            instance=self.instance,
            key=uuid4().hex,
            bar_open_at=bar_open_at,
            price=Decimal("60000"),
            target=target,
            confidence=0.8,
            reason="crossed_up",
            features={"fast": 60010.0, "slow": 59900.0},
            decided_at=now(),
        )

    def hold(self, instrument: Instrument, quantity: str, cost: str, **changes: Any) -> Position:
        """A position and the balance behind it."""
        asset = instrument.base_asset
        Balance.objects.update_or_create(
            account=self.account, asset=asset, defaults={"amount": Decimal(quantity)}
        )
        position, _ = Position.objects.update_or_create(
            account=self.account,
            instrument=instrument,
            defaults={"quantity": Decimal(quantity), "cost": Decimal(cost), **changes},
        )
        return position


def build_world(*, level: Level = Level.ACTIVE) -> World:
    """Create it. Trading is on, limits are the defaults."""
    moment = now()
    venue = Venue.objects.create(name="binance-spot", market="spot", environment="local")
    instruments = {
        symbol: Instrument.objects.create(
            venue=venue,
            symbol=symbol,
            market="spot",
            base_asset=symbol[:-4],
            quote_asset="USDT",
            status="TRADING",
            filters=exchange_info_entry(symbol),
            first_seen_at=moment,
            updated_at=moment,
        )
        for symbol in ("BTCUSDT", "ETHUSDT")
    }
    account = Account.objects.create(name="paper-spot", venue=venue, opened_at=moment, reconciled_at=moment)
    Balance.objects.create(
        account=account, asset="USDT", amount=10_000, venue_free=10_000, venue_seen_at=moment
    )
    for instrument in instruments.values():
        SymbolAllowance.objects.create(account=account, instrument=instrument, added_at=moment)
    strategy = Strategy.objects.create(
        name="trend", kind="trend", interval="1m", is_enabled=True, updated_at=moment
    )
    instance = StrategyInstance.objects.create(
        strategy=strategy, account=account, instrument=instruments["BTCUSDT"], allocation=1000
    )
    states_install(level=level, reason="test", actor="test")
    limits_install(actor="test")
    world = World(venue, account, instruments["BTCUSDT"], instruments["ETHUSDT"], strategy, instance)
    world.quote(world.btc, "59990", "60010")
    world.quote(world.eth, "2999", "3001")
    measured_by_others(venue.name, account.name)
    results_measured()
    return world
