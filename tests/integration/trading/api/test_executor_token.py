"""A token of the executor's scope places orders and does nothing else: every other route and method refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from trading.models import Order

if TYPE_CHECKING:
    from tests.integration.trading.api.world import World

SCOPE = "orders.place"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
ARGUMENTS = {"int": "1", "uuid": str(uuid4()), "slug": "a-name", "str": "a-name", "symbol": "BTCUSDT"}


def routes(resolver: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Every address under /api/v1/ with its view."""
    found = []
    for entry in resolver.url_patterns:
        where = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            found += routes(entry, where)
        elif isinstance(entry, URLPattern) and where.startswith("api/v1/"):
            found.append((where, entry.callback))
    return found


def filled(where: str) -> str:
    for kind, value in ARGUMENTS.items():
        while f"<{kind}:" in where:
            before, _, rest = where.partition(f"<{kind}:")
            where = before + value + rest.partition(">")[2]
    return f"/{where}"


def test_the_token_reaches_what_places_orders_and_nothing_else(
    world: World, trader: Any, token_client: Any
) -> None:
    client = token_client(trader, scopes=[SCOPE])
    reached, refused = set(), 0
    for where, callback in routes(get_resolver()):
        view = getattr(callback, "cls", callback)
        required = getattr(view, "required", {})
        for method, permission in dict(required).items():
            if permission == SCOPE:
                reached.add((method, where))
                continue
            answer = client.generic(method, filled(where), "{}", content_type="application/json")
            assert answer.status_code in (401, 403), (method, where, permission, answer.status_code)
            refused += 1
    assert ("POST", "api/v1/orders") in reached
    assert ("POST", "api/v1/strategy/signal") not in reached, "signals have a scope of their own"
    assert not [method for method, _ in reached if method not in UNSAFE]
    assert {where.split("/")[2] for _, where in reached} <= {"orders", "brackets"}, reached
    assert refused > 60, "the walk saw the API"


@pytest.mark.parametrize("role", ["viewer", "model_owner"])
def test_the_scope_is_worth_nothing_to_a_role_that_may_not_trade(
    world: World, make_user: Any, token_client: Any, role: str
) -> None:
    client = token_client(make_user(role), scopes=[SCOPE])
    for where in ("/api/v1/orders", "/api/v1/strategy/signal"):
        assert client.post(where, {}, format="json").status_code == 403
    assert not Order.objects.exists()
