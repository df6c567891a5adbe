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


def test_messages_are_settled_in_the_order_they_came(desk: Desk) -> None:
    """Of one order: its steps. Of two, mixed: each its own, whatever the other's messages say."""
    first, second = sent(desk), sent(desk)
    part = {"x": "TRADE", "X": "PARTIALLY_FILLED", "l": "0.004", "z": "0.004", "Y": "240", "Z": "240"}
    rest = {"l": "0.006", "z": "0.01", "t": 3, "Y": "360", "Z": "600"}
    new = {"x": "NEW", "X": "NEW", "l": "0", "z": "0", "Z": "0", "t": -1}
    store(desk, execution(first, **new))
    store(desk, execution(second, i=901, **new))
    store(desk, execution(first, **part, t=1))
    store(desk, execution(second, i=901, t=2))
    store(desk, execution(first, **rest))
    assert settle(desk) == 5
    assert steps_of(first) == ["NEW", "PARTIALLY_FILLED", "FILLED"]
    assert steps_of(second) == ["NEW", "FILLED"]
    assert desk.position().quantity == Decimal("0.02")


def steps_of(order: Order) -> list[str]:
    told = order.events.filter(source="stream").order_by("pk")
    return list(told.values_list("status", flat=True))


def test_a_poisoned_message_of_a_batch_is_kept_alone_and_the_others_are_booked_together(desk: Desk) -> None:
    orders = [sent(desk) for _ in range(7)]
    for number, order in enumerate(orders):
        # More executed than was ever ordered: only settling finds out.
        poison = {"z": "9", "l": "9", "Z": "540000", "Y": "540000"} if number == 4 else {}
        store(desk, execution(order, i=900 + number, t=number + 1, **poison))
    assert settle(desk) == 7
    errors = list(VenueEvent.objects.order_by("pk").values_list("error", flat=True))
    assert [bool(error) for error in errors] == [False] * 4 + [True] + [False] * 2
    assert "InvariantViolation" in errors[4]
    assert [desk.fresh(order).status for order in orders] == ["FILLED"] * 4 + ["SENDING"] + ["FILLED"] * 2
    assert desk.position().quantity == Decimal("0.06")
    assert VenueEvent.objects.filter(settled_at=None).count() == 0


def test_an_order_that_is_not_ours_is_adopted_between_ours(desk: Desk) -> None:
    mine = sent(desk)
    store(desk, execution(mine, x="NEW", X="NEW", l="0", z="0", Z="0", t=-1))
    store(desk, execution(mine, c="somebody", i=950, t=5))
    store(desk, execution(mine, t=6))
    assert settle(desk) == 3
    assert steps_of(mine) == ["NEW", "FILLED"]
    theirs = Order.objects.get(client_order_id="somebody")
    assert (theirs.origin, theirs.status) == ("external", "FILLED")
    assert desk.position().quantity == Decimal("0.02")


def test_a_name_used_again_for_another_order_in_the_same_batch_is_that_other_order(desk: Desk) -> None:
    """The venue forgets an id once its order is over: only its own number tells the two apart."""
    mine = sent(desk)
    store(desk, execution(mine, t=1))
    store(desk, execution(mine, i=901, t=2))
    assert settle(desk) == 2
    assert desk.fresh(mine).executed_quantity == Decimal("0.01")
    assert Order.objects.exclude(pk=mine.pk).get().origin == "external"


def test_balances_told_between_executions_are_noted_as_told_last(desk: Desk) -> None:
    first, second = sent(desk), sent(desk)
    store(desk, execution(first, t=1))
    store(desk, holds(BTC="1", USDT="500"))
    store(desk, execution(second, i=901, t=2))
    store(desk, holds(USDT="400"))
    assert settle(desk) == 4
    noted = dict(desk.account.balances.values_list("asset", "venue_free"))
    assert (noted["BTC"], noted["USDT"]) == (Decimal(1), Decimal(400))


def holds(**free: str) -> dict[str, Any]:
    entries = [{"a": asset, "f": amount, "l": "0"} for asset, amount in free.items()]
    return {"e": "outboundAccountPosition", "E": 1, "u": 1, "B": entries}


def test_balances_that_cannot_be_read_are_kept_and_the_others_noted(desk: Desk) -> None:
    store(desk, holds(BTC="much"))
    store(desk, holds(USDT="400"))
    assert settle(desk) == 2
    first, second = VenueEvent.objects.order_by("pk")
    assert (bool(first.error), second.error) == (True, "")
    assert desk.account.balances.get(asset="USDT").venue_free == 400


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
