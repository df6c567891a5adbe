"""Lanes: orders of different symbols leave at the same time, orders of one symbol never do."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories.threads import run_together
from tests.factories.venue import ScriptedVenue
from trading.models import Account, Order
from trading.services.execution.drain import orders_drain

if TYPE_CHECKING:
    from tests.factories.trading import Desk


class Meeting:
    """A venue where the first symbol's order waits on the wire until the second one's has arrived."""

    def __init__(self, venue: ScriptedVenue, waits: str) -> None:
        self._venue, self._waits = venue, waits
        self.other = threading.Event()
        self.met = False

    def place(self, order: Any, **signed: Any) -> Any:
        if order.symbol == self._waits:
            self.met = self.other.wait(30)
        else:
            self.other.set()
        return self._venue.place(order, **signed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)


@pytest.fixture
def lanes(shared_desk: Desk) -> Desk:
    """The desk with four lanes: BTCUSDT and ETHUSDT lie in different ones."""
    Account.objects.filter(pk=shared_desk.account.pk).update(shards=4)
    shared_desk.account.refresh_from_db()
    return shared_desk


def test_orders_of_two_symbols_are_on_the_wire_at_the_same_time(
    lanes: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = Meeting(lanes.venue, waits="BTCUSDT")
    monkeypatch.setattr("trading.services.execution.drain.execution_venue", lambda account: meeting)
    orders = [lanes.submit(), lanes.submit(symbol="ETHUSDT", price="3000", quantity="0.1")]
    shards = [order.shard for order in orders]
    assert len(set(shards)) == 2
    sent = run_together(*(partial(orders_drain, account_id=lanes.account.pk, shard=s) for s in shards))
    assert sent == [1, 1]
    assert meeting.met, "the second symbol's order waited for the first one's answer"
    assert {order.status for order in Order.objects.all()} == {"NEW"}


def test_all_orders_of_one_symbol_lie_in_one_lane_and_a_second_drain_of_it_sends_nothing(
    lanes: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading.services.execution.drain.execution_venue", lambda account: lanes.venue)
    orders = [lanes.submit("BUY", "0.001") for _ in range(4)]
    (shard,) = {order.shard for order in orders}
    drains = [partial(orders_drain, account_id=lanes.account.pk, shard=shard) for _ in range(3)]
    assert sum(run_together(*drains)) == 4
    placed = [order.client_order_id for order in orders]
    assert [p.order.client_order_id for p in lanes.venue.placed] == placed
