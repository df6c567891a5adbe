"""Working orders changed by a person on the paper exchange: in place where that is less, else replaced at once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from nautilus_site.common.errors import ApplicationError, Conflict
from tests.integration.trading.services.brackets.conftest import Rig
from trading.domain.brackets import BracketState
from trading.models import Order, OrderCommand
from trading.services.orders import OrderDenied, order_change


def change(
    rig: Rig, order: Order, *, quantity: str | None = None, price: Decimal | None = None, key: str = "k"
) -> Order:
    return order_change(
        order=rig.desk.fresh(order),
        quantity=Decimal(quantity) if quantity else None,
        price=price,
        actor=rig.user,
        reason="test",
        key=key,
    )


def resting(rig: Rig, factor: str, **exits: object) -> Order:
    kind = exits.pop("type", "LIMIT")
    order = rig.buy("0.01", type=str(kind), price=str(rig.near(factor)), **exits)
    rig.round()
    assert rig.desk.fresh(order).status == "NEW"
    return order


def statuses(rig: Rig, *orders: Order) -> list[str]:
    return [rig.desk.fresh(order).status for order in orders]


def amend(rig: Rig) -> str:
    from trading.services.execution.amend import order_amend

    (command,) = OrderCommand.objects.filter(kind="amend", ended_at=None)
    return order_amend(command_id=command.pk, venue=rig.desk.venue)


def test_another_price_on_spot_is_one_request_that_cancels_and_places(rig: Rig) -> None:
    old = resting(rig, "0.9")
    alone = rig.desk.held_amounts()
    price = rig.near("0.95")
    new = change(rig, old, price=price)
    assert change(rig, old, price=price).pk == new.pk  # the same key, the same order
    with pytest.raises(Conflict) as refusal:
        change(rig, old, price=rig.near("0.96"), key="another")
    assert refusal.value.code == "AMEND_IN_FLIGHT"
    rig.round()
    assert statuses(rig, old, new) == ["CANCELED", "NEW"]
    assert [(o.client_order_id, o.price) for o in rig.listed()] == [(new.client_order_id, price)]
    held = rig.desk.held_amounts()
    assert held.keys() == alone.keys()
    assert held["reserved USDT"] > alone["reserved USDT"]  # what the old one held is given back
    assert held["open_buy BTCUSDT"] == Decimal("0.01")


def test_more_of_it_on_spot_is_a_replacement_too(rig: Rig) -> None:
    old = resting(rig, "0.9")
    new = change(rig, old, quantity="0.02")
    rig.round()
    assert statuses(rig, old, new) == ["CANCELED", "NEW"]
    assert rig.open_at_venue() == ["LIMIT 0.02"]


def test_less_of_it_on_spot_keeps_the_order(rig: Rig) -> None:
    order = resting(rig, "0.9")
    assert change(rig, order, quantity="0.004").pk == order.pk
    assert amend(rig) == "done"
    assert rig.open_at_venue() == ["LIMIT 0.004"]


def test_an_order_that_traded_first_is_not_replaced_and_nothing_more_is_bought(rig: Rig) -> None:
    """-2022: the cancel failed, the new order was not attempted."""
    old = resting(rig, "0.99")
    new = change(rig, old, price=rig.near("0.9"))
    rig.drive_to(rig.near("0.98"))
    rig.round()
    assert statuses(rig, old, new) == ["FILLED", "REJECTED"]
    assert rig.desk.fresh(new).code == "-2022"
    assert rig.listed() == []
    assert rig.desk.position().quantity <= Decimal("0.01")
    assert rig.desk.held_amounts().keys().isdisjoint({"reserved USDT", "open_buy BTCUSDT"})


def test_a_new_order_that_is_refused_leaves_the_old_one_cancelled(rig: Rig) -> None:
    """-2021 with status 409: half of it happened, and each half is settled as what it is."""
    old = resting(rig, "0.96", type="LIMIT_MAKER")
    new = change(rig, old, price=rig.near("0.995"))
    rig.leap_to(rig.near("0.98"))  # there it would take
    rig.round()
    assert statuses(rig, old, new) == ["CANCELED", "REJECTED"]
    assert rig.desk.fresh(new).code == "-2010"
    assert rig.listed() == []
    assert rig.desk.held_amounts() == {}


def test_an_answer_that_was_lost_is_looked_up_and_never_sent_again(rig: Rig) -> None:
    old = resting(rig, "0.9")
    new = change(rig, old, price=rig.near("0.95"))
    rig.exchange.fault("/api/v3/order/cancelReplace", "POST", error_after="drop")
    rig.send()
    assert rig.desk.fresh(new).status == "UNKNOWN"
    rig.round(2)
    assert statuses(rig, old, new) == ["CANCELED", "NEW"]
    assert [o.client_order_id for o in rig.listed()] == [new.client_order_id]


def test_a_replacement_that_a_rail_denies_leaves_the_order_as_it_was(rig: Rig) -> None:
    old = resting(rig, "0.9")
    rig.desk.limit(max_notional=1000)
    with pytest.raises(OrderDenied):
        change(rig, old, quantity="0.05")
    rig.round()
    assert rig.open_at_venue() == ["LIMIT 0.01"]
    assert rig.desk.fresh(old).status == "NEW"


def test_an_order_of_which_a_part_has_traded_is_not_replaced(rig: Rig) -> None:
    old = resting(rig, "0.9")
    Order.objects.filter(pk=old.pk).update(status="PARTIALLY_FILLED", executed_quantity=Decimal("0.001"))
    with pytest.raises(ApplicationError) as refusal:
        change(rig, old, price=rig.near("0.95"))
    assert refusal.value.code == "AMEND_NEEDS_REPLACE"


def test_the_replacement_of_an_entry_carries_its_exits(rig: Rig) -> None:
    old = resting(rig, "0.95", stop=rig.near("0.9"))
    new = change(rig, old, price=rig.near("0.99"))
    rig.round()
    assert statuses(rig, old, new) == ["CANCELED", "NEW"]
    rig.drive_to(rig.near("0.98"))
    assert rig.settle().state == BracketState.PROTECTED
    assert rig.open_at_venue() == ["STOP_MARKET 0.00999"]


def test_protection_is_not_changed_order_by_order(rig: Rig) -> None:
    rig.buy(stop=rig.near("0.95"))
    rig.settle()
    with pytest.raises(ApplicationError) as refusal:
        change(rig, rig.legs("stop")[0], quantity="0.001")
    assert "by what sent it" in refusal.value.message


def test_usdm_amends_quantity_and_price_in_place(futures: Rig) -> None:
    order = resting(futures, "0.95")
    away = futures.near("0.94")
    assert change(futures, order, quantity="0.006", price=away).pk == order.pk
    assert amend(futures) == "done"
    (listed,) = futures.listed()
    assert (listed.client_order_id, listed.quantity, listed.price) == (
        order.client_order_id, Decimal("0.006"), away,
    )  # fmt: skip
    row = futures.desk.fresh(order)
    assert (row.quantity, row.price) == (Decimal("0.006"), away)


def test_usdm_has_no_replacement_in_one_request(futures: Rig) -> None:
    order = resting(futures, "0.95")
    with pytest.raises(ApplicationError) as refusal:
        change(futures, order, price=futures.near("0.97"))
    assert refusal.value.code == "AMEND_NEEDS_REPLACE"
    assert len(futures.listed()) == 1
