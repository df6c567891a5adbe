"""A process that dies at each step of a bracket's life, on the paper exchange; what comes next finds its way.

Pains 5 and 17: any restart between a fill and the cancel of its sibling, and at every place between.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import (
    CrashPointRaised,
    crash_point_arm,
    crash_points_disable,
    crash_points_enable,
    crash_points_hit,
)
from tests.integration.trading.services.brackets.conftest import Rig
from trading.domain.brackets import BracketState
from trading.models import Order

pytestmark = pytest.mark.long

S = BracketState
POINTS = ["C1", "B", "C3", "C5", "C", "C6", "cancel", "canceled", "bracket"]


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Path]:
    crash_points_enable(tmp_path)
    yield tmp_path
    crash_points_disable()


def die(rig: Rig, places: Path, point: str) -> None:
    """Go on until the process dies at that place; it may never get there."""
    crash_point_arm(places, point, "raise")
    with suppress(CrashPointRaised):
        rig.round(4)
    (places / point).unlink(missing_ok=True)
    # The resolver waits until an order's sender is certainly dead and its request certainly void: let that be over.
    for order in Order.objects.filter(status__in=("SENDING", "UNKNOWN")):
        order.sent_at = now() - timedelta(minutes=1)
        assert order.timestamp_ms is not None
        order.timestamp_ms -= 60_000
        order.not_found_at_ms = [order.timestamp_ms + 30_000]
        order.save(update_fields=["sent_at", "timestamp_ms", "not_found_at_ms"])


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_any_place_leaves_one_set_and_never_an_orphan(rig: Rig, places: Path, point: str) -> None:
    from trading.services.brackets import Wanted, bracket_move

    rig.buy(stop=rig.near("0.95"), take_profits=((rig.near("1.05"), None),))
    rig.send()
    rig.hear()
    die(rig, places, point)
    assert rig.settle().state == S.PROTECTED
    assert len(rig.listed()) == 2

    level = rig.near("0.985")
    bracket_move(bracket_id=rig.bracket.pk, wanted=Wanted(stop=level), actor=rig.user, reason="test")
    die(rig, places, point)
    assert rig.settle().state == S.PROTECTED
    assert [o.stop_price for o in rig.listed() if "STOP" in o.type] == [level]
    assert len(rig.listed()) == 2

    rig.drive_to(rig.near("0.97"))
    die(rig, places, point)
    assert rig.settle().state == S.DONE
    assert rig.listed() == []
    assert rig.desk.position().quantity < Decimal("0.00001")
    if point not in ("cancel", "canceled"):
        assert crash_points_hit(places).get(point, 0) > 0
