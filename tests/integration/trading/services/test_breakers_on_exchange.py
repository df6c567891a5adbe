"""Breakers against the paper exchange: a planted fault opens each at its level, and probes close it when it is over.

What an exchange cannot be made to do in a second (a silent stream, a slow disk) is arranged as rows in
`test_breaker_measures`; here the fault is the venue's, and what is read is what the real client made of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from nautilus_site.common.clock import now
from tests.factories.exchange import Exchange, running_exchange
from trading.domain.errors import VenueError
from trading.domain.values import Level
from trading.models import Account, CircuitBreaker, Order, TradingState
from trading.services.breakers import (
    account_measure,
    breakers_ensure,
    breakers_evaluate,
    samples,
    venue_call_observed,
)
from trading.services.equity import equity_mark
from trading.services.execution.send import order_send
from trading.services.reconcile import account_reconcile
from universe.adapters.binance import BinanceSpotMarketData, SpotClient, endpoints_for
from universe.models import Instrument, Quote, StreamState
from universe.services import instruments_sync
from universe.services.venue_backoffs import weight_treasury

if TYPE_CHECKING:
    from tests.factories.trading import Desk

VENUE = "binance-spot"
READ, PLACE = ("/api/v3/openOrders", "GET"), ("/api/v3/order", "POST")


class Watched(Exchange):
    """The exchange reached by a client whose every call is counted and whose waits are shared, as the workers' are."""

    def _client(self) -> SpotClient:
        return SpotClient(
            endpoints_for("local", local_url=self.url),
            treasury=weight_treasury(VENUE, address=f"{self.url}/{self.account['api_key'][-8:]}"),
            observer=venue_call_observed,
            **self.key,
        )


@dataclass
class Rig:
    desk: Desk
    exchange: Watched

    def breaker(self, name: str) -> CircuitBreaker:
        return CircuitBreaker.objects.get(name=name, scope__in=(f"venue:{VENUE}", "account:desk"))

    def state(self, name: str) -> str:
        breakers_evaluate()
        return str(self.breaker(name).state)

    def rule(self, name: str, **columns: Any) -> None:
        CircuitBreaker.objects.filter(name=name).update(**columns)

    def ask(self, times: int = 1) -> None:
        """Signed reads; what they are answered does not matter here."""
        for _ in range(times):
            try:
                self.exchange.venue.open_orders("BTCUSDT")
            except VenueError:
                continue

    def look(self, factor: str = "1") -> None:
        """Hear of the market as it is, or as it is not."""
        bid, ask = ((side * Decimal(factor)).quantize(Decimal("0.01")) for side in self.exchange.touch())
        moment = now()
        told = {"bid": bid, "ask": ask, "market_time": moment, "received_at": moment}
        Quote.objects.update_or_create(instrument=self.desk.btc, defaults=told)
        StreamState.objects.update(last_message_at=moment)
        Account.objects.update(reconciled_at=moment)

    def order(self, quantity: str = "0.001", *, quoted: str = "1", **changes: Any) -> Order:
        """Reserve and send one order, at the market unless a price is given."""
        self.look(quoted)
        order = self.desk.submit("BUY", quantity, **({"type": "MARKET"} | changes))
        authorised = self.desk.authorise(order)
        assert authorised is not None
        order_send(authorised=authorised, venue=self.exchange.venue, venue_name=VENUE)
        return self.desk.fresh(order)

    def fault(self, on: tuple[str, str], count: int, **effect: Any) -> None:
        match = {"path": on[0], "method": on[1], "count": count}
        self.exchange.control("POST", "/faults", {"match": match, "effect": effect})

    def waited(self, name: str) -> None:
        """The fault is gone, and so is the wait of the breaker it opened."""
        self.exchange.control("DELETE", "/faults")
        row = self.breaker(name)
        row.memory["until_ns"] = 1
        row.save(update_fields=["memory"])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT") as address:
        yield address


