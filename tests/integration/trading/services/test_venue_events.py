"""The user stream's journal: stored first, once, and no message holds up the next."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from trading.models import Order, VenueEvent
from trading.services.venue_events import venue_event_store, venue_events_settle

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def execution(order: Order, **changes: Any) -> dict[str, Any]:
    """An executionReport of a first and only trade, spelled as the venue spells it."""
    quantity, price = format(order.quantity, "f"), format(order.price or 0, "f")
    quote = format((order.quantity * (order.price or 0)).quantize(Decimal("1E-8")), "f")
    event = {
        "e": "executionReport", "E": 1, "s": order.instrument.symbol, "c": order.client_order_id, "C": "",
        "S": order.side, "o": "LIMIT", "f": "GTC", "q": quantity, "p": price, "x": "TRADE", "X": "FILLED",
        "i": 900, "l": quantity, "z": quantity, "L": price, "n": "0", "N": None, "T": 1, "t": 1, "m": True,
        "Y": quote, "Z": quote,
    }  # fmt: skip
    return {**event, **changes}


def store(desk: Desk, event: dict[str, Any]) -> bool:
    return venue_event_store(account_id=desk.account.pk, event=event)


def settle(desk: Desk) -> int:
    return venue_events_settle(account_id=desk.account.pk)


def sent(desk: Desk) -> Order:
    order = desk.submit("BUY", "0.01")
    assert desk.authorise(order) is not None
    return desk.fresh(order)


def test_a_message_told_twice_is_stored_and_booked_once(desk: Desk) -> None:
    event = execution(sent(desk))
    assert store(desk, event)
    assert not store(desk, dict(reversed(event.items())))
    assert settle(desk) == 1
    assert settle(desk) == 0
    assert desk.position().quantity == Decimal("0.01")


@pytest.mark.parametrize(
    "broken",
    [
        {"z": "much"},
        {"t": None},
        {"S": "SIDEWAYS"},
        {"X": "IMAGINED"},
        {"q": "1e30", "z": "1e30", "c": "somebody", "i": 901},
        {"s": "NOSUCHUSDT", "c": "somebody", "i": 901},
    ],
)
def test_a_message_that_cannot_be_settled_is_kept_and_does_not_hold_up_the_next(
    desk: Desk, broken: dict[str, Any]
) -> None:
    order = sent(desk)
    store(desk, execution(order, **broken))
    store(desk, execution(order, E=2))
    assert settle(desk) == 2
    assert desk.fresh(order).status == "FILLED"
    first, second = VenueEvent.objects.order_by("pk")
    assert first.settled_at is not None
    assert second.error == ""


def test_messages_are_settled_in_the_order_they_came(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(
        "trading.services.venue_events.parse_execution_report", lambda payload: seen.append(payload["E"]) or {}
    )  # fmt: skip
    monkeypatch.setattr("trading.services.venue_events.report_settle", lambda **_: None)
    order = sent(desk)
    for number in (5, 3, 9, 1):
        store(desk, execution(order, E=number))
    settle(desk)
    assert seen == [5, 3, 9, 1]


def test_a_cancel_told_under_the_cancels_own_id_ends_the_right_order(desk: Desk) -> None:
    order = sent(desk)
    cancel = {
        "c": "cancel-1",
        "C": order.client_order_id,
        "x": "CANCELED",
        "X": "CANCELED",
        "z": "0",
        "Z": "0",
        "t": -1,
    }
    store(desk, execution(order, **cancel))
    settle(desk)
    assert desk.fresh(order).status == "CANCELED"
    assert desk.held_amounts() == {}
    assert Order.objects.count() == 1
