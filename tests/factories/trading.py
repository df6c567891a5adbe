"""An account that trades on a small exchange in memory, made by the services that make the real one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from nautilus_site.common.clock import now
from nautilus_site.common.models import User
from nautilus_site.common.services.leases import Held, lease_acquire
from tests.factories.venue import ScriptedVenue
from tests.fakes.instruments import exchange_info_entry
from trading.domain.orders import OrderIntent
from trading.domain.values import Level, OrderType, Side, TimeInForce
from trading.models import (
    Account,
    Balance,
    Decision,
    ExposureBucket,
    LedgerEntry,
    LossMeasure,
    Order,
    Position,
    RiskLimit,
    Strategy,
    StrategyInstance,
    SymbolAllowance,
    TradeCursor,
    TradingState,
    VenueClock,
)
from trading.services.breakers import breakers_install
from trading.services.controls import limits_install, states_install
from trading.services.equity import equity_mark
from trading.services.execution.authorise import Authorised, order_authorise
from trading.services.execution.send import order_send
from trading.services.exposure import balances_locked
from trading.services.ledger import Line, ledger_post
from trading.services.losses import losses_measure
from trading.services.orders import Submission, order_submit
from universe.models import Instrument, Quote, StreamState, Venue

PRICES = {"BTCUSDT": ("59990", "60010"), "ETHUSDT": ("2999", "3001"), "BNBUSDT": ("599", "601")}
_numbers = count(1)


@dataclass(slots=True)
class Desk:
    """One account, three symbols, a strategy on each of the first two, and the exchange they trade on."""

    venue_row: Venue
    account: Account
    instruments: dict[str, Instrument]
    strategies: dict[str, Strategy]
    instances: dict[str, StrategyInstance]
    venue: ScriptedVenue
    held: Held | None = field(default=None)

    @property
    def btc(self) -> Instrument:
        return self.instruments["BTCUSDT"]

    def quote(self, symbol: str, bid: str | None, ask: str | None) -> None:
        """Move the market, at the exchange and in what we last heard of it."""
        Quote.objects.update_or_create(
            instrument=self.instruments[symbol],
            defaults={"bid": bid, "ask": ask, "market_time": now(), "received_at": now()},
        )
        if bid is not None and ask is not None:
            self.venue.move(symbol, Decimal(bid), Decimal(ask))

    def limit(self, scope: str = "global", **values: Any) -> None:
        """Set limits as a policy would have: `limit(exposure_symbol=1000)`."""
        for name, value in values.items():
            row = RiskLimit.objects.get(name=name, scope="global")
            RiskLimit.objects.update_or_create(
                name=name,
                scope=scope,
                defaults={
                    "value": Decimal(value),
                    "unit": row.unit,
                    "tighter": row.tighter,
                    "changed_by": "test",
                    "changed_at": now(),
                },
            )

    def submission(self, side: str = "BUY", quantity: str = "0.01", **changes: Any) -> Submission:
        """An order about to be asked for: BTCUSDT, LIMIT GTC inside the spread unless changed."""
        symbol = changes.pop("symbol", "BTCUSDT")
        type_ = OrderType(changes.pop("type", "LIMIT"))
        instrument = self.instruments[symbol]
        domain = instrument.to_domain()
        price = changes.pop("price", None if type_ is OrderType.MARKET else "60000")
        default_tif = "IOC" if type_ is OrderType.MARKET else "GTC"
        key = changes.pop("key", None) or f"test:{next(_numbers)}"
        fields: dict[str, Any] = {
            "account": self.account,
            "instrument": instrument,
            "intent": OrderIntent(
                symbol=symbol,
                side=Side(side),
                type=type_,
                time_in_force=TimeInForce(changes.pop("time_in_force", default_tif)),
                quantity=domain.floor_steps(Decimal(quantity)),
                price=None if price is None else domain.ticks(Decimal(price)),
                reduce_only=changes.pop("reduce_only", False),
                reason="test",
            ),
            "origin": Order.Origin.MANUAL,
            "intent_key": key,
            "client_order_id": f"cid{key.replace(':', '-')}"[:36],
            "decided_at": now(),
        }
        return Submission(**{**fields, **changes})

    def submit(self, side: str = "BUY", quantity: str = "0.01", **changes: Any) -> Order:
        """Reserve an order, or raise what the rails say."""
        return order_submit(self.submission(side, quantity, **changes))

    def submit_as(self, submission: Submission) -> Order:
        """Reserve exactly this."""
        return order_submit(submission)

    def lease(self, name: str = "shard:desk:0") -> Held:
        """A lease fresh enough to send under."""
        if self.held is None:
            self.held = lease_acquire(name=name, holder="test", life=timedelta(minutes=5))
        assert self.held is not None
        return self.held

    def authorise(self, order: Order) -> Authorised | None:
        return order_authorise(
            order_id=order.pk, held=self.lease(), venue_time_ms=self.venue.server_time_ms()
        )

    def send(self, order: Order) -> Order:
        """Authorise and send an order to the exchange; the row as it is afterwards."""
        authorised = self.authorise(order)
        assert authorised is not None, "it was not authorised"
        order_send(authorised=authorised, venue=self.venue, venue_name=self.venue_row.name)
        return self.fresh(order)

    def fresh(self, order: Order) -> Order:
        return Order.objects.select_related("account", "instrument", "strategy").get(pk=order.pk)

    def position(self, symbol: str = "BTCUSDT", *, side: str = "BOTH") -> Position:
        return Position.objects.get(
            account=self.account, instrument=self.instruments[symbol], position_side=side
        )

    def balance(self, asset: str) -> Balance:
        return Balance.objects.get(account=self.account, asset=asset)

    def held_amounts(self) -> dict[str, Decimal]:
        """Everything an order can hold, by name: buckets, promised balances, open quantities."""
        amounts = {f"bucket {b.scope}": b.used for b in ExposureBucket.objects.all()}
        amounts |= {f"reserved {b.asset}": b.reserved for b in Balance.objects.filter(account=self.account)}
        for row in Position.objects.filter(account=self.account).select_related("instrument"):
            amounts[f"open_buy {row.instrument.symbol}"] = row.open_buy
            amounts[f"open_sell {row.instrument.symbol}"] = row.open_sell
        return {name: amount for name, amount in amounts.items() if amount != 0}

    def decide(self, target: float, *, strategy: str = "trend", symbol: str = "BTCUSDT") -> Decision:
        """A decision of a strategy, taken now."""
        instance = self.instances[f"{strategy}:{symbol}"]
        StrategyInstance.objects.filter(pk=instance.pk).update(target=target)
        number = next(_numbers)
        bid, ask = (Decimal(text) for text in PRICES[symbol])
        return Decision.objects.create(
            instance=instance,
            key=f"{number:032d}",
            bar_open_at=now() + timedelta(minutes=number),
            price=(bid + ask) / 2,
            target=target,
            reason="test",
            decided_at=now(),
        )

    def measure(self) -> None:
        """What the equity tick does: results of every scope, as of now."""
        results_measured()

    def kill(self, level: Level, scope: str = "global") -> None:
        """Set a level as if it had been raised."""
        TradingState.objects.update_or_create(
            scope=scope, defaults={"level": level, "changed_by": "test", "changed_at": now()}
        )

    def fund(self, balances: Mapping[str, str]) -> None:
        """Give the account something at the exchange and open its books with the same."""
        self.venue.free = {asset: Decimal(amount) for asset, amount in balances.items()}
        balances_locked(self.account, set(balances))
        ledger_post(
            account=self.account,
            transaction="opening",
            lines=[Line(a, Decimal(amount), LedgerEntry.Kind.OPENING) for a, amount in balances.items()],
        )


def trading_desk(
    *,
    balances: Mapping[str, str] | None = None,
    opened: bool = True,
    symbols: Iterable[str] = ("BTCUSDT", "ETHUSDT", "BNBUSDT"),
) -> Desk:
    """Build it: trading is on, limits are the defaults, the account is opened and just reconciled."""
    from django.db import transaction

    moment = now()
    row = Venue.objects.create(name="binance-spot", market="spot", environment="local")
    instruments = {
        instrument.symbol: instrument
        for instrument in Instrument.objects.bulk_create(
            Instrument(
                venue=row,
                symbol=symbol,
                market="spot",
                base_asset=symbol[:-4],
                quote_asset="USDT",
                status="TRADING",
                filters=exchange_info_entry(symbol),
                first_seen_at=moment,
                updated_at=moment,
            )
            for symbol in symbols
        )
    }
    venue = ScriptedVenue(
        instruments={symbol: i.to_domain() for symbol, i in instruments.items()},
        book={s: (Decimal(PRICES[s][0]), Decimal(PRICES[s][1])) for s in instruments},
        free={},
    )
    account = Account.objects.create(
        name="desk",
        shards=1,
        venue=row,
        opened_at=moment if opened else None,
        reconciled_at=moment if opened else None,
    )
    strategies = {
        strategy.name: strategy
        for strategy in Strategy.objects.bulk_create(
            Strategy(
                name=name,
                kind="moving_average",
                interval="1m",
                parameters={"fast": 2, "slow": 3},
                is_enabled=True,
                updated_at=moment,
            )
            for name in ("trend", "swing")
        )
    }
    states_install(level=Level.ACTIVE, reason="test", actor="test")
    limits_install(actor="test")
    breakers_install(venue=row.name, actor="test")
    desk = Desk(row, account, instruments, strategies, {}, venue)
    SymbolAllowance.objects.bulk_create(
        SymbolAllowance(account=account, instrument=instrument, added_at=moment)
        for instrument in instruments.values()
    )
    if opened:
        TradeCursor.objects.bulk_create(
            TradeCursor(account=account, instrument=instrument, last_order_id=0, opened_at=moment)
            for instrument in instruments.values()
        )
    Quote.objects.bulk_create(
        Quote(
            instrument=instrument,
            bid=Decimal(PRICES[symbol][0]),
            ask=Decimal(PRICES[symbol][1]),
            market_time=now(),
            received_at=now(),
        )
        for symbol, instrument in instruments.items()
    )
    made = StrategyInstance.objects.bulk_create(
        StrategyInstance(strategy=strategy, account=account, instrument=instrument, allocation=Decimal(3000))
        for instrument in instruments.values()
        for strategy in strategies.values()
    )
    desk.instances |= {f"{one.strategy.name}:{one.instrument.symbol}": one for one in made}
    measured_by_others(row.name, "desk")
    if opened:
        with transaction.atomic():
            desk.fund(balances or {"USDT": "100000"})
        desk.measure()
    return desk


def measured_by_others(venue: str, account: str) -> None:
    """What other processes measure all the time; these rows stay fresh however long a test takes."""
    moment = now() + timedelta(hours=1)
    VenueClock.objects.create(venue=venue, offset_ms=0, measured_at=moment)
    StreamState.objects.create(name=f"user:{account}", connected_at=moment, last_message_at=moment)
    for scope in ("global", f"account:{account}"):
        LossMeasure.objects.create(scope=scope, day=now().date(), measured_at=moment)


def results_measured() -> None:
    """What the equity tick does, fresh however long a test takes."""
    equity_mark()
    losses_measure()
    LossMeasure.objects.update(measured_at=now() + timedelta(hours=1))


def trader() -> User:
    """A person who may trade."""
    return User.objects.create_user(username=f"trader-{next(_numbers)}", password="x", role="trader")