@pytest.fixture
def rig(new_desk: Callable[..., Desk], url: str) -> Iterator[Rig]:
    desk = new_desk(opened=False, symbols=("BTCUSDT",))
    exchange = Watched(url)
    instruments_sync(desk.venue_row, BinanceSpotMarketData(exchange.client))
    desk.instruments = {i.symbol: i for i in Instrument.objects.filter(venue=desk.venue_row)}
    desk.venue = exchange.venue
    account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger="periodic")
    desk.account.refresh_from_db()
    breakers_ensure()
    # Everything measured from here on counts; nothing before the test has.
    CircuitBreaker.objects.update(changed_at=now() - timedelta(days=1))
    rig = Rig(desk, exchange)
    rig.look()
    desk.measure()
    desk.limit(near_duplicate_window=0, clock_max_age=600)
    yield rig
    exchange.control("DELETE", "/faults")


def test_half_of_the_calls_failing_opens_it_and_only_good_calls_close_it_again(rig: Rig) -> None:
    name = "venue_error_rate"
    rig.ask(10)
    assert rig.state(name) == "closed"
    rig.fault(READ, 1000, error_before={"status": 500, "code": -1001})
    for _ in range(60):
        rig.ask()
        row = rig.breaker(name)
        if row.state == "open":
            break
    said = re.match(r"(\d+) errors in (\d+) calls", row.reason)
    assert said is not None, row.reason
    errors, calls = int(said[1]), int(said[2])
    assert 2 * errors >= calls > 2 * (errors - 1), "at the first call that made it a half"
    # Half-open, the calls themselves are the probes: one that fails opens it for longer.
    rig.waited(name)
    assert rig.state(name) == "half_open"
    rig.fault(READ, 1000, error_before={"status": 500, "code": -1001})
    rig.ask()
    row = rig.breaker(name)
    assert (row.state, row.memory["cooldown_s"] > row.cooldown_s) == ("open", True)
    rig.waited(name)
    assert rig.state(name) == "half_open"
    rig.ask(row.half_open_successes - 1)
    assert rig.breaker(name).state == "half_open"
    rig.ask()
    assert rig.breaker(name).state == "closed"


@pytest.mark.parametrize(("status", "name", "other"), [
    (429, "venue_rate_limit", "venue_ban"),
    (418, "venue_ban", "venue_rate_limit"),
])  # fmt: skip
def test_a_wait_the_venue_asks_for_halts_its_orders(rig: Rig, status: int, name: str, other: str) -> None:
    rig.ask(3)
    assert rig.state(name) == "closed"
    rig.fault(READ, 1, rate_limit={"status": status, "retry_after": 90})
    rig.ask()
    assert (rig.state(name), rig.breaker(other).state) == ("open", "closed")
    row = rig.breaker(name)
    assert row.retry_at is not None
    least = 60 if status == 429 else 85
    assert least - 2 < (row.retry_at - now()).total_seconds() < 91
    assert TradingState.objects.get(scope=f"venue:{VENUE}").effective is Level.HALT_NEW


def test_three_answers_that_the_venue_is_overloaded_and_not_two(rig: Rig) -> None:
    # Each read is asked again where the venue is busy, so what is counted are answers.
    rig.fault(READ, 2, error_before={"status": 503, "code": -1008})
    rig.ask()
    assert rig.state("venue_overload") == "closed"
    rig.fault(READ, 1, error_before={"status": 503, "code": -1008})
    rig.ask()
    assert rig.state("venue_overload") == "open"
    assert "-1008 (overloaded) 3 times" in rig.breaker("venue_overload").reason


def test_one_refusal_of_our_key_halts_until_people_have_looked(rig: Rig) -> None:
    rig.fault(READ, 1, error_before={"status": 401, "code": -2015})
    rig.ask()
    assert rig.state("key_rejected") == "open"
    assert TradingState.objects.get(scope=f"venue:{VENUE}").level == Level.HALT_NEW
    rig.waited("key_rejected")
    rig.ask(5)
    assert rig.state("key_rejected") == "open"


