"""Where a second factor is required, a password opens nothing but setting one up. Every route there is is asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver

from nautilus_site.common import totp
from nautilus_site.common.clock import now
from nautilus_site.common.live.credentials import Credentials, watcher_of
from nautilus_site.common.models import BreakGlass, Role, SecondFactor, User
from nautilus_site.common.services.break_glass import (
    Kept,
    break_glass_close,
    break_glass_open,
    break_glass_seal,
)
from nautilus_site.common.services.second_factor_secrets import secret_open
from tests.conftest import PASSWORD
from tests.factories.second_factors import code_now, enrol
from tests.integration.common.routes import METHODS, filled, methods_of, routes

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
LOGIN, CODE, PAGE = "/accounts/login/", "/accounts/code/", "/accounts/second-factor/"
OPEN = {
    *(
        "accounts/login/",
        "accounts/code/",
        "accounts/second-factor/",
        "accounts/password/",
        "accounts/welcome/",
    ),
    *("accounts/logout/", "accounts/logout/everywhere/"),
    *("livez", "readyz", "version", "metrics", "favicon.ico"),
}
"""All that S3 lets a password-only session have: log-in and -out, password, enrolment, probes."""


@pytest.fixture(autouse=True)
def _required(settings: Any, clean_cache: None) -> None:
    settings.REQUIRE_SECOND_FACTOR = True


def password_given(name: str, password: str = PASSWORD) -> Client:
    client = Client()
    assert client.post(LOGIN, {"username": name, "password": password}).status_code == 302
    return client


def socket_opens(client: Client) -> bool:
    return watcher_of(Credentials(session_key=client.session.session_key)) is not None


def refused(answer: Any) -> bool:
    """Sent to set one up, or told so as machines are told."""
    if answer.status_code == 302:
        return bool(answer["Location"] == PAGE)
    return answer.status_code == 403 and answer.json()["code"] == "SECOND_FACTOR_REQUIRED"


def asked_routes() -> list[tuple[str, str, str]]:
    """Method, route and path of everything but what is open; for the admin its own patterns as well."""
    found = []
    for route, callback in routes():
        if route in OPEN:
            continue
        path = "/admin/common/" if "(?P" in route else filled(route)
        found += [(method, route, path) for method in set(methods_of(callback)) | {"GET", "POST"}]
    return found


@pytest.mark.parametrize("role", [pytest.param("admin", marks=pytest.mark.long), "risk_officer"])
def test_no_route_gives_a_password_alone_anything(make_user: Callable[..., User], role: str) -> None:
    make_user(role, username=role, is_superuser=True)
    client = password_given(role)
    asked = asked_routes()
    assert len({route for _, route, _ in asked}) > 400, "the walk saw the admin as well"
    assert sum(path.startswith("/admin/") for _, _, path in asked) > 300
    let_in = []
    for method, route, path in asked:
        body = {} if method == "GET" else {"data": "{}", "content_type": "application/json"}
        if not refused(client.generic(method, path, **body)):
            let_in.append(f"{method} {route}")
    assert let_in == []
    assert "_auth_user_id" in client.session, "it was this session that was refused, and it stands"


def test_what_stays_open_shows_nothing_of_the_platform(make_user: Callable[..., User]) -> None:
    make_user("admin", username="admin")
    known = {route for route, _ in routes()}
    assert known >= OPEN
    client = password_given("admin")
    for path in (PAGE, "/accounts/password/"):
        page = client.get(path)
        assert page.status_code == 200
        assert 'id="page-state"' not in page.content.decode()
    for path in ("/nowhere", "/admin/nowhere/", "/static-not/x"):
        assert refused(client.get(path)), "nor does it tell which addresses there are"


def test_every_method_of_every_view_is_known_to_the_walk() -> None:
    assert isinstance(get_resolver("nautilus_site.urls"), URLResolver)
    assert {method for method, _, _ in asked_routes()} == set(METHODS)


def test_the_api_says_where_to_go_and_a_stream_does_not_open(trader: User) -> None:
    client = password_given("trader")
    answer = client.get("/api/v1/orders")
    assert answer["Content-Type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["enrol"]) == ("SECOND_FACTOR_REQUIRED", PAGE)
    assert refused(client.get("/api/v1/stream"))
    assert not socket_opens(client)


def test_a_token_is_not_affected_and_takes_the_factor_to_be_made(trader: User, token_client: Any) -> None:
    script = token_client(trader)
    assert script.get("/api/v1/tokens").status_code == 200
    client = password_given("trader")
    made = client.post("/api/v1/tokens", {"name": "t", "days": 1}, content_type="application/json")
    assert refused(made)
    bearer = script._credentials["HTTP_AUTHORIZATION"]
    assert client.get("/api/v1/tokens", HTTP_AUTHORIZATION=bearer).status_code == 200
    assert client.get("/api/v1/tokens", HTTP_AUTHORIZATION="Bearer nhmm_made_up").status_code == 401
    assert client.get("/api/v1/tokens", HTTP_AUTHORIZATION="Bearer").status_code == 401
    assert refused(client.get("/people/", HTTP_AUTHORIZATION=bearer)), "pages take no token"


def test_setting_it_up_opens_this_session_and_the_next_log_in_has_two_steps(trader: User) -> None:
    client = password_given("trader")
    assert client.get("/")["Location"] == PAGE
    client.post(PAGE, {"action": "begin"})
    row = SecondFactor.objects.get()
    assert row.pending is not None
    secret = secret_open(bytes(row.pending), user_id=trader.pk)
    assert secret is not None
    client.post(PAGE, {"action": "confirm", "code": totp.code_at(secret, totp.step_at(time.time()) - 1)})
    assert (client.get("/people/").status_code, socket_opens(client)) == (200, True)
    second = password_given("trader")
    assert (refused(second.get("/people/")), second.get("/people/").status_code) == (False, 302)
    second.post(CODE, {"code": code_now(trader)})
    assert (second.get("/people/").status_code, socket_opens(second)) == (200, True)


def test_a_pending_secret_is_no_factor(trader: User) -> None:
    client = password_given("trader")
    client.post(PAGE, {"action": "begin"})
    assert refused(client.get("/people/"))
    assert refused(password_given("trader").get("/people/"))


KEPT = {"ada": "a long password of ada", "grace": "a long password of grace"}


def test_break_glass_goes_on_working_for_who_has_none_or_has_lost_it(make_user: Callable[..., User]) -> None:
    """Its two halves by two people are its second factor, for the hour it stands open and no longer."""
    for name, password in KEPT.items():
        User.objects.create_user(username=name, password=password, role="trader")
    ada = User.objects.get(username="ada")
    enrol(ada)
    halves = break_glass_seal(first="ada", second="grace")
    assert "_auth_user_id" not in password_given("ada", KEPT["ada"]).session
    break_glass_open(
        first=Kept(halves[0], KEPT["ada"]), second=Kept(halves[1], KEPT["grace"]), reason="all left"
    )
    clients = {name: password_given(name, password) for name, password in KEPT.items()}
    for client in clients.values():
        assert (client.get("/approvals/").status_code, socket_opens(client)) == (200, True)
    asked = clients["ada"].post(
        "/api/v1/approvals",
        {
            "kind": "user.create",
            "target": "zoe",
            "payload": {"role": "admin", "email": "z@b.org"},
            "reason": "r",
        },
        content_type="application/json",
    )
    decided = clients["grace"].post(
        f"/api/v1/approvals/{asked.json()['id']}/approve", {}, content_type="application/json"
    )
    assert (asked.status_code, decided.status_code) == (202, 200)
    make_user("trader", username="other")
    assert refused(password_given("other").get("/approvals/")), "it opens for its two, and for nobody else"
    break_glass_close(reason="done")
    assert clients["ada"].get("/approvals/")["Location"].startswith(LOGIN)
    assert refused(clients["grace"].get("/approvals/"))


def test_when_the_hour_is_over_the_password_alone_is_too_little_at_once() -> None:
    for name, password in KEPT.items():
        User.objects.create_user(username=name, password=password, role=Role.TRADER)
    halves = break_glass_seal(first="ada", second="grace")
    break_glass_open(first=Kept(halves[0], KEPT["ada"]), second=Kept(halves[1], KEPT["grace"]), reason="r")
    client = password_given("ada", KEPT["ada"])
    assert client.get("/approvals/").status_code == 200
    BreakGlass.objects.update(opened_at=now() - timedelta(hours=1), ends_at=now() - timedelta(seconds=1))
    assert refused(client.get("/approvals/")), "before anybody has closed it"
