"""Log-in, log-out, the admin's rules, and the headers of every page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from nautilus_site.common.admin import environment_label
from nautilus_site.common.models import AuditEntry, ChangeRequest, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.tokens import token_create

PASSWORD = "correct horse battery staple"
pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.integration.common.toy_urls")]
Clients = Callable[..., Any]


def log_in(client: Any, name: str, password: str = PASSWORD, **extra: Any) -> Any:
    return client.post("/accounts/login/", {"username": name, "password": password, **extra})


def test_logging_in_leads_to_the_page_asked_for_and_never_to_another_site(client: Any, trader: User) -> None:
    assert log_in(client, "trader", next="/orders/")["Location"] == "/orders/"
    for evil in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
        assert log_in(client, "trader", next=evil)["Location"] == "/"
    assert AuditEntry.objects.filter(action="session.logged_in", actor=trader).count() == 4


def test_the_page_does_not_tell_whether_an_account_exists(client: Any, trader: User) -> None:
    wrong, unknown = log_in(client, "trader", "wrong"), log_in(client, "nobody", "wrong")
    assert wrong.status_code == unknown.status_code == 200
    for page in (wrong, unknown):
        assert "do not match" in page.content.decode()
    assert AuditEntry.objects.filter(action="session.log_in_failed").count() == 2


def test_ten_failures_lock_the_account_even_for_the_right_password(client: Any, trader: User) -> None:
    for _ in range(10):
        log_in(client, "trader", "wrong")
    answer = log_in(client, "trader")
    assert answer.status_code == 429
    assert AuditEntry.objects.filter(action="session.locked_out").exists()


def test_logging_in_again_renews_the_step_up_age(client: Any, risk_officer: User) -> None:
    log_in(client, "risk")
    session = client.session
    session["authenticated_at"] -= 600
    session.save()
    assert client.get("/accounts/login/").status_code == 200
    log_in(client, "risk")
    assert client.session["authenticated_at"] > session["authenticated_at"] + 500


def test_logging_out_ends_the_session_and_needs_a_post(client: Any, trader: User) -> None:
    log_in(client, "trader")
    assert client.get("/accounts/logout/").status_code == 405
    client.post("/accounts/logout/")
    assert "_auth_user_id" not in client.session


def test_every_page_has_a_policy_without_unsafe_inline_and_may_not_be_framed(client: Any) -> None:
    for path in ("/", "/accounts/login/", "/livez", "/nowhere"):
        policy = client.get(path)["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
    first, second = client.get("/"), client.get("/")
    nonce = first.content.decode().removeprefix("nonce=")
    assert f"'nonce-{nonce}'" in first["Content-Security-Policy"]
    assert nonce not in second["Content-Security-Policy"]


def test_the_admin_policy_allows_its_framework_and_no_inline_script(client: Any) -> None:
    policy = dict(part.split(" ", 1) for part in client.get("/admin/")["Content-Security-Policy"].split("; "))
    assert "'unsafe-eval'" in policy["script-src"]
    assert "'unsafe-inline'" not in policy["script-src"]


def test_an_unknown_page_is_a_page_for_people_and_a_problem_for_machines(client: Any) -> None:
    page = client.get("/nowhere", HTTP_ACCEPT="text/html")
    assert (page.status_code, page["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert client.get("/nowhere").json()["code"] == "NOT_FOUND"


def test_everybody_but_viewers_may_open_the_admin(make_user: Any, browser: Clients) -> None:
    for role in ("trader", "risk_officer", "model_owner", "admin"):
        assert browser(make_user(role)).get("/admin/").status_code == 200, role
    assert browser(make_user("viewer", is_superuser=True)).get("/admin/").status_code == 302


def test_audit_entries_can_be_read_by_two_roles_and_changed_by_none(make_user: Any, browser: Clients) -> None:
    entry = audit_record(action="limit.changed", target="t", actor="test", reason="kept")
    change = reverse("admin:common_auditentry_change", args=[entry.pk])
    for role in ("trader", "risk_officer", "model_owner", "admin"):
        client = browser(make_user(role, is_superuser=True))
        assert client.get(change).status_code == (200 if role in ("risk_officer", "admin") else 403), role
        for url in (change, reverse("admin:common_auditentry_add"), change.replace("change", "delete")):
            assert client.post(url, {"reason": "rewritten", "post": "yes"}).status_code == 403, (role, url)
        client.post(
            reverse("admin:common_auditentry_changelist"),
            {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"},
        )
    entry.refresh_from_db()
    assert entry.reason == "kept"


def test_a_governed_form_proposes_and_does_not_save(
    admin_person: User, viewer: User, browser: Clients
) -> None:
    client = browser(admin_person)
    url = reverse("admin:common_user_change", args=[viewer.pk])
    assert client.get(url).status_code == 200
    form = {"role": "trader", "is_active": "on", "username": "renamed", "reason": ""}
    assert b"This field is required" in client.post(url, form).content
    answer = client.post(url, {**form, "reason": "joins the desk"})
    request = ChangeRequest.objects.get()
    assert answer["Location"] == reverse("admin:common_changerequest_change", args=[request.pk])
    assert (request.kind, request.target, request.payload) == ("user.change", "viewer", {"role": "trader"})
    viewer.refresh_from_db()
    assert (viewer.role, viewer.username) == ("viewer", "viewer")
    assert client.get(answer["Location"]).status_code == 200


def test_the_admin_never_shows_a_tokens_digest(admin_person: User, trader: User, browser: Clients) -> None:
    text = token_create(user=trader, name="script", actor=trader)
    token = trader.api_tokens.get()
    client = browser(admin_person)
    pages = [
        client.get(reverse("admin:common_apitoken_changelist")),
        client.get(reverse("admin:common_apitoken_change", args=[token.pk])),
    ]
    for page in pages:
        assert page.status_code == 200
        assert token.digest not in page.content.decode()
        assert text not in page.content.decode()
    client.post(
        reverse("admin:common_apitoken_changelist"), {"action": "revoke", "_selected_action": [token.pk]}
    )
    token.refresh_from_db()
    assert token.revoked_at is not None


@pytest.mark.parametrize(
    ("venue", "label"),
    [
        ("local", ["LOCAL", "info"]),
        ("testnet", ["TESTNET", "warning"]),
        ("demo", ["DEMO", "warning"]),
        ("live", ["LIVE", "danger"]),
    ],
)
def test_the_banner_names_the_venue(settings: Any, rf: Any, venue: str, label: list[str]) -> None:
    settings.BINANCE_ENV = venue
    assert environment_label(rf.get("/")) == label
