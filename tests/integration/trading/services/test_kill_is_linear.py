"""A committed kill precedes every later send, whoever else is at it; levels that cannot be read stop everything."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction

from nautilus_site.common.models import AuditEntry
from nautilus_site.common.services.leases import Held
from tests.factories.threads import run_together
from trading.domain.values import Level
from trading.models import Order, TradingState
from trading.services.controls import kill_raise
from trading.services.controls.states import KillUnreadable
from trading.services.execution.authorise import Authorised, order_authorise
from trading.services.execution.gate import gate_read

if TYPE_CHECKING:
    from tests.factories.trading import Desk

ROUNDS, SENDERS, EACH = 6, 4, 6
NOBODYS = Held(name="shard:none:0", fence=1, holder="nobody", taken_over=False)


@pytest.mark.parametrize("scope", ["global", "strategy:trend"])
def test_no_order_is_authorised_after_a_kill_has_committed(shared_desk: Desk, scope: str) -> None:
    """An authorisation is stamped while it holds its share of the global row, a kill while it holds it alone.

    So of every order that left, the stamp must lie before the kill's: 0 ever.
    """
    desk = shared_desk
    # A loaded machine takes its time to reserve them all; none of that is what is looked at here.
    desk.limit(
        orders_per_minute=100_000,
        orders_per_minute_strategy=100_000,
        max_open_orders=1000,
        max_open_orders_strategy=1000,
        price_max_age=600,
        decision_ttl=600,
    )
    held = desk.lease()
    killed_in_between = 0
    for number in range(ROUNDS):
        TradingState.objects.exclude(scope="global").delete()
        TradingState.objects.filter(scope="global").update(level=Level.ACTIVE)
        orders = [
            desk.submit("BUY", "0.0005", price="59800", strategy=desk.strategies["trend"])
            for _ in range(SENDERS * EACH)
        ]
        started = threading.Event()

        def sender(part: int, mine: list[Order] = orders, go: threading.Event = started) -> list[bool]:
            left = []
            for order in mine[part::SENDERS]:
                outcome = order_authorise(
                    order_id=order.pk, held=held, venue_time_ms=desk.venue.server_time_ms()
                )
                left.append(isinstance(outcome, Authorised))
                go.set()
            return left

        def killer(go: threading.Event = started, wait: int = number) -> None:
            go.wait(30)
            time.sleep(0.003 * wait)
            kill_raise(scope=scope, level=Level.HALT_NEW, reason="drill", actor="test")

        results = run_together(*[lambda part=part: sender(part) for part in range(SENDERS)], killer)
        assert not [r for r in results if isinstance(r, Exception)], results
        kill = AuditEntry.objects.filter(action="kill.raised").latest("pk")
        sent = Order.objects.filter(pk__in=[o.pk for o in orders], status="SENDING")
        late = [order.pk for order in sent if order.sent_at is not None and order.sent_at > kill.at]
        assert late == []
        refused = Order.objects.filter(pk__in=[o.pk for o in orders], code="TRADING_HALTED").count()
        assert sent.count() + refused == len(orders)
        killed_in_between += bool(refused) and bool(sent.count())
        sent.update(status="ABSENT")
    assert killed_in_between, "every kill came before or after everything: this has shown nothing"


def test_levels_that_cannot_be_read_in_a_quarter_of_a_second_stop_an_order(shared_desk: Desk) -> None:
    desk = shared_desk
    order = desk.submit("BUY", "0.001", price="59800")
    desk.lease()
    holding, done = threading.Event(), threading.Event()

    def hold_the_row() -> None:
        with transaction.atomic():
            TradingState.objects.select_for_update().get(scope="global")
            holding.set()
            done.wait(30)

    def ask() -> object:
        holding.wait(30)
        try:
            return desk.authorise(order)
        finally:
            done.set()

    results = run_together(hold_the_row, ask)
    assert results == [None, None]
    stopped = desk.fresh(order)
    assert (stopped.status, stopped.code) == ("RELEASED", "TRADING_HALTED")
    assert "250 ms" in stopped.message


def test_the_short_wait_is_for_the_levels_alone(shared_desk: Desk) -> None:
    with transaction.atomic():
        gate_read(["global"], NOBODYS)
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')")
            within = cursor.fetchone()
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')")
        assert within == cursor.fetchone()


def test_a_missing_global_row_allows_nothing(shared_desk: Desk) -> None:
    TradingState.objects.all().delete()
    with transaction.atomic():
        level, scope, lease = gate_read(["global"], NOBODYS)
    assert (level, scope, lease.left_ns) == (Level.HALT_NEW, "global", 0)
    assert issubclass(KillUnreadable, Exception)
