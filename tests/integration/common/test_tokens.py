"""Tokens of one's own: every scope opens exactly what it names, the text is shown once, a token makes no token."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from nautilus_site.common.clock import now
from nautilus_site.common.models import ApiToken, AuditEntry, Role, User
from nautilus_site.common.roles import PERMISSIONS, PERSON_ONLY, ROLE_PERMISSIONS, permits
from tests.integration.common.test_authorisation_matrix import filled
from trading.services.controls import limits_install

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
Clients = Callable[..., APIClient]
PATH = "/api/v1/tokens"
SCOPES = sorted(set(PERMISSIONS) - PERSON_ONLY)
APPROVALS = "/api/v1/approvals"
ASKED_BY_THE_BODY = {
    "limits.tighten": ("PUT", "/api/v1/limits/max_notional", {"value": "1", "reason": "r"}, "read"),
    "universe.propose": (
        *("POST", APPROVALS, {"kind": "symbol.allow", "target": "a:B", "payload": {}, "reason": "r"}),
        "change.request",
    ),
    "users.manage": (
        *("POST", APPROVALS, {"kind": "user.change", "target": "no", "payload": {}, "reason": "r"}),
        "change.request",
    ),
    "views.share": (
        *("POST", "/api/v1/views", {"table": "orders.orders", "name": "x", "state": {}, "shared": True}),
        "views.own",
    ),
}
"""Permissions no view asks for before it has read the body, and what the route itself asks for."""
ELSEWHERE = {
    "read:metrics": "/metrics, in test_probes.py",
    "views.delete": "of what somebody else shares, in test_table_views.py",
    "incidents.review": "for people only, as the table of routes says",
}
"""Scopes that are tested in another place, and why no route here asks for them."""


def views(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from views(entry, path)
        elif isinstance(entry, URLPattern) and path.startswith("api/v1/"):
            yield path, entry.callback


def asked_for(scope: str) -> list[tuple[str, str]]:
    """(method, path) of every route that asks for this permission and can be used by a token."""
    found = []
    for route, callback in views(get_resolver("nautilus_site.urls")):
        view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
        for method, permission in getattr(view, "required", {}).items():
            by_body = method in getattr(view, "any_of", {})
            people = {*getattr(view, "person_only", ()), *getattr(view, "session_only", ())}
            if permission == scope and not by_body and method not in people:
                found.append((method, filled(route)))
    return found


def ask(client: APIClient, method: str, path: str, body: Any = None) -> Any:
    extra = {} if method == "GET" else {"data": json.dumps(body or {}), "content_type": "application/json"}
    return client.generic(method, path, HTTP_IDEMPOTENCY_KEY=uuid4().hex, **extra)


@pytest.mark.parametrize("scope", [scope for scope in SCOPES if scope not in ELSEWHERE])
def test_a_scope_opens_the_routes_that_ask_for_it_and_no_other_scope_does(
    scope: str, make_user: Callable[..., User], token_client: Clients, clean_cache: None
) -> None:
    role = next(role for role, held in ROLE_PERMISSIONS.items() if permits(held, scope))
    person = make_user(role)
    with_it = token_client(person, scopes=[scope])
    others = sorted(held for held in ROLE_PERMISSIONS[role] - PERSON_ONLY if not permits({held}, scope))
    without = token_client(person, scopes=others) if others else None
    routes: list[Any] = [(*route, None) for route in asked_for(scope)]
    if scope in ASKED_BY_THE_BODY:
        limits_install(actor="test")
        *route, first = ASKED_BY_THE_BODY[scope]
        routes.append(route)
        with_it = token_client(person, scopes=[scope, first])
    assert routes, f"{scope}: no route asks for it"
    for method, path, body in routes[:4]:
        opened = ask(with_it, method, path, body)
        assert opened.status_code not in (401, 403), (path, opened.content)
        if without is not None:
            refused = ask(without, method, path, body)
            assert (refused.status_code, refused.json().get("permission")) == (403, scope), path


def test_scopes_that_no_token_route_asks_for_are_the_ones_explained() -> None:
    none = {scope for scope in SCOPES if not asked_for(scope)} - set(ASKED_BY_THE_BODY)
    assert none == set(ELSEWHERE)


def test_a_token_is_made_used_listed_and_revoked(
    trader: User, session_client: Clients, clean_cache: None
) -> None:
    browser = session_client(trader)
    made = browser.post(PATH, {"name": "fills", "scopes": ["read"], "days": 7}, format="json")
    body = made.json()
    assert (made.status_code, made["Cache-Control"], body["state"]) == (201, "no-store", "valid")
    life = ApiToken.objects.get(pk=body["id"]).expires_at - now()
    assert timedelta(days=6, hours=23) < life <= timedelta(days=7)
    script = APIClient()
    script.credentials(HTTP_AUTHORIZATION=f"Bearer {body['token']}")
    listed = script.get(PATH).json()["results"]
    assert [row["name"] for row in listed] == ["fills"]
    assert body["token"] not in json.dumps(listed)
    assert script.delete(f"{PATH}/{body['id']}").json()["permission"] == "tokens.own"
    assert browser.delete(f"{PATH}/{body['id']}").json()["state"] == "revoked"
    assert script.get(PATH).status_code == 401
    assert browser.delete(f"{PATH}/{body['id']}").json()["code"] == "TOKEN_REVOKED"
    actions = AuditEntry.objects.filter(target=f"token:{body['id']}").order_by("id")
    assert [entry.action for entry in actions] == ["token.created", "token.revoked"]


def test_neither_a_token_nor_an_old_session_makes_one(
    trader: User, session_client: Clients, token_client: Clients, age_login: Any
) -> None:
    asked = {"name": "more", "scopes": [], "days": 1}
    assert token_client(trader).post(PATH, asked, format="json").json()["code"] == "SESSION_REQUIRED"
    browser = session_client(trader)
    age_login(browser, timedelta(minutes=6))
    assert browser.post(PATH, asked, format="json").json()["code"] == "STEP_UP_REQUIRED"
    assert not ApiToken.objects.filter(name="more").exists()


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"scopes": ["change.decide"]}, "UNKNOWN_SCOPE"),
        ({"scopes": ["audit.read"]}, "SCOPE_NOT_HELD"),
        ({"scopes": ["everything"]}, "UNKNOWN_SCOPE"),
        ({"days": 91}, "VALIDATION"),
        ({"name": "  "}, "VALIDATION"),
    ],
)
def test_a_token_beyond_its_owner_or_beyond_ninety_days_is_refused(
    asked: dict[str, Any], code: str, trader: User, session_client: Clients
) -> None:
    answer = session_client(trader).post(PATH, {"name": "x", "scopes": [], "days": 1, **asked}, format="json")
    assert answer.status_code in (400, 403)
    assert answer.json()["code"].startswith(code)
    assert not ApiToken.objects.exists()


def test_others_tokens_are_seen_and_revoked_only_by_those_who_answer_for_people(
    make_user: Callable[..., User], session_client: Clients, token_client: Clients
) -> None:
    owner = make_user("trader", username="owner")
    for role in Role.values:
        token_client(owner)
        newest = ApiToken.objects.filter(user=owner).latest("id")
        browser = session_client(make_user(role, username=f"asking-{role}"))
        answers = role in (Role.ADMIN, Role.RISK_OFFICER)
        assert (newest.pk in [row["id"] for row in browser.get(PATH).json()["results"]]) == answers
        assert browser.delete(f"{PATH}/{newest.pk}").status_code == (200 if answers else 404)
        newest.refresh_from_db()
        assert (newest.revoked_at is not None) == answers


def test_the_command_makes_lists_and_revokes(trader: User, viewer: User, client: Any) -> None:
    def said(*words: str) -> str:
        out = StringIO()
        call_command("tokens", *words, stdout=out)
        return out.getvalue().strip()

    text = said("create", "--as", "trader", "--name", "cron", "--scope", "read", "--days", "3")
    assert client.get("/api/v1/orders", HTTP_AUTHORIZATION=f"Bearer {text}").status_code == 200
    (row,) = json.loads(said("list", "--json"))
    assert (row["name"], row["scopes"], row["state"]) == ("cron", ["read"], "valid")
    assert text not in said("list")
    with pytest.raises(CommandError, match="TOKEN_NOT_FOUND"):
        said("revoke", "--as", "viewer", str(row["id"]))
    assert "is revoked" in said("revoke", "--as", "trader", str(row["id"]))
    assert client.get("/api/v1/orders", HTTP_AUTHORIZATION=f"Bearer {text}").status_code == 401
    with pytest.raises(CommandError, match="SCOPE_NOT_HELD"):
        said("create", "--as", "viewer", "--name", "x", "--scope", "orders.place")
