"""A small trading world as rows: what a platform would have written after a few minutes of paper trading."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from nautilus_site.common.clock import now
from nautilus_site.common.models import ChangeRequest, OutboxEvent, User
from nautilus_site.common.services.change_requests import fingerprint
from tests.browser.orders import orders_of_the_world
from trading.models import (
    Account,
    Balance,
    CircuitBreaker,
    EquitySnapshot,
    ExposureBucket,
    Order,
    Position,
    ProcessHeartbeat,
    ReconcileRun,
    Strategy,
    StrategyInstance,
    SymbolAllowance,
    TradingState,
)
from trading.services.controls import limits_install
from universe.models import Bar, Instrument, Quote, StreamState, Venue

SYMBOLS = {
    "BTCUSDT": ("BTC", Decimal(60000)),
    "ETHUSDT": ("ETH", Decimal(3000)),
    "BNBUSDT": ("BNB", Decimal(600)),
}


def exchange_entry(symbol: str, base: str) -> dict[str, Any]:
    """An entry of exchangeInfo with the filters the kernel needs."""
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "baseAssetPrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "isSpotTradingAllowed": True,
        "permissions": ["SPOT"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "100", "stepSize": "0"},
            {
                "filterType": "NOTIONAL",
                "minNotional": "5",
                "applyMinToMarket": True,
                "maxNotional": "9000000",
            },
        ],
    }


@dataclass(slots=True)
class World:
    """The rows others refer to."""

    account: Account
    instruments: dict[str, Instrument]
    strategy: Strategy
    orders: list[Order]
    bars_end: datetime


def build_world() -> World:
    """Write the rows: among them 0.02 BTC bought at 60000, the middle price 60500: +10 unrealised."""
    moment = now()
    venue = Venue.objects.create(
        name="binance-spot", market="spot", environment="local", last_synced_at=moment
    )
    account = Account.objects.create(
        name="paper-spot",
        venue=venue,
        opened_at=moment,
        reconciled_at=moment - timedelta(seconds=12),
        day_started_on=moment.date(),
        day_start_equity=Decimal(99900),
        peak_equity=Decimal(100100),
    )
    instruments = {symbol: _instrument(venue, symbol, base, moment) for symbol, (base, _) in SYMBOLS.items()}
    bars_end = moment.replace(second=0, microsecond=0)
    for symbol, instrument in instruments.items():
        SymbolAllowance.objects.create(account=account, instrument=instrument, added_at=moment)
        _bars(instrument, SYMBOLS[symbol][1], bars_end)
    middle = {"BTCUSDT": Decimal(60500), "ETHUSDT": Decimal(3010), "BNBUSDT": Decimal(601)}
    for symbol, price in middle.items():
        Quote.objects.create(
            instrument=instruments[symbol],
            bid=price - 1,
            ask=price + 1,
            market_time=moment,
            received_at=moment,
        )
    # 98800 + 0.02 x 60500 = 100010
    Balance.objects.create(account=account, asset="USDT", amount=Decimal(98800), reserved=Decimal(590))
    Balance.objects.create(account=account, asset="BTC", amount=Decimal("0.02"))
    Position.objects.create(
        account=account,
        instrument=instruments["BTCUSDT"],
        quantity=Decimal("0.02"),
        cost=Decimal(1200),
        realized=Decimal("-3.5"),
        commission=Decimal("1.2"),
        updated_at=moment,
    )
    strategy = Strategy.objects.create(
        name="trend", kind="moving_average", interval="1m", is_enabled=True, updated_at=moment
    )
    for symbol in ("BTCUSDT", "ETHUSDT"):
        StrategyInstance.objects.create(
            strategy=strategy,
            account=account,
            instrument=instruments[symbol],
            weight=Decimal("0.5"),
            allocation=Decimal(5000),
            target=0.5,
            last_bar_at=bars_end,
        )
    _controls(account, moment)
    orders = orders_of_the_world(account, instruments, strategy, moment, bars_end)
    for minutes in range(180, 0, -1):
        value = Decimal(100010) + Decimal(round(40 * math.sin(minutes / 17) - minutes * 0.6, 2)).quantize(
            Decimal("0.01")
        )
        EquitySnapshot.objects.create(
            account=account,
            at=moment - timedelta(minutes=minutes),
            market_at=moment - timedelta(minutes=minutes),
            equity=value,
            cash=Decimal(98800),
            market_value=value - 98800,
            unrealized=Decimal(10),
            realized=Decimal("-3.5"),
            commission=Decimal("1.2"),
        )
    # Read back: a row that was just created still holds the plain numbers it was made from.
    fresh = list(Order.objects.filter(pk__in=[order.pk for order in orders]).order_by("pk"))
    return World(account, instruments, strategy, fresh, bars_end)


def _instrument(venue: Venue, symbol: str, base: str, moment: datetime) -> Instrument:
    return Instrument.objects.create(
        venue=venue,
        symbol=symbol,
        market="spot",
        base_asset=base,
        quote_asset="USDT",
        status="TRADING",
        filters=exchange_entry(symbol, base),
        first_seen_at=moment,
        updated_at=moment,
    )


def _bars(instrument: Instrument, start: Decimal, end: datetime, count: int = 240) -> None:
    """A smooth wave with a body and wicks; the last bar opened a minute ago."""
    price = start
    rows = []
    for back in range(count, 0, -1):
        opened = end - timedelta(minutes=back)
        step = Decimal(round(math.sin(back / 9) * 0.0009 + math.sin(back / 2.3) * 0.0006, 7))
        close = (price * (1 + step)).quantize(Decimal("0.01"))
        high, low = max(price, close) * Decimal("1.0004"), min(price, close) * Decimal("0.9996")
        rows.append(
            Bar(
                instrument=instrument,
                interval="1m",
                open_time=opened,
                close_time=opened + timedelta(milliseconds=59_999),
                open=price,
                high=high.quantize(Decimal("0.01")),
                low=low.quantize(Decimal("0.01")),
                close=close,
                volume=Decimal(3 + back % 7),
                quote_volume=close * (3 + back % 7),
                trades=40,
                taker_base=Decimal(1),
                received_at=end,
                source=Bar.Source.STREAM,
            )
        )
        price = close
    Bar.objects.bulk_create(rows)


def _controls(account: Account, moment: datetime) -> None:
    TradingState.objects.create(
        scope="global", level=0, reason="demo", changed_by="seed", changed_at=moment - timedelta(hours=1)
    )
    limits_install(
        actor="seed",
        values={
            "max_notional": Decimal(10000),
            "exposure_account": Decimal(20000),
            "exposure_global": Decimal(50000),
            "price_max_age": Decimal(60),
        },
    )
    for scope, used, cap in (
        ("symbol:paper-spot:BTCUSDT", 8200, 10000),
        ("account:paper-spot", 9100, 20000),
        ("global", 9100, 50000),
    ):
        ExposureBucket.objects.create(scope=scope, used=Decimal(used), cap=Decimal(cap))
    for name, state, reason in (
        ("venue_errors", "closed", ""),
        ("daily_loss", "open", "loss of 2.1 % is over 2 %"),
        ("venue_latency", "half_open", "probing after 30 s"),
    ):
        CircuitBreaker.objects.create(
            name=name,
            scope="account:paper-spot",
            state=state,
            measured=0.021 if state == "open" else 0.0,
            reason=reason,
            changed_at=moment - timedelta(minutes=4),
        )
    for name, kind, age in (
        ("worker-trading-1", "worker-trading", 2),
        ("relay", "relay", 1),
        ("watchdog", "watchdog", 95),
    ):
        ProcessHeartbeat.objects.create(
            name=name,
            kind=kind,
            pid=4000 + age,
            host="here",
            started_at=moment,
            beat_at=moment - timedelta(seconds=age),
        )
    StreamState.objects.create(
        name="market:binance-spot", connected_at=moment, last_message_at=moment, reconnects=1
    )
    StreamState.objects.create(
        name="user:paper-spot", connected_at=moment, last_message_at=moment, reconnects=0
    )
    ReconcileRun.objects.create(
        account=account,
        trigger="periodic",
        started_at=moment - timedelta(seconds=13),
        finished_at=moment - timedelta(seconds=12),
        outcome="clean",
        report={"orders": 12, "fills": 6},
    )


def make_request(
    requester: User, *, kind: str, target: str, payload: dict[str, Any], snapshot: dict[str, Any]
) -> ChangeRequest:
    """A pending change request as a service would have filed it."""
    moment = now()
    return ChangeRequest.objects.create(
        kind=kind,
        target=target,
        payload=payload,
        payload_hash=fingerprint(payload),
        target_hash=fingerprint(snapshot),
        diff={"value": ["10000", "15000"]},
        effect={"largest_order_usdt": "15000", "was_usdt": "10000"},
        reason="the book is deeper than last week",
        requester=requester,
        created_at=moment,
        expires_at=moment + timedelta(hours=2),
    )


def in_own_thread(work: Callable[[], Any]) -> Any:
    """Run what starts its own event loop: Playwright already runs one in the test's thread."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(work).result(timeout=10)


def number_event(topic: str, data: dict[str, Any]) -> dict[str, Any]:
    """A numbered outbox event, as the relay leaves it in the table; returned as the relay pushes it."""
    last = OutboxEvent.objects.exclude(event_id=None).order_by("-event_id").first()
    event_id = (last.event_id or 0) + 1 if last else 1
    row = OutboxEvent.objects.create(topic=topic, at=datetime.now(UTC), data=data, event_id=event_id)
    return {"id": event_id, "topic": topic, "at": row.at.isoformat(), "data": data}
