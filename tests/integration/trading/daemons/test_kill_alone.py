"""No broker, no worker, no web: a command or a file, the watchdog, Postgres and the exchange stop it all."""

from __future__ import annotations

import json
import threading
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery import current_app
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from nautilus_site.common.services import hints
from trading.daemons.watchdog import Watchdog
from trading.domain.values import Level
from trading.models import KillEnforcement, Order, TradingState
from trading.services.execution.drain import orders_drain
from trading.services.orders import OrderDenied

if TYPE_CHECKING:
    from tests.factories.trading import Desk

SEND_HINT = hints.send_hint


@pytest.fixture
def alone(shared_desk: Desk, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Hints go to a port where nobody listens, and the watchdog has the exchange to itself."""
    settings.NAUTILUS_HOME = tmp_path
    monkeypatch.setattr(hints, "send_hint", SEND_HINT)
    monkeypatch.setitem(current_app.conf, "broker_url", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(
        "trading.daemons.watchdog.execution_venue", lambda account, purpose: shared_desk.venue
    )
    return shared_desk


class Watching:
    """The watchdog's loop in a thread, as fast as it can."""

    def __init__(self) -> None:
        self.watchdog = Watchdog()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self.watchdog

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._over.wait(0.02):
            self.watchdog.round()
        connection.close()


def orders(desk: Desk) -> tuple[Order, Order]:
    """One that rests at the exchange, one that no worker has sent yet."""
    return desk.send(desk.submit("BUY", "0.001", price="59800")), desk.submit("BUY", "0.002", price="59700")


def stopped(desk: Desk, resting: Order, waiting: Order) -> None:
    assert (desk.fresh(resting).status, desk.fresh(waiting).status) == ("CANCELED", "RELEASED")
    assert desk.venue.open_orders(None) == []
    with pytest.raises(OrderDenied):
        desk.submit("BUY", "0.003", price="59600")
    row = KillEnforcement.objects.get(confirmed_at__isnull=False)
    assert (row.enforcer, row.open_orders_remaining) == ("watchdog", 0)
    orders_drain(account_id=desk.account.pk, shard=0)  # a worker that comes back sends nothing either
    assert [o.client_order_id for o in desk.venue.orders] == [resting.client_order_id]


def test_a_command_stops_everything_and_the_watchdog_confirms_it(alone: Desk) -> None:
    resting, waiting = orders(alone)
    out = StringIO()
    with Watching():
        call_command("kill", reason="drill", timeout=30.0, json=True, stdout=out)
    said = json.loads(out.getvalue())
    assert (said["level"], said["confirmed"], said["open_orders_remaining"]) == ("CANCEL", True, 0)
    stopped(alone, resting, waiting)


def test_a_file_stops_everything_by_itself(alone: Desk) -> None:
    resting, waiting = orders(alone)
    watchdog = Watchdog()
    watchdog.flag.touch()
    for _ in range(3):
        watchdog.round()
    stopped(alone, resting, waiting)
    assert TradingState.objects.get(scope="global").changed_by == "watchdog"


def test_without_the_watchdog_the_command_says_that_nothing_is_confirmed_and_the_level_holds(
    alone: Desk,
) -> None:
    orders(alone)
    with pytest.raises(CommandError, match="has not confirmed yet"):
        call_command("kill", reason="drill", timeout=0.2, stdout=StringIO())
    assert TradingState.objects.get(scope="global").level == Level.CANCEL
    with pytest.raises(OrderDenied):
        alone.submit("BUY", "0.003", price="59600")
