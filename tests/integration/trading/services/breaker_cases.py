"""What makes each breaker's measure read a value, with the last value allowed and the first that is not."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

from nautilus_site.common.clock import now
from trading.models import (
    Account,
    BreakerSample,
    Divergence,
    EquitySnapshot,
    Fill,
    Order,
    OrderEvent,
    VenueCallWindow,
)
from trading.services.breakers import KINDS
from universe.models import Bar, Quote, StreamState, VenueBackoff

if TYPE_CHECKING:
    from tests.factories.trading import Desk

_numbers = count(1)
SCOPES = {
    "venue": "venue:binance-spot",
    "account": "account:desk",
    "symbol": "symbol:BTCUSDT",
    "global": "global",
}


def orders(desk: Desk, number: int, **fields: Any) -> list[Order]:
    moment = now()
    made = []
    for _ in range(number):
        name = f"made-{next(_numbers)}"
        columns: dict[str, Any] = {
            "account": desk.account,
            "instrument": desk.btc,
            "origin": Order.Origin.MANUAL,
            "intent_key": name,
            "client_order_id": name,
            "side": "BUY",
            "type": "LIMIT",
            "venue_type": "LIMIT",
            "quantity": Decimal(1),
            "price": Decimal(60000),
            "status": "NEW",
            "created_at": moment,
            "updated_at": moment,
            "sent_at": moment,
        }
        made.append(Order(**{**columns, **fields}))
    return Order.objects.bulk_create(made)


def fills(desk: Desk, number: int, **fields: Any) -> None:
    for order in orders(desk, number, status="FILLED"):
        moment, trade = now(), next(_numbers)
        columns: dict[str, Any] = {
            "price": Decimal(60000),
            "side": "BUY",
            "slippage_bps": 0.0,
            "maker": False,
        }
        Fill.objects.create(
            account=desk.account,
            instrument=desk.btc,
            order=order,
            trade_id=trade,
            quantity=Decimal(1),
            quote_quantity=Decimal(60000),
            commission=0,
            commission_asset="USDT",
            commission_quote=0,
            traded_at=moment,
            recorded_at=moment,
            source="test",
            **{**columns, **fields},
        )


def calls(desk: Desk, value: float, samples: int) -> None:
    VenueCallWindow.objects.create(
        venue="binance-spot",
        second=int(now().timestamp())
        + 5,  # of a window that begins within a second, that second does not count
        calls=samples,
        errors=math.ceil(value * samples / 100),
    )


def backoff(reason: str) -> Callable[[Desk, float, int], None]:
    def arrange(desk: Desk, value: float, samples: int) -> None:
        if value >= 1:
            until = now() + timedelta(seconds=30)
            VenueBackoff.objects.create(venue="binance-spot", blocked_until=until, reason=reason)

    return arrange


def samples_of(name: str, scope: str, *, repeated: bool = False) -> Callable[[Desk, float, int], None]:
    """One row per counted answer, or rows that all hold the value."""

    def arrange(desk: Desk, value: float, samples: int) -> None:
        for _ in range(samples if repeated else int(value)):
            BreakerSample.objects.create(name=name, scope=scope, at=now(), value=value if repeated else 1)

    return arrange


def latency(desk: Desk, value: float, samples: int) -> None:
    moment = now()
    orders(desk, samples, sent_at=moment, acknowledged_at=moment + timedelta(milliseconds=value))


def price_age(desk: Desk, value: float, samples: int) -> None:
    Quote.objects.update(received_at=now() - timedelta(seconds=value))


def stream_gap(desk: Desk, value: float, samples: int) -> None:
    StreamState.objects.update_or_create(
        name="user:desk", defaults={"last_message_at": now() - timedelta(seconds=value)}
    )


def doubts(desk: Desk, value: float, samples: int) -> None:
    for order in orders(desk, int(value), status="UNKNOWN"):
        OrderEvent.objects.create(order=order, status="UNKNOWN", source="response", at=now())


def differences(desk: Desk, value: float, samples: int) -> None:
    # One that was seen once is always there: it must not count.
    for number in range(int(value) + 1):
        Divergence.objects.create(
            account=desk.account,
            kind="balance",
            subject=f"A{number}",
            first_seen_at=now(),
            last_seen_at=now(),
            sightings=1 if number == int(value) else 2,
        )


def refusals(desk: Desk, value: float, samples: int) -> None:
    refused = math.ceil(value * samples / 100)
    orders(desk, refused, status="REJECTED")
    orders(desk, samples - refused)


def unfilled(desk: Desk, value: float, samples: int) -> None:
    """`value` orders for each one that traded."""
    many = samples >= KINDS["order_to_fill"].rule.min_samples
    traded, total = (3, int(3 * value)) if many else (1, samples)
    orders(desk, traded, executed_quantity=Decimal(1))
    orders(desk, total - traded)


def slipped(desk: Desk, value: float, samples: int) -> None:
    fills(desk, samples, slippage_bps=value)


def outside(desk: Desk, value: float, samples: int) -> None:
    fills(desk, 2)
    fills(desk, int(value), price=Decimal("60000.01"))


def equity(desk: Desk, peak: float, latest: float) -> None:
    """Equity that once stood at 100 and now stands lower."""
    for at, amount in ((now(), peak), (now(), latest)):
        EquitySnapshot.objects.create(
            account=desk.account,
            at=at,
            equity=amount,
            cash=amount,
            market_value=0,
            unrealized=0,
            realized=0,
            commission=0,
        )
    Account.objects.filter(pk=desk.account.pk).update(
        peak_equity=100, day_start_equity=100, day_started_on=now().date()
    )


def lost(desk: Desk, value: float, samples: int) -> None:
    equity(desk, 100, 100 - value)
    if samples == 1:
        EquitySnapshot.objects.order_by("at").first().delete()  # type: ignore[union-attr]


def book(desk: Desk, value: float, samples: int) -> None:
    half = Decimal(str(value)) / 2
    Quote.objects.filter(instrument=desk.btc).update(bid=10_000 - half, ask=10_000 + half)


def jump(desk: Desk, value: float, samples: int) -> None:
    moves = [0.001 * (-1) ** number for number in range(samples)]
    moves.append(value * statistics.stdev(moves) * 1.0001)
    minutes(desk, 60_000.0, moves)


def minutes(desk: Desk, price: float, moves: list[float]) -> None:
    """One bar a minute from now on that does not move inside, the first at the price, each further one after a move."""
    moment = now().replace(second=0, microsecond=0)
    for number, move in enumerate([0.0, *moves]):
        price *= math.exp(move)
        close = Decimal(str(round(price, 8)))
        Bar.objects.create(
            instrument=desk.btc,
            interval="1m",
            open_time=moment + timedelta(minutes=number),
            close_time=moment + timedelta(minutes=number, seconds=59),
            open=close,
            high=close,
            low=close,
            close=close,
            volume=1,
            quote_volume=1,
            trades=1,
            taker_base=1,
            received_at=now(),
            source="stream",
        )


Arrange = Callable[["Desk", float, int], None]
# (what makes it read a value over so many samples, the value still allowed, the first that is not)
CASES: dict[str, tuple[Arrange, float, float]] = {
    "venue_error_rate": (calls, 49, 50),
    "venue_rate_limit": (backoff("HTTP 429"), 0, 1),
    "venue_ban": (backoff("HTTP 418"), 0, 1),
    "venue_overload": (samples_of("venue_overload", SCOPES["venue"]), 2, 3),
    "key_rejected": (samples_of("key_rejected", SCOPES["venue"]), 0, 1),
    "ack_latency_p99": (latency, 1999, 2000),
    "clock_offset": (samples_of("clock_offset", SCOPES["venue"], repeated=True), 999, 1000),
    "market_data_age": (price_age, 20, 30),
    "user_stream_gap": (stream_gap, 20, 30),
    "unknown_orders": (doubts, 2, 3),
    "reconcile_divergence": (differences, 0, 1),
    "reject_rate": (refusals, 19, 20),
    "order_to_fill": (unfilled, 99, 100),
    "slippage": (slipped, 14.9, 15),
    "fill_outside": (outside, 0, 1),
    "drawdown": (lost, 14.9, 15),
    "daily_loss": (lost, 4.9, 5),
    "pnl_velocity": (lost, 4.9, 5),
    "margin_ratio": (samples_of("margin_ratio", SCOPES["account"], repeated=True), 79.9, 80),
    "margin_call": (samples_of("margin_call", SCOPES["account"]), 0, 1),
    "spread": (book, 99, 100),
    "volatility_jump": (jump, 9.9, 10),
    "commit_latency_p99": (samples_of("commit_latency_p99", "global", repeated=True), 999, 1000),
}
NAMES = sorted(CASES)


def enough(name: str) -> int:
    """Samples that make rates exact: a whole number of hundreds where the measure is a share."""
    least = KINDS[name].rule.min_samples
    return 100 if KINDS[name].unit == "%" and least > 2 else least
