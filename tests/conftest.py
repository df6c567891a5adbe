"""Fixtures every suite may use: a person of each role, API clients with a token or a session, a clean broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings as property_settings

if TYPE_CHECKING:
    from django.test import Client
    from rest_framework.test import APIClient

    from nautilus_site.common.models import User

# How long one example takes says nothing on a machine that does other work.
property_settings.register_profile("any_machine", deadline=None)
property_settings.load_profile("any_machine")

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session", autouse=True)
def _tables_are_emptied_between_tests() -> None:
    """Transactional tests empty all tables afterwards. TRUNCATE of so many takes a second; here rows are deleted where
    there are any, past the triggers that refuse it, if the role may do so.

    Content types and permissions stay: every flush makes the same ones anew.
    """
    from django.db.backends.postgresql.operations import DatabaseOperations

    from tests.factories.tampering import ALWAYS, guards_off, guards_on

    original = DatabaseOperations.sql_flush
    kept = {"django_content_type", "auth_permission"}

    def sql_flush(self: Any, style: Any, tables: Any, **options: Any) -> list[str]:
        trail = tuple(table for table in ALWAYS if table in tables)
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT has_parameter_privilege('session_replication_role', 'SET')")
            if cursor.fetchone()[0] and not options.get("reset_sequences"):
                found = [f"SELECT '{t}' WHERE EXISTS (SELECT FROM {t})" for t in sorted(set(tables) - kept)]  # noqa: S608
                cursor.execute(" UNION ALL ".join(found))
                full = [name for (name,) in cursor.fetchall()]
                trail = tuple(table for table in trail if table in full)
                return [
                    *guards_off(trail),
                    "SET session_replication_role = replica",
                    *(f"DELETE FROM {name}" for name in full),  # noqa: S608
                    "SET session_replication_role = DEFAULT",
                    *guards_on(trail),
                ]
        return [*guards_off(trail), *original(self, style, tables, **options), *guards_on(trail)]

    DatabaseOperations.sql_flush = sql_flush  # type: ignore[method-assign]


@pytest.fixture(scope="session", autouse=True)
def _own_redis_keys(worker_id: str) -> None:
    """Parallel test processes share one Valkey: each gets its own prefixes."""
    from django.conf import settings

    if worker_id != "master":
        settings.CACHES["default"]["KEY_PREFIX"] = worker_id
        settings.CHANNEL_LAYERS["default"]["CONFIG"]["prefix"] = f"asgi-{worker_id}"


@pytest.fixture(autouse=True)
def _own_rate_budget(request: pytest.FixtureRequest) -> None:
    """Each test asks its exchange as if it were the first of the minute: they share one, and one address."""
    if "/integration/trading/" not in str(request.path) and "/contract/execution/" not in str(request.path):
        return
    import redis
    from django.conf import settings

    cache = settings.CACHES["default"]
    with redis.Redis.from_url(str(cache["LOCATION"])) as client:
        prefix = ":".join(filter(None, [str(cache.get("KEY_PREFIX", "")), "rate"]))
        keys = list(client.scan_iter(f"{prefix}:*", count=1000))
        if keys:
            client.delete(*keys)


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    """`gw0`, `gw1`, ... under pytest-xdist, else `master`; also when the plug-in is switched off."""
    return str(getattr(request.config, "workerinput", {}).get("workerid", "master"))


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    """`make_user("trader")` makes an active person of that role; `username=` to choose the name."""
    from nautilus_site.common.models import User

    def make(role: str, *, username: str | None = None, **fields: Any) -> User:
        name = username or f"{role}-{User.objects.count() + 1}"
        return User.objects.create_user(
            username=name, password=PASSWORD, role=role, is_staff=role != "viewer", **fields
        )

    return make


@pytest.fixture
def viewer(make_user: Callable[..., User]) -> User:
    return make_user("viewer", username="viewer")


@pytest.fixture
def trader(make_user: Callable[..., User]) -> User:
    return make_user("trader", username="trader")


@pytest.fixture
def risk_officer(make_user: Callable[..., User]) -> User:
    return make_user("risk_officer", username="risk")


@pytest.fixture
def second_risk_officer(make_user: Callable[..., User]) -> User:
    return make_user("risk_officer", username="risk2")


@pytest.fixture
def model_owner(make_user: Callable[..., User]) -> User:
    return make_user("model_owner", username="model_owner")


@pytest.fixture
def admin_person(make_user: Callable[..., User]) -> User:
    """A user of role admin (not named `admin_user`: that is pytest-django's superuser)."""
    return make_user("admin", username="admin")


@pytest.fixture
def token_client() -> Callable[..., APIClient]:
    """`token_client(user, scopes=[...])` is an API client with a fresh bearer token of that user."""
    from rest_framework.test import APIClient

    from nautilus_site.common.services.tokens import token_create

    def make(
        user: User, *, scopes: list[str] | None = None, life: timedelta = timedelta(days=1)
    ) -> APIClient:
        client = APIClient()
        text = token_create(user=user, name="test", actor=user, scopes=scopes, life=life)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        return client

    return make


@pytest.fixture
def session_client() -> Callable[..., APIClient]:
    """`session_client(user)` is a browser: logged in just now, with CSRF enforced and its token sent."""
    from rest_framework.test import APIClient

    def make(user: User, *, csrf: bool = True) -> APIClient:
        client = APIClient(enforce_csrf_checks=True)
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        if csrf:
            secret = "t" * 32
            client.cookies["csrftoken"] = secret
            client.credentials(HTTP_X_CSRFTOKEN=secret)
        return client

    return make


@pytest.fixture
def browser() -> Callable[[User], Client]:
    """`browser(user)` sends forms as a browser does: for pages and the admin. CSRF is not enforced."""
    from django.test import Client

    def make(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return make


@pytest.fixture
def age_login() -> Callable[[APIClient, timedelta], None]:
    """`age_login(client, timedelta(minutes=6))` makes a session's log-in that old."""
    import time

    from nautilus_site.common.sessions import AUTHENTICATED_AT

    def age(client: APIClient, by: timedelta) -> None:
        session = client.session
        session[AUTHENTICATED_AT] = time.time() - by.total_seconds()
        session.save()

    return age


@pytest.fixture
def clean_cache() -> Iterator[None]:
    """An empty cache before and after: throttles and lock-outs of one test do not reach the next."""
    from django.core.cache import cache

    cache.clear()
    yield
    cache.clear()
