"""Every breaker by one table: closed just below its level, open at it, not without its samples; then its recovery."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry
from trading.domain.values import Level
from trading.models import (
    Account,
    BreakerSample,
    CircuitBreaker,
    Divergence,
    EquitySnapshot,
    Fill,
    Order,
    OrderEvent,
    TradingState,
    VenueCallWindow,
)
from trading.services.breakers import KINDS, breakers_ensure, breakers_evaluate, venue_call_observed
from trading.services.breakers.evaluation import _evaluate
from trading.services.breakers.measures import MEASURES
from universe.domain.calls import CallOutcome
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
    price, moment = 60_000.0, now().replace(second=0, microsecond=0)
    for number, move in enumerate([0.0, *moves]):
        price *= math.exp(move)
        Bar.objects.create(
            instrument=desk.btc,
            interval="1m",
            open_time=moment + timedelta(minutes=number),
            close_time=moment + timedelta(minutes=number, seconds=59),
            open=Decimal(str(round(price, 8))),
            high=Decimal(str(round(price, 8))),
            low=Decimal(str(round(price, 8))),
            close=Decimal(str(round(price, 8))),
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


def evaluated(name: str) -> CircuitBreaker:
    row = CircuitBreaker.objects.get(name=name, scope=SCOPES[KINDS[name].of])
    _evaluate(row.pk, None)
    row.refresh_from_db()
    return row


@pytest.fixture
def watched(desk: Desk) -> Desk:
    if desk.account.market == "spot":
        # The margin breakers are those of USD-M accounts; their measures are the same functions here.
        for name in ("margin_ratio", "margin_call"):
            CircuitBreaker.objects.create(name=name, scope="account:desk", changed_at=now(), **_columns(name))
    breakers_ensure()
    CircuitBreaker.objects.update(changed_at=now() - timedelta(days=1))
    return desk


def _columns(name: str) -> dict[str, Any]:
    kind = KINDS[name]
    rule = {field: getattr(kind.rule, field) for field in kind.rule.__dataclass_fields__}
    return {**rule, "unit": kind.unit, "action": kind.action, "reset": kind.reset}


def begin(name: str) -> None:
    """Whatever was measured before is over: the window starts now, and what has no window is as it should be."""
    for model in (VenueCallWindow, VenueBackoff, BreakerSample, Divergence, Bar, EquitySnapshot):
        model.objects.all().delete()
    StreamState.objects.update(last_message_at=now())
    Quote.objects.update(received_at=now(), bid=59_990, ask=60_010)
    CircuitBreaker.objects.filter(name=name).update(changed_at=now())


def end_wait(row: CircuitBreaker) -> None:
    row.memory["until_ns"] = 1
    CircuitBreaker.objects.filter(pk=row.pk).update(memory=row.memory)


def opened(desk: Desk, name: str) -> CircuitBreaker:
    begin(name)
    arrange, _, first_denied = CASES[name]
    arrange(desk, first_denied, enough(name))
    row = evaluated(name)
    assert row.state == "open", (row.measured, row.samples, row.reason)
    assert row.reason
    return row


def test_every_measure_has_a_rule_and_a_case() -> None:
    assert set(MEASURES) == set(KINDS) == set(CASES)


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_life_of_each_breaker(watched: Desk, name: str) -> None:
    kind, (arrange, last_allowed, first_denied) = KINDS[name], CASES[name]

    # Just below its level it stays closed, and measures what is there.
    begin(name)
    arrange(watched, last_allowed, enough(name))
    row = evaluated(name)
    assert row.state == "closed", row.reason
    assert row.measured == pytest.approx(last_allowed, rel=0.05, abs=0.02)
    assert row.samples is not None
    assert row.samples >= kind.rule.min_samples or last_allowed == 0

    # At its level but with too few samples it proves nothing.
    if kind.rule.min_samples > 1:
        begin(name)
        arrange(watched, first_denied, kind.rule.min_samples - 1)
        row = evaluated(name)
        assert (row.state, row.samples) == ("closed", kind.rule.min_samples - 1)

    # At its level it opens and does what its action says.
    row = opened(watched, name)
    assert AuditEntry.objects.filter(action="breaker.open", target=f"{name}@{row.scope}").exists()
    state = TradingState.objects.filter(scope=row.scope).first()
    if kind.action == "open":
        assert state is None or state.effective is Level.ACTIVE
    else:
        assert state is not None
        assert state.effective is Level[kind.action]
        # Latched where only people reset it; otherwise in the column that falls with the breaker.
        assert (state.level > 0, state.auto_level > 0) == (kind.reset == "manual", kind.reset == "auto")

    # What people reset does not recover by itself, however good it looks.
    if kind.reset == "manual":
        begin(name)
        end_wait(row)
        for _ in range(4):
            row = evaluated(name)
        assert (row.state, row.retry_at) == ("open", None)
        assert TradingState.objects.get(scope=row.scope).level == Level[kind.action]
        return
    if kind.probes == "calls":
        return  # its probes are the calls themselves: see test_breakers.py

    # After its wait one bad probe opens it again.
    begin(name)
    end_wait(row)
    assert evaluated(name).state == "half_open"
    assert not TradingState.objects.filter(scope=row.scope, auto_level__gt=0).exists()
    arrange(watched, first_denied, enough(name))
    row = evaluated(name)
    assert row.state == "open"
    assert row.reason.startswith("probe failed")

    # Enough good ones close it; silence is no good probe.
    begin(name)
    end_wait(row)
    assert evaluated(name).state == "half_open"
    quiet = evaluated(name)
    if quiet.samples == 0:
        assert quiet.state == "half_open"
        arrange(watched, last_allowed, enough(name))
    for _ in range(kind.rule.half_open_successes):
        row = evaluated(name)
    assert row.state == "closed"
    assert not TradingState.objects.filter(scope=row.scope, auto_level__gt=0).exists()


def test_a_measure_that_fails_opens_its_breaker(watched: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every one of them, also when what failed has broken the transaction it was in."""

    def broken(*_: Any) -> Any:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")

    for name in NAMES:
        monkeypatch.setitem(MEASURES, name, broken)
    breakers_evaluate()
    rows = list(CircuitBreaker.objects.all())
    assert {row.name for row in rows} == set(NAMES)
    assert {(row.state, row.measured) for row in rows} == {("open", None)}
    assert all("cannot be measured" in row.reason for row in rows)


