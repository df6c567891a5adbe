"""Every route, asked by a stranger and by each role, answers as `authorisation.txt` says.

A route, a page or an admin list that is not in the table fails here: decide who may use it, then write its line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from rest_framework.test import APIClient

from governance.selectors.policies import version_in_force
from nautilus_site.common.models import Role, User
from nautilus_site.common.roles import ROLE_PERMISSIONS, permits
from tests.conftest import PASSWORD
from tests.factories.trading import trading_desk
from tests.integration.common.routes import METHODS, filled, methods_of, routes
from tests.integration.governance.conftest import in_force
from trading.models import StrategyInstance

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
Clients = Callable[..., APIClient]
TABLE = Path(__file__).with_name("authorisation.txt")
ASKERS = ("stranger", *Role.values)
SITE_ROUTES = {
    "app_list": "<str:app>/",
    "view_on_site": "r/<int:type>/<int:object>/",
    "None": "<str:anything>",
}
"""Routes of the admin's own that are written as regular expressions, in the table's words."""
TO_LOG_IN = ("/accounts/login/?next=", "/admin/login/?next=")
ENDS_THE_ASKER = ("DELETE", "api/v1/sessions")


def expected() -> dict[str, tuple[str, ...]]:
    """The table: `METHOD route` or `ADMIN app.model` to one word for each asker."""
    lines = [line.split() for line in TABLE.read_text().splitlines()]
    lines = [words for words in lines if words and not words[0].startswith("#")]
    return {f"{words[0]} {words[1]}": tuple(words[2 : 2 + len(ASKERS)]) for words in lines}


def differences(seen: dict[str, tuple[str, ...]], prefixes: tuple[str, ...]) -> list[str]:
    wanted = {name: words for name, words in expected().items() if name.startswith(prefixes)}
    return [
        f"{name} {' '.join(seen.get(name, ('gone',)))}   (the table says: {' '.join(wanted.get(name, ('nothing',)))})"
        for name in sorted({*seen, *wanted})
        if seen.get(name) != wanted.get(name)
    ]


@pytest.fixture
def askers(make_user: Callable[..., User], session_client: Clients, clean_cache: None) -> dict[str, Any]:
    """A browser of each, logged in just now."""
    clients: dict[str, Any] = {"stranger": APIClient()}
    return clients | {role: session_client(make_user(role, username=role)) for role in Role.values}


def asked() -> list[tuple[str, str]]:
    """Method and route of all but the admin's, which have tests of their own, and logging out, which ends the asker."""
    found = [
        (method, route)
        for route, callback in routes()
        if not route.startswith(("admin/", "accounts/logout/"))
        for method in methods_of(callback)
    ]
    return sorted(found, key=lambda each: each == ENDS_THE_ASKER)


def site_views() -> Iterator[str]:
    """The admin's own views, beside those of its models: log-in, search, password, what it was not asked for."""
    (site,) = (
        entry
        for entry in get_resolver("nautilus_site.urls").url_patterns
        if isinstance(entry, URLResolver) and entry.app_name == "admin"
    )
    for entry in site.url_patterns:
        if isinstance(entry, URLPattern):
            yield f"admin/{SITE_ROUTES.get(str(entry.name), str(entry.pattern))}"


def let_in(client: Any, method: str, path: str) -> str:
    """`yes`, or `-` when the answer is 401, 403 or the way to the log-in."""
    body = {} if method == "GET" else {"data": "{}", "content_type": "application/json"}
    answer = client.generic(method, path, HTTP_IDEMPOTENCY_KEY=f"{method}{path}"[:64], **body)
    assert answer.status_code < 500, (method, path, answer.status_code)
    to_log_in = answer.status_code == 302 and answer["Location"].startswith(TO_LOG_IN)
    return "-" if answer.status_code in (401, 403) or to_log_in else "yes"


def test_every_route_of_api_and_pages_answers_each_role_as_the_table_says(askers: dict[str, Any]) -> None:
    seen = {}
    for method, route in asked():
        words = tuple(let_in(client, method, filled(route)) for client in askers.values())
        seen[f"{method} /{route}"] = words
    assert len(seen) > 150, "the walk saw the platform"
    assert differences(seen, tuple(f"{method} " for method in METHODS)) == []


def test_every_view_of_the_admin_itself_answers_each_role_as_the_table_says(askers: dict[str, Any]) -> None:
    seen = {}
    for route in site_views():
        if route == "admin/logout/":
            continue
        for method in ("GET", "POST"):
            path = filled(route.replace("<str:app>", "common"))
            words = tuple(let_in(client, method, path) for client in askers.values())
            seen[f"SITE-{method} /{route}"] = words
    assert len(seen) > 15, "the walk saw the admin"
    assert differences(seen, ("SITE-",)) == []


