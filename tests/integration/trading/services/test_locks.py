"""Rows that are made on first use, by many at once; and a drain that looks again before it goes."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction

from nautilus_site.common.models import OutboxEvent
from tests.factories.reports import report_of
from tests.factories.threads import of_type, run_together
from trading.models import Balance, ExposureBucket, OrderEvent, Position
from trading.services.execution.drain import orders_drain
from trading.services.execution.settle import order_settle
from trading.services.exposure import (
    balances_locked,
    bucket_scopes,
    buckets_locked,
    buckets_move,
    position_locked,
)

if TYPE_CHECKING:
    from tests.factories.trading import Desk

WORKERS, ROUNDS = 6, 12


def test_rows_made_on_first_use_by_many_at_once_are_made_once_and_nobody_waits_for_ever(
    shared_desk: Desk,
) -> None:
    desk = shared_desk
    assets = [f"COIN{number}" for number in range(2 * ROUNDS)]

    def work(seed: int) -> Callable[[], int]:
        def run() -> int:
            rng, locked = random.Random(seed), 0
            for number in range(ROUNDS):
                # The third asset is of some other round: rows that exist and rows that do not, mixed.
                names = {assets[2 * number], assets[2 * number + 1], rng.choice(assets), "USDT"}
                scopes = bucket_scopes("desk", f"NEW{number}{rng.randrange(2)}", f"strategy{number}")
                with transaction.atomic():
                    position_locked(desk.account, desk.instruments["BNBUSDT"])
                    assert set(balances_locked(desk.account, names)) == names
                    assert list(buckets_locked(scopes)) == scopes
                    locked += 1
            return locked

        return run

    results = run_together(*[work(seed) for seed in range(WORKERS)])
    assert not of_type(results, Exception)
    assert results == [ROUNDS] * WORKERS
    assert Position.objects.filter(account=desk.account, instrument=desk.instruments["BNBUSDT"]).count() == 1
    assert Balance.objects.filter(account=desk.account, asset__in=assets).count() == len(assets)
    assert ExposureBucket.objects.get(scope="global:desk").used == 0


def test_a_replacement_that_commits_while_the_old_order_is_being_settled_waits_for_nobody(
    shared_desk: Desk,
) -> None:
    """Whoever plans holds the position and names the old order; whoever settles holds that and wants the position."""
    desk = shared_desk
    old = desk.send(desk.submit("BUY", "0.001", price="59000"))
    reserved = threading.Event()

    def replace() -> str:
        with transaction.atomic():
            new = desk.submit("BUY", "0.001", price="59001", replaces=old)
            reserved.set()
            waits = False
            while not waits:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")
                    waits = bool(cursor.fetchone()[0])
        return desk.fresh(new).status

    def settle() -> str:
        assert reserved.wait(30)
        report = report_of(old, "CANCELED", venue_order_id=old.venue_order_id or 0)
        return str(order_settle(order_id=old.pk, report=report, trades=(), source="stream").status)

    assert run_together(replace, settle) == ["RESERVED", "CANCELED"]
    assert desk.position().open_buy == Decimal("0.001")


def test_a_release_below_nothing_stops_at_nothing_and_a_fill_above_the_cap_is_kept_as_overrun(
    desk: Desk,
) -> None:
    scopes = bucket_scopes("desk", "BTCUSDT", None)
    cap = buckets_locked(scopes)["global:desk"].cap
    buckets_move(
        {"global:desk": cap + 7, "account:desk": Decimal(-5), "symbol:desk:BTCUSDT": Decimal("0.25")}
    )
    after = {row.scope: (row.used, row.overrun) for row in ExposureBucket.objects.all()}
    assert after["global:desk"] == (cap + 7, Decimal(7))
    assert after["account:desk"] == (Decimal(0), Decimal(0))
    assert after["symbol:desk:BTCUSDT"] == (Decimal("0.25"), Decimal(0))


@pytest.mark.parametrize("waiting", [1, 3])
def test_an_order_that_comes_while_the_last_one_is_being_sent_is_sent_by_the_same_drain(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    """Its own hint found the lease held and went away."""
    monkeypatch.setattr("trading.services.execution.drain.execution_venue", lambda account: desk.venue)
    for _ in range(waiting):
        desk.submit("BUY", "0.001", price="60010")
    place, late = type(desk.venue).place, []

    def place_and_submit(venue: Any, order: Any, **options: Any) -> Any:
        report = place(venue, order, **options)
        if len(desk.venue.placed) == waiting and not late:
            late.append(desk.submit("BUY", "0.001", price="60010"))
        return report

    monkeypatch.setattr(type(desk.venue), "place", place_and_submit)
    assert orders_drain(account_id=desk.account.pk, shard=0) == waiting + 1
    assert desk.fresh(late[0]).status == "FILLED"


def test_what_is_published_of_an_order_lists_every_step_there_is(desk: Desk) -> None:
    order = desk.send(desk.submit("BUY", "0.001", price="60010"))
    steps = list(
        OrderEvent.objects.filter(order=order).order_by("id").values_list("status", "source", "detail")
    )
    assert [status for status, *_ in steps] == ["RESERVED", "SENDING", "FILLED"]
    told = [
        event.data
        for event in OutboxEvent.objects.filter(topic="orders", data__id=str(order.uid)).order_by("id")
    ]
    assert [[step["status"] for step in data["events"]] for data in told] == [
        ["RESERVED"],
        ["RESERVED", "SENDING"],
        ["RESERVED", "SENDING", "FILLED"],
    ]
    assert [(s["status"], s["source"], s["detail"]) for s in told[-1]["events"]] == steps