def test_one_broken_measure_holds_up_no_other(watched: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEASURES, "spread", lambda *_: 1 / 0)
    differences(watched, 1, 1)
    breakers_evaluate()
    assert CircuitBreaker.objects.filter(name="spread", state="open").count() == 3
    assert CircuitBreaker.objects.get(name="reconcile_divergence").state == "open"
    assert not CircuitBreaker.objects.filter(evaluated_at=None).exists()


def test_a_switched_off_breaker_judges_nothing(watched: Desk) -> None:
    CircuitBreaker.objects.filter(name="reconcile_divergence").update(is_enabled=False)
    differences(watched, 5, 1)
    assert evaluated("reconcile_divergence").state == "closed"


def test_a_ban_lasts_as_long_as_the_venue_said(watched: Desk) -> None:
    row = opened(watched, "venue_ban")
    assert row.retry_at is not None
    assert 20 < (row.retry_at - now()).total_seconds() <= 30
    VenueBackoff.objects.update(blocked_until=now() + timedelta(seconds=600))
    longer = evaluated("venue_ban")
    assert longer.retry_at is not None
    assert (longer.retry_at - now()).total_seconds() > 500


def test_a_call_is_counted_without_waiting_for_the_disk_and_nothing_after_it_is(
    transactional_db: None,
) -> None:
    def waits() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return str(cursor.fetchone()[0])

    before = waits()
    venue_call_observed("spot", CallOutcome.OK, 0.01, None)
    assert waits() == before
    with transaction.atomic():
        venue_call_observed("spot", CallOutcome.ERROR, 0.01, None)
        assert waits() == before, "a caller's own commit must still reach the disk"
    assert VenueCallWindow.objects.aggregate(Sum("calls"), Sum("errors")) == {
        "calls__sum": 2,
        "errors__sum": 1,
    }


def test_an_ordinary_move_after_a_still_hour_is_no_jump(watched: Desk) -> None:
    """0.35 % in a minute after an hour of 0.03 % a minute: eleven of its own deviations, seven of the least one."""
    begin("volatility_jump")
    price, moment = 600.0, now().replace(second=0, microsecond=0)
    for number, move in enumerate([0.0, *[0.000324 * (-1) ** n for n in range(60)], 0.0035]):
        price *= math.exp(move)
        text = Decimal(str(round(price, 8)))
        Bar.objects.create(
            instrument=watched.btc, interval="1m", open_time=moment + timedelta(minutes=number),
            close_time=moment + timedelta(minutes=number, seconds=59), open=text, high=text, low=text, close=text,
            volume=1, quote_volume=1, trades=1, taker_base=1, received_at=now(), source="stream",
        )  # fmt: skip
    row = evaluated("volatility_jump")
    assert row.state == "closed"
    assert row.measured == pytest.approx(0.0035 / 0.0005, rel=0.01)
