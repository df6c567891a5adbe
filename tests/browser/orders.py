"""Orders with their fills as rows: one at a time, and those of the small world."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from decimal import Decimal

from nautilus_site.common.clock import now
from trading.models import Account, Fill, Order, OrderEvent, Strategy
from universe.models import Instrument


def orders_of_the_world(
    account: Account, instruments: dict[str, Instrument], strategy: Strategy, moment: datetime, end: datetime
) -> list[Order]:
    orders = []
    for number, (symbol, side, quantity, price, status, code) in enumerate(
        (
            ("BTCUSDT", "BUY", "0.02", "60000", "FILLED", ""),
            ("ETHUSDT", "SELL", "0.4", "3050", "CANCELED", ""),
            ("BTCUSDT", "SELL", "0.01", "61000", "NEW", ""),
            ("BTCUSDT", "BUY", "0.01", "59000", "PARTIALLY_FILLED", ""),
            ("ETHUSDT", "BUY", "9", "3000", "DENIED", "NOTIONAL_ABOVE_MAX"),
            ("BNBUSDT", "BUY", "1", "600", "UNKNOWN", ""),
        )
    ):
        created = moment - timedelta(minutes=30 - number * 4)
        order = make_order(
            account,
            instruments[symbol],
            strategy,
            side=side,
            quantity=quantity,
            price=price,
            status=status,
            at=created,
        )
        if code:
            order.code, order.message = code, "27000 USDT is above the limit of 10000 USDT"
            order.checks = [
                {
                    "rail": "max_notional",
                    "passed": False,
                    "code": code,
                    "measured": "27000",
                    "limit": "10000",
                    "unit": "USDT",
                    "detail": "notional of one order",
                }
            ]
            order.save(update_fields=["code", "message", "checks"])
        if status in ("FILLED", "PARTIALLY_FILLED"):
            make_fill(
                order,
                share=Decimal(1 if status == "FILLED" else 0.4).quantize(Decimal("0.1")),
                at=end - timedelta(minutes=40 - number * 9),
                trade_id=number + 1,
            )
        orders.append(order)
    return orders


def make_order(
    account: Account,
    instrument: Instrument,
    strategy: Strategy | None,
    *,
    side: str = "BUY",
    quantity: str = "0.01",
    price: str = "60000",
    status: str = "NEW",
    at: datetime | None = None,
) -> Order:
    """One order with the events of its life so far."""
    created = at or now()
    uid = uuid.uuid4()
    order = Order.objects.create(
        uid=uid,
        account=account,
        instrument=instrument,
        origin=Order.Origin.STRATEGY if strategy else Order.Origin.MANUAL,
        intent_key=f"test:{uid}",
        client_order_id=f"nh{uid.hex[:30]}",
        venue_order_id=None if status in ("DENIED", "UNKNOWN", "RESERVED") else uid.int % 10**9,
        strategy=strategy,
        side=side,
        type="LIMIT",
        venue_type="LIMIT",
        time_in_force="GTC",
        quantity=Decimal(quantity),
        price=Decimal(price),
        arrival_mid=Decimal(price),
        status=status,
        checks=[
            {
                "rail": "max_notional",
                "passed": True,
                "code": None,
                "measured": str(Decimal(quantity) * Decimal(price)),
                "limit": "10000",
                "unit": "USDT",
                "detail": "",
            }
        ],
        created_at=created,
        sent_at=None if status == "DENIED" else created + timedelta(milliseconds=9),
        acknowledged_at=None if status in ("DENIED", "UNKNOWN") else created + timedelta(milliseconds=31),
        updated_at=created,
    )
    for name, delay in (("RESERVED", 0), (status, 31)):
        OrderEvent.objects.create(
            order=order,
            status=name,
            source="rails" if delay == 0 else "response",
            at=created + timedelta(milliseconds=delay),
        )
    return Order.objects.select_related("account", "instrument", "strategy").get(pk=order.pk)


def make_fill(
    order: Order, *, share: Decimal = Decimal(1), at: datetime | None = None, trade_id: int = 1
) -> Fill:
    """An execution of a share of an order at its limit price; fee 0.1 % in quote."""
    assert order.price is not None
    quantity = (order.quantity * share).quantize(Decimal("0.00000001"))
    quote = quantity * order.price
    order.executed_quantity, order.executed_quote = quantity, quote
    order.save(update_fields=["executed_quantity", "executed_quote"])
    return Fill.objects.create(
        account=order.account,
        instrument=order.instrument,
        order=order,
        trade_id=trade_id,
        side=order.side,
        price=order.price,
        quantity=quantity,
        quote_quantity=quote,
        commission=quote / 1000,
        commission_asset="USDT",
        commission_quote=quote / 1000,
        maker=False,
        traded_at=at or now(),
        recorded_at=now(),
        source="stream",
    )
