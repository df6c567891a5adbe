"""`POST /orders/{id}/amend`."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.integration.trading.api.requests import key
from tests.integration.trading.api.world import World
from trading.models import Order, OrderCommand

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(world: World, trader: Any, token_client: Any) -> Any:
    return token_client(trader)


@pytest.fixture
def order(world: World) -> Order:
    """A person's order that rests at 59 000; it is for 0.01 BTC."""
    return world.order(origin=Order.Origin.MANUAL, strategy=None, price="59000")


def amend(client: Any, order: Order, headers: dict[str, str] | None = None, **body: Any) -> Any:
    path = f"/api/v1/orders/{order.uid}/amend"
    return client.post(path, body, format="json", **(key() if headers is None else headers))


def test_less_is_the_same_order_and_one_command(client: Any, order: Order) -> None:
    headers = key()
    first = amend(client, order, headers, quantity="0.004")
    assert (first.status_code, first.json()["id"]) == (200, str(order.uid))
    assert amend(client, order, headers, quantity="0.004")["Idempotency-Replayed"] == "true"
    (command,) = OrderCommand.objects.all()
    assert (command.kind, str(command.quantity.normalize()), command.state) == (
        "amend", "0.004", "requested",
    )  # fmt: skip


def test_another_price_is_a_new_order_that_replaces_it(client: Any, order: Order) -> None:
    answer = amend(client, order, price="59500", reason="nearer")
    body = answer.json()
    assert answer.status_code == 201, body
    assert answer["Location"] == f"/api/v1/orders/{body['id']}"
    assert (body["price"], body["quantity"], body["status"]) == ("59500", "0.01", "RESERVED")
    assert Order.objects.get(uid=body["id"]).replaces == order
    assert client.get(answer["Location"]).json() == body


def test_a_replacement_passes_every_rail_or_is_denied_with_its_checks(client: Any, order: Order) -> None:
    answer = amend(client, order, quantity="100")
    assert answer.status_code == 422
    assert {"rail", "measured", "limit", "checks"} <= answer.json().keys()


@pytest.mark.parametrize(
    "body", [{}, {"quantity": "0"}, {"price": "-1"}, {"quantity": "0.004", "side": "SELL"}]
)
def test_a_request_that_says_nothing_or_too_much_is_refused(
    client: Any, order: Order, body: dict[str, Any]
) -> None:
    assert amend(client, order, **body).status_code == 400
    assert not OrderCommand.objects.exists()


def test_without_a_key_nothing_is_changed(client: Any, order: Order) -> None:
    answer = amend(client, order, {}, quantity="0.004")
    assert (answer.status_code, answer.json()["code"]) == (400, "IDEMPOTENCY_KEY_REQUIRED")


def test_an_order_that_is_over_or_unknown_is_not_amended(client: Any, world: World, order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(status="FILLED", executed_quantity="0.01")
    assert amend(client, order, quantity="0.004").status_code == 409
    order.uid = uuid.uuid4()
    assert amend(client, order, quantity="0.004").status_code == 404


def test_what_a_strategy_sent_is_not_changed_by_hand(client: Any, world: World) -> None:
    answer = amend(client, world.order(), quantity="0.004")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ORDER")


def test_a_viewer_amends_nothing(order: Order, viewer: Any, token_client: Any) -> None:
    assert amend(token_client(viewer), order, quantity="0.004").status_code == 403