def test_the_admin_has_no_log_in_and_no_password_form_of_its_own(
    trader: User, browser: Callable[[User], Client], client: Client
) -> None:
    there = browser(trader)
    for method in (there.get, there.post):
        for path in ("/admin/password_change/", "/admin/password_change/done/"):
            guess = {
                "old_password": PASSWORD,
                "new_password1": "another long one",
                "new_password2": "another long one",
            }
            answer = method(path, guess)
            assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/"), path
    assert User.objects.get(pk=trader.pk).check_password(PASSWORD)
    answer = client.post("/admin/login/", {"username": "trader", "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/?next=/admin/")
    assert "_auth_user_id" not in client.session


def test_every_list_of_the_admin_gives_each_role_what_the_table_says(
    make_user: Callable[..., User], rf: RequestFactory
) -> None:
    assert reverse("admin:index") == "/admin/", "the URLs find the admin pages"
    seen = {}
    people = {role: make_user(role, username=role, is_superuser=True) for role in Role.values}
    for model, options in admin.site._registry.items():
        words = ["-"]
        for person in people.values():
            request = rf.get("/admin/")
            request.user = person
            rights = "".join(
                right[0]
                for right in ("view", "add", "change", "delete")
                if getattr(options, f"has_{right}_permission")(request)
            )
            words.append(rights if rights and admin.site.has_permission(request) else "-")
        seen[f"ADMIN {model._meta.label_lower}"] = tuple(words)
    assert len(seen) > 60
    assert differences(seen, ("ADMIN",)) == []


def test_what_the_admin_does_not_give_is_refused_by_its_routes(
    make_user: Callable[..., User], browser: Callable[[User], Client], client: Client
) -> None:
    """By HTTP, as a superuser of each role: that flag must give nothing."""
    people = {role: browser(make_user(role, username=role, is_superuser=True)) for role in Role.values}
    clients = {"stranger": client, **people}
    asked = 0
    for name, words in expected().items():
        if not name.startswith("ADMIN "):
            continue
        site = f"admin:{name.removeprefix('ADMIN ').replace('.', '_')}"
        paths = {
            "v": reverse(f"{site}_changelist"),
            "a": reverse(f"{site}_add"),
            "d": reverse(f"{site}_delete", args=[999999999]),
        }
        for asker, rights in zip(ASKERS, words, strict=True):
            for right, path in paths.items():
                if right in rights:
                    continue
                answer = clients[asker].post(path, {"post": "yes"})
                assert answer.status_code in (302, 403), (name, asker, path, answer.status_code)
                if answer.status_code == 302:
                    # Away to the log-in, or to the front of the admin because there is no such object.
                    assert answer["Location"].startswith(("/accounts/login/", "/admin/")), (name, path)
                asked += 1
    assert asked > 800


@pytest.mark.parametrize(
    ("quota", "weight", "may"),
    [
        ("10001", "0.6", {"PUT": "risk.propose", "weights": "risk.propose", "grant": "capital.propose"}),
        (
            "9999",
            "0.4",
            {"PUT": "limits.tighten", "weights": "strategies.disable", "grant": "strategies.disable"},
        ),
    ],
)
def test_views_that_ask_by_the_body_refuse_by_role_too(
    quota: str, weight: str, may: dict[str, str], askers: dict[str, Any]
) -> None:
    name, instance = next(iter(trading_desk().instances.items()))
    strategy = name.partition(":")[0]
    granted = {
        "account": instance.account.name,
        "symbol": instance.instrument.symbol,
        "allocation": "3001" if weight == "0.6" else "2999",
        "reason": "r",
    }
    for role in ("viewer", "model_owner", "trader", "admin", "risk_officer"):
        in_force("capital_policy", max_quota_usd=10_000)
        in_force("strategy_weights", weights={strategy: "0.5"})
        StrategyInstance.objects.filter(pk=instance.pk).update(allocation=3000)
        document = {**version_in_force("capital_policy").document, "max_quota_usd": quota}
        for method, path, body in (
            ("PUT", "/api/v1/policies/capital_policy", {"document": document, "reason": "r"}),
            ("POST", "/api/v1/strategy/weights", {"weights": {strategy: weight}, "reason": "r"}),
            ("POST", f"/api/v1/strategy/{strategy}/grant", granted),
        ):
            answer = askers[role].generic(method, path, json.dumps(body), content_type="application/json")
            needed = may[method if method == "PUT" else path.rpartition("/")[2]]
            refused = answer.status_code == 403 and answer.json().get("code") == "PERMISSION_DENIED"
            assert refused != permits(ROLE_PERMISSIONS[role], needed), (role, path, answer.content)


def test_nobody_adds_or_deletes_governed_or_recorded_rows_in_the_admin() -> None:
    rights = {name: words for name, words in expected().items() if name.startswith("ADMIN ")}
    for name, words in rights.items():
        assert words[0] == words[1] == "-", f"{name}: neither strangers nor viewers open the admin"
        assert not any("d" in word for word in words), f"{name}: nothing is deleted there"


def test_what_only_one_duty_may_do_is_with_that_role_alone() -> None:
    """`safety.md` 4.3: nobody trades and approves, nobody trains and approves, the audit is for two."""
    rows = expected()

    def who(name: str) -> set[str]:
        return {asker for asker, word in zip(ASKERS, rows[name], strict=True) if word != "-"}

    assert who("POST /api/v1/orders") == {"trader"}
    assert who("POST /api/v1/approvals/<uuid:pk>/approve") == {"risk_officer"}
    assert who("POST /api/v1/resume") == {"risk_officer"}
    assert who("POST /api/v1/models/train") == {"model_owner"}
    assert who("GET /api/v1/audit") == who("GET /audit/") == {"risk_officer", "admin"}
    assert who("POST /api/v1/kill") == {"trader", "risk_officer", "model_owner", "admin"}
    for name, words in rows.items():
        method, _, route = name.partition(" ")
        # The check of a policy file and the allocator's what-if change nothing.
        asks = route.endswith(("/check", "/what-if"))
        changes = method != "GET" and route.startswith("/api/") and not asks
        # Tokens and sessions of one's own: they narrow what one may already do. How one's pages stand, and
        # what their tables show, is a preference.
        own = (
            route.startswith(("/api/v1/tokens", "/api/v1/sessions", "/api/v1/views"))
            or route == "/api/v1/layouts/<slug:page>"
        )
        if changes and not own:
            assert (words[0], words[1]) == ("-", "-"), f"{name}: strangers and viewers change nothing"