def test_slow_answers_open_it_at_the_level_of_its_row(rig: Rig) -> None:
    # The default of 2 s over 20 orders would be a minute of waiting; the level is the row's, whatever it is.
    rig.rule("ack_latency_p99", threshold=400, min_samples=3)
    for _ in range(3):
        rig.order()
    assert rig.state("ack_latency_p99") == "closed"
    rig.fault(PLACE, 1, delay_ms=450)
    rig.order()
    assert rig.state("ack_latency_p99") == "open"
    assert 400 <= (rig.breaker("ack_latency_p99").measured or 0) < 2_000


def test_a_clock_that_is_off_in_three_readings(rig: Rig) -> None:
    def read() -> str:
        samples._measured_at.clear()
        rig.exchange.venue.measure_offset()
        account_measure(rig.desk.account, rig.exchange.venue)
        return rig.state("clock_offset")

    rig.exchange.control("POST", "/faults", {"match": {}, "effect": {"clock_skew_ms": 1_300}})
    assert (read(), read()) == ("closed", "closed")
    assert read() == "open"
    rig.waited("clock_offset")
    assert read() == "half_open"
    # The window still holds what was measured while it was off; a reading that is right is the nearest of all.
    assert [read() for _ in range(3)][-1] == "closed"


def test_three_answers_that_never_came(rig: Rig) -> None:
    rig.fault(PLACE, 3, error_after="drop")
    for number in range(3):
        assert rig.state("unknown_orders") == "closed", number
        order = rig.order(str(Decimal("0.001") * (number + 1)))
        assert order.status == "UNKNOWN"
    assert rig.state("unknown_orders") == "open"
    assert TradingState.objects.get(scope="account:desk").effective is Level.HALT_NEW


def test_a_fifth_of_ten_orders_refused(rig: Rig) -> None:
    def send(times: int) -> None:
        for _ in range(times):
            rig.order(str(Decimal("0.001") + Decimal(Order.objects.count()) / 100_000))

    rig.fault(PLACE, 1, error_before={"status": 400, "code": -2010})
    send(9)
    assert rig.state("reject_rate") == "closed"
    send(1)
    assert rig.state("reject_rate") == "closed", "one in ten"
    rig.fault(PLACE, 2, error_before={"status": 400, "code": -2010})
    send(2)
    assert (rig.state("reject_rate"), rig.breaker("reject_rate").samples) == ("open", 12)


def test_fills_that_cost_more_than_the_quote_promised(rig: Rig) -> None:
    """The book has moved when the order arrives: what the collar still lets through counts as slippage."""
    rig.desk.limit(market_slippage=200, price_disagreement=500, price_collar=500)
    for _ in range(5):
        assert rig.order().status == "FILLED"
    assert rig.state("slippage") == "closed"
    for _ in range(10):
        assert rig.order(quoted="0.995").status == "FILLED"
    assert rig.state("slippage") == "open"
    row = rig.breaker("slippage")
    assert row.measured == pytest.approx(50 * 10 / 15, abs=6)


def test_the_slippage_breaker_can_open_within_the_collar_of_market_orders(rig: Rig) -> None:
    from trading.services.breakers import KINDS
    from trading.services.controls import LIMITS

    assert KINDS["slippage"].rule.threshold < LIMITS["market_slippage"].default


def test_a_fall_of_the_market_is_a_loss_of_the_day_and_later_a_drawdown(rig: Rig) -> None:
    """1 BTC and 100,000 USDT: with BTC at 71,450 or so, a fall of a fifth takes 8 % of the equity, of a half 21 %."""
    price = rig.exchange.touch()[0]

    def at(share: str) -> dict[str, str]:
        rig.exchange.drive((1, price * Decimal(share)), (30, price * Decimal(share)), seconds=6)
        rig.look()
        equity_mark()
        breakers_evaluate()
        return {name: rig.breaker(name).state for name in ("daily_loss", "pnl_velocity", "drawdown")}

    try:
        assert set(at("1").values()) == {"closed"}
        assert set(at("0.92").values()) == {"closed"}, "3.3 %"
        assert at("0.80") == {"daily_loss": "open", "pnl_velocity": "open", "drawdown": "closed"}
        assert at("0.50")["drawdown"] == "open"
        assert TradingState.objects.get(scope="account:desk").level == Level.REDUCING
    finally:
        rig.exchange.drive((1, price), (30, price), seconds=6)
