"""Tx B: nothing is sent without a committed permission, and a committed kill always comes first."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.services.leases import Held, lease_acquire
from tests.factories.threads import run_together
from tests.factories.trading import PRICES
from trading.domain.values import Level
from trading.models import Order, OrderEvent
from trading.services.controls import kill_raise
from trading.services.execution.authorise import LeaseLost, order_authorise
from trading.services.execution.drain import orders_drain

if TYPE_CHECKING:
    from tests.factories.trading import Desk


@pytest.mark.parametrize("level", [Level.HALT_NEW, Level.CANCEL])
@pytest.mark.parametrize("scope", ["global", "account:desk", "symbol:BTCUSDT", "venue:binance-spot"])
def test_nothing_is_sent_at_a_level_that_stops_and_the_order_gives_everything_back(
    desk: Desk, level: Level, scope: str
) -> None:
    order = desk.submit()
    desk.kill(level, scope)
    assert desk.authorise(order) is None
    row = desk.fresh(order)
    assert (row.status, row.code, row.sent_at) == ("RELEASED", "TRADING_HALTED", None)
    assert desk.held_amounts() == {}


def test_a_kill_of_one_strategy_stops_its_orders_and_no_others(desk: Desk) -> None:
    own = desk.submit(strategy=desk.strategies["trend"])
    other = desk.submit(strategy=desk.strategies["swing"])
    desk.kill(Level.CANCEL, "strategy:trend")
    assert desk.authorise(own) is None
    assert desk.authorise(other) is not None


def test_while_reducing_a_sell_of_what_is_held_is_sent_and_a_buy_is_not(desk: Desk) -> None:
    desk.send(desk.submit("BUY", "0.02", price="60010"))
    sell = desk.submit("SELL", "0.01", price="59990")
    too_much = desk.submit("BUY", "0.01", price="59980")
    desk.kill(Level.REDUCING)
    assert desk.authorise(too_much) is None
    assert desk.authorise(sell) is not None


def test_an_order_whose_decision_is_too_old_is_released_and_not_sent(desk: Desk) -> None:
    order = desk.submit()
    Order.objects.filter(pk=order.pk).update(expires_at=now() - timedelta(milliseconds=1))
    assert desk.authorise(order) is None
    row = desk.fresh(order)
    assert (row.status, row.code) == ("RELEASED", "DECISION_EXPIRED")
    assert desk.held_amounts() == {}


def test_a_lease_that_was_taken_over_permits_nothing(desk: Desk) -> None:
    order = desk.submit()
    stale = lease_acquire(name="shard:x", holder="old", life=timedelta(seconds=-1))
    assert stale is not None
    taken = lease_acquire(name="shard:x", holder="new")
    assert taken is not None
    assert taken.fence == stale.fence + 1
    with pytest.raises(LeaseLost):
        order_authorise(order_id=order.pk, held=stale, venue_time_ms=1)
    assert desk.fresh(order).status == "RESERVED"


@pytest.mark.parametrize(("life_s", "sent"), [(2.9, False), (3.5, True)])
def test_a_lease_must_outlive_the_request_it_permits(desk: Desk, life_s: float, sent: bool) -> None:
    """recvWindow 2 s + twice the clock error of 250 ms + a margin of 500 ms make 3 s."""
    order = desk.submit()
    held = lease_acquire(name="shard:x", holder="me", life=timedelta(seconds=life_s))
    assert held is not None
    if not sent:
        with pytest.raises(LeaseLost):
            order_authorise(order_id=order.pk, held=held, venue_time_ms=1)
    else:
        assert order_authorise(order_id=order.pk, held=held, venue_time_ms=1) is not None


def test_an_order_is_authorised_once_by_however_many_workers_try(shared_desk: Desk) -> None:
    order = shared_desk.submit()
    held = shared_desk.lease()
    results = run_together(
        *[lambda: order_authorise(order_id=order.pk, held=held, venue_time_ms=7) for _ in range(6)]
    )
    assert [r is not None for r in results].count(True) == 1
    assert OrderEvent.objects.filter(order=order, status="SENDING").count() == 1


def database_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def test_no_permission_that_is_asked_for_after_a_kill_committed_is_ever_given(shared_desk: Desk) -> None:
    """Four workers authorise one order after the other while a kill commits in their midst, five times over."""
    refused_late = permitted_before = 0
    for _ in range(5):
        shared_desk.quote("BTCUSDT", *PRICES["BTCUSDT"])  # fresh, however slow the machine is
        lanes = [[shared_desk.submit("BUY", "0.0005") for _ in range(4)] for _ in range(3)]
        held = shared_desk.lease()

        def kill() -> datetime:
            kill_raise(scope="global", level=Level.CANCEL, reason="drill", actor="test")
            return database_time()

        def work(lane: list[Order], held: Held) -> list[tuple[datetime, bool]]:
            return [
                (database_time(), order_authorise(order_id=o.pk, held=held, venue_time_ms=7) is not None)
                for o in lane
            ]

        killed, *answers = run_together(kill, *[partial(work, lane, held) for lane in lanes])
        for began, permitted in (answer for lane in answers for answer in lane):
            assert not (permitted and began > killed)
            refused_late += began > killed
            permitted_before += permitted
        Order.objects.filter(status="SENDING").update(status="CANCELED", ended_at=now())
        shared_desk.kill(Level.ACTIVE)
    assert refused_late + permitted_before > 0


def test_a_send_that_waits_for_an_uncommitted_kill_is_refused_when_it_commits(shared_desk: Desk) -> None:
    """The kill's transaction is held open while the send is being permitted: it has to wait, and then sees it."""
    import threading

    from django.db import transaction

    order = shared_desk.submit()
    held = shared_desk.lease()
    raised, waited = threading.Event(), []

    def kill() -> None:
        with transaction.atomic():
            kill_raise(scope="symbol:BTCUSDT", level=Level.HALT_NEW, reason="drill", actor="test")
            raised.set()
            waited.append(threading.Event().wait(0.4))

    def send() -> object:
        assert raised.wait(5)
        return order_authorise(order_id=order.pk, held=held, venue_time_ms=7)

    results = run_together(kill, send)
    assert results == [None, None]
    assert shared_desk.fresh(order).code == "TRADING_HALTED"


def test_a_drain_sends_what_is_reserved_and_a_second_one_at_the_same_time_sends_nothing(
    shared_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading.services.execution.drain.execution_venue", lambda account: shared_desk.venue)
    for _ in range(3):
        shared_desk.submit("BUY", "0.001", price="60010")
    drains = [lambda: orders_drain(account_id=shared_desk.account.pk, shard=0) for _ in range(3)]
    assert sum(run_together(*drains)) == 3
    assert len(shared_desk.venue.placed) == 3
    assert len({p.order.client_order_id for p in shared_desk.venue.placed}) == 3


def test_every_release_before_sending_gives_back_to_the_last_digit(desk: Desk) -> None:
    desk.send(desk.submit("BUY", "0.01234", price="60010"))
    before = desk.held_amounts()
    kept = desk.submit("SELL", "0.00333", price="61000.01")
    held = desk.held_amounts()
    for number in range(5):
        order = desk.submit("BUY", f"0.0012{number}", price=f"59999.9{number}")
        Order.objects.filter(pk=order.pk).update(expires_at=now())
        assert desk.authorise(order) is None
    assert desk.held_amounts() == held
    assert desk.position().open_sell == Decimal("0.00333")
    Order.objects.filter(pk=kept.pk).update(expires_at=now())
    assert desk.authorise(kept) is None
    assert desk.held_amounts() == before
