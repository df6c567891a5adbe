"""Limits are kept by the digest of their rows: whatever changes one, and from where, binds the next order."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from tests.factories.threads import run_together
from trading.domain.values import to_units
from trading.models import Order, Position, RiskLimit
from trading.services.controls.limit_versions import limits_read
from trading.services.orders import OrderDenied

if TYPE_CHECKING:
    from tests.factories.trading import Desk

SCOPES = ["global", "account:desk", "symbol:BTCUSDT"]


def elsewhere(change: Any) -> None:
    """Do something on a connection of its own, committed when this returns."""

    def run() -> None:
        change()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    ("name", "scope", "value"),
    [
        ("max_notional", "global", "100"),
        ("max_notional", "symbol:BTCUSDT", "100"),
        ("max_quantity", "global", "0.001"),
    ],
)
def test_a_limit_changed_on_another_connection_binds_the_very_next_order(
    shared_desk: Desk, name: str, scope: str, value: str
) -> None:
    shared_desk.submit("BUY", "0.01")  # the limits are known from here on
    before = RiskLimit.objects.get(name=name, scope="global")

    def tighten() -> None:
        RiskLimit.objects.update_or_create(
            name=name,
            scope=scope,
            defaults={
                "value": Decimal(value), "unit": before.unit, "tighter": before.tighter,
                "changed_by": "test", "changed_at": now(), "policy_version": 7,
            },
        )  # fmt: skip

    elsewhere(tighten)
    with pytest.raises(OrderDenied) as denial:
        shared_desk.submit("BUY", "0.01")
    assert denial.value.extra["rail"] == name
    order = Order.objects.get(status="DENIED")
    (check,) = [check for check in order.checks if check["rail"] == name]
    assert (check["policy_version"], check["limit"]) == (7, value)


def test_a_limit_changed_while_an_order_waits_for_its_books_binds_that_order(shared_desk: Desk) -> None:
    shared_desk.submit("BUY", "0.01")
    locked, waiting = threading.Event(), threading.Event()

    def tighten_under_the_lock() -> None:
        with transaction.atomic():
            Position.objects.select_for_update().get(account=shared_desk.account, instrument=shared_desk.btc)
            locked.set()
            waiting.wait(30)
            while not _somebody_waits():
                pass
            RiskLimit.objects.filter(name="max_notional").update(value=100)

    def ask() -> Order:
        locked.wait(30)
        waiting.set()
        return shared_desk.submit("BUY", "0.01")

    _, answer = run_together(tighten_under_the_lock, ask)
    assert isinstance(answer, OrderDenied)
    assert answer.extra["rail"] == "max_notional"


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


def test_the_same_rows_are_folded_once_and_other_rows_never_taken_for_them(desk: Desk) -> None:
    known = limits_read(SCOPES)
    assert limits_read(SCOPES) is known
    RiskLimit.objects.filter(name="max_notional").update(value=Decimal(321))
    changed = limits_read(SCOPES)
    assert changed.kernel.max_notional == to_units(Decimal(321))
    assert known.kernel.max_notional != changed.kernel.max_notional
    RiskLimit.objects.filter(name="max_notional").update(policy_version=99)
    assert limits_read(SCOPES).in_force.versions["max_notional"] == 99
    until = now() + timedelta(hours=1)
    RiskLimit.objects.filter(name="max_notional").update(in_force_until=until)
    assert limits_read(SCOPES).in_force.expires_at == until


def test_a_limit_without_a_row_is_never_unlimited_whatever_was_known(desk: Desk) -> None:
    limits_read(SCOPES)
    RiskLimit.objects.filter(name="max_notional").delete()
    with pytest.raises(ApplicationError) as refusal:
        limits_read(SCOPES)
    assert refusal.value.code == "NOT_READY"
    RiskLimit.objects.all().delete()
    with pytest.raises(ApplicationError):
        limits_read(SCOPES)
