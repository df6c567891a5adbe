"""What people type where it does not belong, or beside an error, is in no table afterwards."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import pytest
from axes.models import AccessAttempt
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from nautilus_site.common.models import User
from nautilus_site.common.services.invitations import invitation_code, invitation_link
from tests.conftest import PASSWORD
from tests.factories.trading import trading_desk
from trading.services.credentials import sealing_keys_install

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
CANARY = "Canary-7f3a"
_COLUMNS = """
SELECT c.table_name, c.column_name FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'
  AND c.data_type IN ('text', 'character varying', 'json', 'jsonb', 'ARRAY', 'bytea')
"""


def found(text: str) -> list[str]:
    """Every column of every table that holds it, and every session."""
    held = []
    with connection.cursor() as cursor:
        cursor.execute(_COLUMNS)
        columns = cursor.fetchall()
        for table, column in columns:
            # bytea is looked at as the letters it may be.
            cursor.execute(
                f'SELECT count(*) FROM "{table}" WHERE "{column}"::text LIKE %s OR "{column}"::text LIKE %s',  # noqa: S608
                [f"%{text}%", f"%{text.encode().hex()}%"],
            )
            if cursor.fetchone()[0]:
                held.append(f"{table}.{column}")
    assert len(columns) > 300, "the walk saw the tables"
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    sessions = apps.get_model("sessions", "Session").objects.values_list("session_data", flat=True)
    return held + [f"session {data}" for row in sessions if text in str(data := store.decode(row))]


def typed(what: str) -> str:
    return f"{CANARY} {what} and then some"


def test_secrets_typed_into_every_form_with_errors_are_kept_nowhere(
    trader: User,
    admin_person: User,
    risk_officer: User,
    session_client: Callable[..., APIClient],
    clean_cache: None,
) -> None:
    sealing_keys_install()
    desk = trading_desk()
    stranger, person = Client(REMOTE_ADDR="10.0.0.1"), Client(REMOTE_ADDR="10.0.0.2")
    assert person.post("/accounts/login/", {"username": "trader", "password": PASSWORD}).status_code == 302
    # The password where the name belongs, a wrong one, a right one with a typo in the address.
    stranger.post("/accounts/login/", {"username": typed("password as name"), "password": typed("password")})
    stranger.post(
        "/accounts/login/?next=/x", {"username": "trader", "password": typed("typo"), "code": typed("code")}
    )
    for changes in (
        {"present": typed("present"), "password": typed("new"), "again": typed("new")},
        {"present": typed("present"), "password": typed("new"), "again": typed("again")},
        {"present": PASSWORD, "password": f"{CANARY}", "again": f"{CANARY}"},
    ):
        assert person.post("/accounts/password/", changes).status_code == 200
    invitation_link(username="trader", actor=admin_person)
    halves = {"link": typed("link"), "code": invitation_code(username="trader", actor=risk_officer)}
    for changes in (halves, {**halves, "code": CANARY[:10]}):
        stranger.post(
            "/accounts/welcome/", {**changes, "password": typed("chosen"), "again": typed("chosen")}
        )
    for path in ("/admin/password_change/", "/admin/login/"):
        person.post(
            path, {"old_password": typed("old"), "password": typed("x"), "new_password1": typed("new")}
        )
    api = session_client(admin_person)
    key = {"account": desk.account.name, "purpose": "executor", "api_key": "k" * 20, "reason": "r"}
    for body in (
        {**key, "api_secret": CANARY},
        {**key, "api_secret": typed("secret\x01")},
        {**key, "api_secret": typed("secret"), "account": "no-such"},
        {**key, "api_secret": typed("secret"), "purpose": "no-such"},
        {**key, "api_secret": typed("secret")},
    ):
        api.post("/api/v1/credentials", body, format="json", HTTP_IDEMPOTENCY_KEY=f"k{len(str(body))}")
    assert AccessAttempt.objects.count() >= 2, "the guesses were counted"
    assert found(CANARY) == []
    assert found("session.log_in_failed") != [], "the search finds what is there"


def test_what_was_kept_before_is_forgotten() -> None:
    migration = import_module("nautilus_site.common.migrations.0009_posted_is_not_kept")
    AccessAttempt.objects.create(
        username="trader",
        ip_address="10.0.0.1",
        failures_since_start=1,
        get_data=CANARY,
        post_data=f"present={CANARY}",
    )
    migration.forget(apps, None)
    assert found(CANARY) == []
    assert AccessAttempt.objects.get().failures_since_start == 1
