"""Default deny, roles, token scopes, and what only a person in a fresh browser session may do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from nautilus_site.common.clock import now
from nautilus_site.common.models import ApiToken, AuditEntry, Role, User
from nautilus_site.common.roles import PERMISSIONS, PERSON_ONLY, ROLE_PERMISSIONS, permissions_of, permits
from nautilus_site.common.services.tokens import token_create, token_revoke

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.integration.common.toy_urls")]

ORDERS = "/api/v1/toy/orders"
ORDER = {"symbol": "BTCUSDT", "quantity": "1"}
Clients = Callable[..., APIClient]


def place(client: APIClient) -> Any:
    return client.post(ORDERS, ORDER, format="json", HTTP_IDEMPOTENCY_KEY="k")


def test_without_credentials_every_api_answers_401(client: Any) -> None:
    response = client.get(ORDERS)
    assert response.status_code == 401
    assert response.json()["code"] == "NOT_AUTHENTICATED"
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_view_without_a_declaration_is_refused_to_everybody(token_client: Clients, make_user: Any) -> None:
    for role in Role.values:
        response = token_client(make_user(role)).get("/api/v1/toy/undeclared")
        assert (response.status_code, response.json()["code"]) == (403, "PERMISSION_UNDECLARED")


def test_only_traders_place_orders_and_others_learn_what_is_missing(
    token_client: Clients, make_user: Any
) -> None:
    for role in Role.values:
        response = place(token_client(make_user(role)))
        if role == Role.TRADER:
            assert response.status_code == 201
        else:
            assert (response.status_code, response.json()["permission"]) == (403, "orders.place")


def test_a_superuser_flag_gives_no_permission(token_client: Clients, make_user: Any) -> None:
    assert place(token_client(make_user("viewer", is_superuser=True))).status_code == 403


def test_scopes_narrow_a_token_and_never_widen_it(token_client: Clients, trader: User, viewer: User) -> None:
    reading = token_client(trader, scopes=["read"])
    assert reading.get(ORDERS).status_code == 200
    assert place(reading).json()["permission"] == "orders.place"
    assert place(token_client(viewer, scopes=["orders.place"])).status_code == 403


def test_a_part_of_a_permission_does_not_give_the_whole(token_client: Clients, trader: User) -> None:
    assert token_client(trader, scopes=["read:metrics"]).get(ORDERS).status_code == 403


@pytest.mark.parametrize("text", ["", "nhmm_unknown", "x" * 5000, "two words", "\u00e4"])
def test_an_unknown_token_is_401(client: Any, text: str) -> None:
    response = client.get(ORDERS, HTTP_AUTHORIZATION=f"Bearer {text}")
    assert (response.status_code, response.json()["code"]) == (401, "NOT_AUTHENTICATED")


def test_a_token_ends_when_revoked_expired_or_when_its_owner_is_disabled(
    trader: User, token_client: Clients
) -> None:
    revoked, expired, orphan = token_client(trader), token_client(trader), token_client(trader)
    for client in (revoked, expired, orphan):
        assert client.get(ORDERS).status_code == 200
    first, second, _ = ApiToken.objects.order_by("pk")
    assert token_revoke(token_id=first.pk, actor=trader)
    assert not token_revoke(token_id=first.pk, actor=trader)
    ApiToken.objects.filter(pk=second.pk).update(expires_at=now())
    assert revoked.get(ORDERS).status_code == 401
    assert expired.get(ORDERS).status_code == 401
    assert orphan.get(ORDERS).status_code == 200
    User.objects.filter(pk=trader.pk).update(is_active=False)
    assert orphan.get(ORDERS).status_code == 401


def test_a_token_is_kept_as_a_digest_and_its_making_is_audited(trader: User) -> None:
    text = token_create(user=trader, name="script", actor=trader)
    token = ApiToken.objects.get()
    assert text not in str(vars(token))
    entry = AuditEntry.objects.get(action="token.created")
    assert text not in str(vars(entry))


def test_a_session_needs_the_csrf_token_to_write(session_client: Clients, trader: User) -> None:
    refused = place(session_client(trader, csrf=False))
    assert (refused.status_code, refused.json()["code"]) == (403, "CSRF_FAILED")
    assert place(session_client(trader)).status_code == 201


def test_resuming_is_for_people_with_a_fresh_log_in(
    token_client: Clients, session_client: Clients, risk_officer: User, age_login: Callable[..., None]
) -> None:
    path = "/api/v1/toy/resume"
    by_token = token_client(risk_officer).post(path, {}, format="json")
    assert (by_token.status_code, by_token.json()["code"]) == (403, "SESSION_REQUIRED")
    browser = session_client(risk_officer)
    assert browser.post(path, {}, format="json").status_code == 200
    age_login(browser, timedelta(minutes=4, seconds=50))
    assert browser.post(path, {}, format="json").status_code == 200
    age_login(browser, timedelta(minutes=5, seconds=1))
    stale = browser.post(path, {}, format="json")
    assert (stale.status_code, stale.json()["code"]) == (403, "STEP_UP_REQUIRED")
    assert stale.json()["renew"] == "/accounts/login/"
    age_login(browser, timedelta(minutes=-10))
    assert browser.post(path, {}, format="json").json()["code"] == "STEP_UP_REQUIRED"


def test_no_role_holds_two_duties_that_must_be_apart() -> None:
    for role, held in ROLE_PERMISSIONS.items():
        assert held <= set(PERMISSIONS)
        assert permits(held, "change.decide") == (role == Role.RISK_OFFICER)
        assert permits(held, "orders.place") == (role == Role.TRADER)
    assert permissions_of("no such role") == frozenset()
    assert ROLE_PERMISSIONS[Role.VIEWER] == {"read", "tokens.own", "sessions.own", "layouts.own", "views.own"}


def test_no_token_can_be_given_what_is_for_people(trader: User) -> None:
    from nautilus_site.common.errors import ApplicationError

    for scope in (*PERSON_ONLY, "change.decide:x", "kill.resume:symbol", "everything"):
        with pytest.raises(ApplicationError, match="not a permission"):
            token_create(user=trader, name="x", actor=trader, scopes=[scope])


def api_routes(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from api_routes(pattern, path)
        elif isinstance(pattern, URLPattern) and path.startswith("api/"):
            yield path, pattern.callback


def test_every_api_route_of_the_product_declares_known_permissions() -> None:
    routes = list(api_routes(get_resolver("nautilus_site.urls")))
    assert {"api/v1/approvals", "api/v1/stream"} <= {path for path, _ in routes}
    for path, callback in routes:
        view = getattr(callback, "cls", None) or getattr(callback, "view_class", callback)
        required = getattr(view, "required", None)
        assert required, f"{path} declares no permissions"
        alternatives = getattr(view, "any_of", {})
        named = set(required.values()).union(*alternatives.values())
        assert named <= set(PERMISSIONS), f"{path} names an unknown permission"
        assert set(alternatives) <= set(required), f"{path} has alternatives for no method"
        handlers = {m.upper() for m in ("get", "post", "put", "patch", "delete") if hasattr(view, m)}
        actions = getattr(callback, "actions", None)
        if actions:
            handlers = {method.upper() for method in actions} - {"HEAD", "OPTIONS"}
        assert handlers <= set(required), f"{path}: {sorted(handlers - set(required))} undeclared"
