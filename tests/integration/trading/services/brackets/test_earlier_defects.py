"""Defects of the earlier system's brackets (W29, W30): each would fail there."""

from __future__ import annotations

from decimal import Decimal

from nautilus_site.common.models import OutboxEvent
from tests.integration.trading.services.brackets.conftest import Rig
from trading.domain.brackets import BracketState
from trading.domain.values import Level
from trading.models import Order


def test_w29_a_bracket_is_at_the_exchange_its_fill_is_told_and_nothing_is_repaired_again(rig: Rig) -> None:
    """There the router had no such method, the error was swallowed, and a check that saw no stop repaired for ever."""
    rig.buy(stop=rig.near("0.95"), take_profits=((rig.near("1.05"), None),))
    assert rig.settle().state == BracketState.PROTECTED
    assert sorted(rig.open_at_venue()) == ["LIMIT_MAKER 0.00999", "STOP_MARKET 0.00999"]
    assert OutboxEvent.objects.filter(topic="fills").count() == 1
    orders = set(Order.objects.values_list("pk", flat=True))
    for _ in range(3):
        rig.settle()
    assert set(Order.objects.values_list("pk", flat=True)) == orders
    assert len(rig.open_at_venue()) == 2


def test_w30_exits_are_rows_of_what_was_filled_and_no_rail_keeps_them_away(rig: Rig) -> None:
    """There exits lived in threads, were of a fixed amount, began without an entry, and rails could refuse them."""
    rig.buy(type="LIMIT", price=str(rig.near("0.99")), stop=rig.near("0.95"))
    assert rig.settle().state == BracketState.PENDING
    assert rig.open_at_venue() == ["LIMIT 0.01"], "no exit before there is anything to leave"
    # What would deny any new order: a tiny largest order, no further order a minute, and only reducing.
    rig.desk.limit(max_notional=1, orders_per_minute=0)
    rig.desk.kill(Level.REDUCING)
    rig.drive_to(rig.near("0.98"))
    assert rig.settle().state == BracketState.PROTECTED
    # The exchange kept a tenth of a percent of 0.01 as its fee; what is left, in whole steps of 0.00001, is guarded.
    assert rig.desk.position().quantity == Decimal("0.00999")
    assert rig.open_at_venue() == ["STOP_MARKET 0.00999"]
