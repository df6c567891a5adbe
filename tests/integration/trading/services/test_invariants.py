"""The invariants' job: silent over books that are right, and one planted violation named by each of the harder ones."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.audit_chain import audit_seal
from nautilus_site.common.services.leases import lease_acquire
from tests.factories.tampering import trail_unguarded
from trading.models import Order, Position, PositionTransfer, VenueEvent
from trading.services.books.snapshots import snapshot_take
from trading.services.invariants import invariants_check

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def broken() -> list[tuple[str, str]]:
    return [(violation.invariant, violation.subject) for violation in invariants_check()]


@pytest.fixture
def traded(desk: Desk) -> Desk:
    """Some of it before a snapshot of the books, some of it after."""
    desk.limit(near_duplicate_window=0)
    desk.send(desk.submit("BUY", "0.02", price="60010"))
    snapshot_take(desk.account)
    desk.send(desk.submit("SELL", "0.005", price="59990"))
    assert broken() == []
    return desk


@pytest.mark.parametrize("change", ["0.00000001", "-0.00000001"])
def test_a_position_that_is_not_the_sum_of_its_fills(traded: Desk, change: str) -> None:
    position = traded.position()
    Position.objects.filter(pk=position.pk).update(quantity=position.quantity + Decimal(change))
    assert broken() == [("I7", "desk BTCUSDT BOTH")]


def test_what_was_there_at_the_opening_is_part_of_the_sum(traded: Desk) -> None:
    position = traded.position()
    PositionTransfer.objects.create(
        position=position, kind="opening", side="BUY", taker="", giver=None, quantity=Decimal("0.5"),
        price=60_000, quote=30_000, after_trade_id=position.last_trade_id, at=now(),
    )  # fmt: skip
    assert broken() == [("I7", "desk BTCUSDT BOTH")]
    Position.objects.filter(pk=position.pk).update(quantity=position.quantity + Decimal("0.5"))
    assert broken() == []


def test_an_order_at_the_venue_that_never_went_through_the_protocol(traded: Desk) -> None:
    order = traded.submit("BUY", "0.001", price="59000")
    Order.objects.filter(pk=order.pk).update(venue_order_id=4711, sent_at=now(), fence=1)
    assert broken() == [("I11", str(order.uid))]
    Order.objects.filter(pk=order.pk).update(origin=Order.Origin.EXTERNAL)
    assert broken() == []


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("executionReport", {"e": "executionReport", "s": "BTCUSDT", "i": 987654321}),
        ("ORDER_TRADE_UPDATE", {"e": "ORDER_TRADE_UPDATE", "o": {"s": "BTCUSDT", "i": 987654321}}),
    ],
)
def test_an_order_the_venue_told_of_that_is_in_no_row(traded: Desk, kind: str, payload: Any) -> None:
    event = VenueEvent.objects.create(
        account=traded.account, kind=kind, digest="d", payload=payload, received_at=now(), settled_at=now()
    )
    assert broken() == [], "it may be adopted yet"
    VenueEvent.objects.filter(pk=event.pk).update(settled_at=now() - timedelta(seconds=61))
    assert broken() == [("I11", f"event {event.pk}")]
    order = Order.objects.latest("pk")
    Order.objects.filter(pk=order.pk).update(venue_order_id=987654321)
    assert broken() == []


@pytest.mark.django_db(transaction=True)
def test_an_audit_entry_changed_behind_the_seal(shared_desk: Desk) -> None:
    held = lease_acquire(name="relay", holder="test")
    assert held is not None
    audit_record(action="limit.changed", target="max_notional@global", actor="risk", after="5000")
    while audit_seal(held) is not None:
        pass
    assert broken() == []
    entry = AuditEntry.objects.latest("pk")
    with trail_unguarded(), connection.cursor() as cursor:
        cursor.execute("UPDATE common_auditentry SET after = '\"9000\"' WHERE id = %s", [entry.pk])
    assert broken() == [("I13", "one of the newest 20 seals")]
