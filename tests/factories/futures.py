"""A USD-M account whose orders are written as rows, for what happens after they were sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any

from nautilus_site.common.clock import now
from tests.fakes.instruments import exchange_info_entry
from trading.domain.ports import OrderReport, TradeReport
from trading.domain.reservation import exposure_increase
from trading.domain.values import PositionSide, Side, from_units, to_units
from trading.models import (
    Account,
    Decision,
    LedgerEntry,
    Order,
    Plan,
    PlanShare,
    Position,
    Strategy,
    StrategyInstance,
)
from trading.services.controls import limits_install
from trading.services.execution.holds import Changes, balance_hold, order_only_reduces
from trading.services.execution.settle import order_settle
from trading.services.exposure import balances_locked, bucket_scopes, buckets_locked, position_locked
from trading.services.ledger import Line, ledger_post
from universe.models import Instrument, Quote, Venue

_numbers = count(1)


@dataclass(slots=True)
class Futures:
    """One account with its contract, and the exchange's side of the story told by hand."""

    account: Account
    instrument: Instrument
    strategies: dict[str, Strategy] = field(default_factory=dict)
    trade_ids: Any = field(default_factory=lambda: count(1))

    def strategy(self, name: str) -> Strategy:
        if name not in self.strategies:
            self.strategies[name] = Strategy.objects.create(
                name=name, kind="moving_average", updated_at=now()
            )
        return self.strategies[name]

    def plan(self, shares: Mapping[str, str]) -> Plan:
        """A plan with frozen shares."""
        number = next(_numbers)
        plan = Plan.objects.create(
            account=self.account,
            instrument=self.instrument,
            version=number,
            price=100,
            position_quantity=0,
            target_quantity=0,
            created_at=now(),
        )
        for name, share in shares.items():
            instance, _ = StrategyInstance.objects.get_or_create(
                strategy=self.strategy(name), account=self.account, instrument=self.instrument
            )
            decision = Decision.objects.create(
                instance=instance,
                key=f"{number}:{name}",
                bar_open_at=now(),
                price=100,
                target=1,
                reason="test",
                decided_at=now(),
            )
            PlanShare.objects.create(plan=plan, decision=decision, share=Decimal(share))
        return plan

    def order(self, side: str, quantity: str, price: str = "60000", **changes: Any) -> Order:
        """An order on the wire, holding what Tx A makes it hold."""
        number = next(_numbers)
        moment = now()
        if "strategy" in changes:
            changes["strategy"] = self.strategy(changes["strategy"])
            changes.setdefault("origin", Order.Origin.STRATEGY)
        order = Order(
            **{
                "account": self.account,
                "instrument": self.instrument,
                "origin": Order.Origin.MANUAL,
                "intent_key": f"t{number}",
                "client_order_id": f"t{number}",
                "side": side,
                "type": "LIMIT",
                "venue_type": "LIMIT",
                "time_in_force": "GTC",
                "quantity": Decimal(quantity),
                "price": Decimal(price),
                "status": "SENDING",
                "created_at": moment,
                "updated_at": moment,
                "sent_at": moment,
                **changes,
            }
        )
        self._hold(order)
        order.save()
        return Order.objects.select_related("account__venue", "instrument", "strategy").get(pk=order.pk)

    def _hold(self, order: Order) -> None:
        if order_only_reduces(order) or order.price is None:
            return
        position = position_locked(self.account, self.instrument, order.position_side)
        balances_locked(self.account, {"USDT"})
        name = order.strategy.name if order.strategy else None
        buckets_locked(bucket_scopes(self.account.name, self.instrument.symbol, name))
        units = to_units(order.quantity)
        increase = exposure_increase(
            to_units(position.quantity),
            to_units(position.open_buy),
            to_units(position.open_sell),
            Side(order.side),
            units,
        )
        notional = to_units(order.quantity * order.price)
        order.open_quantity = order.quantity
        order.reserved_notional = from_units(-(-notional * increase // units))
        order.reserved_asset, order.reserved_amount = balance_hold(
            account=self.account,
            instrument=self.instrument,
            side=Side(order.side),
            position_side=PositionSide(order.position_side),
            reduce_only=order.reduce_only,
            close_position=order.close_position,
            quantity=order.quantity,
            notional=notional,
            increase=increase,
        )
        changes = Changes(self.account)
        changes.open(order, order.quantity)
        changes.caps(order, order.reserved_notional)
        changes.reserved[order.reserved_asset] += order.reserved_amount
        changes.open_write(position)
        changes.write()

    def trade(
        self,
        order: Order,
        quantity: str,
        price: str,
        *,
        realized: str | None = None,
        fee: str = "0",
        fee_asset: str = "USDT",
        trade_id: int | None = None,
    ) -> TradeReport:
        """One execution as the venue tells it."""
        number = next(self.trade_ids) if trade_id is None else trade_id
        return TradeReport(
            symbol=self.instrument.symbol,
            trade_id=number,
            venue_order_id=9_000 + order.pk,
            side=Side(order.side),
            price=Decimal(price),
            quantity=Decimal(quantity),
            quote_quantity=Decimal(price) * Decimal(quantity),
            commission=Decimal(fee),
            commission_asset=fee_asset,
            maker=False,
            time_ms=1_700_000_000_000 + number,
            client_order_id=order.client_order_id,
            position_side=PositionSide(order.position_side),
            realized=None if realized is None else Decimal(realized),
        )

    def report(self, order: Order, status: str, executed: str = "0", **changes: Any) -> OrderReport:
        """The order as the venue tells it."""
        return OrderReport(
            **{
                "symbol": self.instrument.symbol,
                "client_order_id": order.client_order_id,
                "venue_order_id": 9_000 + order.pk,
                "side": Side(order.side),
                "type": order.venue_type,
                "time_in_force": "GTC",
                "price": order.price or Decimal(0),
                "quantity": order.quantity,
                "executed_quantity": Decimal(executed),
                "cumulative_quote": Decimal(0),
                "status": status,
                "time_ms": 1_700_000_000_000,
                "position_side": PositionSide(order.position_side),
                **changes,
            }
        )

    def fill(self, side: str, quantity: str, price: str, **changes: Any) -> Order:
        """An order that filled at once; `fee`, `fee_asset`, `realized` and `trade_id` are the trade's."""
        told = {k: changes.pop(k) for k in ("fee", "fee_asset", "realized", "trade_id") if k in changes}
        order = self.order(side, quantity, price, **changes)
        return self.settle(order, "FILLED", self.trade(order, quantity, price, **told))

    def settle(self, order: Order, status: str, *trades: TradeReport, source: str = "stream") -> Order:
        executed = sum((trade.quantity for trade in trades), Decimal(0))
        report = self.report(order, status, str(executed))
        return order_settle(order_id=order.pk, report=report, trades=trades, source=source)

    def position(self, side: str = "BOTH") -> Position:
        return Position.objects.get(account=self.account, instrument=self.instrument, position_side=side)

    def wallet(self, asset: str = "USDT") -> Decimal:
        amount: Decimal = self.account.balances.get(asset=asset).amount
        return amount

    def quote(self, bid: str, ask: str) -> None:
        Quote.objects.update_or_create(
            instrument=self.instrument, defaults={"bid": bid, "ask": ask, "received_at": now()}
        )


def futures_account(
    *, hedge: bool = False, wallet: str = "10000", symbol: str = "BTCUSDT", market: str = "usdm"
) -> Futures:
    """Build it, funded and opened."""
    moment = now()
    venue = Venue.objects.create(name=f"binance-{market}", market=market, environment="local")
    instrument = Instrument.objects.create(
        venue=venue,
        symbol=symbol,
        market=market,
        base_asset=symbol[:-4],
        quote_asset="USDT",
        status="TRADING",
        filters=exchange_info_entry(symbol),
        first_seen_at=moment,
        updated_at=moment,
    )
    account = Account.objects.create(
        name=f"paper-{market}", venue=venue, hedge_mode=hedge, opened_at=moment, reconciled_at=moment
    )
    limits_install(actor="test")
    balances_locked(account, {"USDT"})
    ledger_post(
        account=account,
        transaction="opening",
        lines=[Line("USDT", Decimal(wallet), LedgerEntry.Kind.OPENING)],
    )
    return Futures(account, instrument)
