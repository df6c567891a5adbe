"""Where a caller connects from: tokens bound to it, and log-ins locked out by it, as an attacker tries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from axes.models import AccessAttempt
from django.test import Client
from rest_framework.test import APIClient

from nautilus_site.common.addresses import client_address, networks_clean
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.live.credentials import credentials_from, watcher_of
from nautilus_site.common.models import ApiToken, AuditEntry, User
from nautilus_site.common.services.tokens import token_create

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
HOME, AWAY, PROXY = "10.1.2.3", "203.0.113.9", "192.0.2.1"
PASSWORD = "a password that is long enough"


@pytest.fixture
def bound(trader: User, clean_cache: None) -> str:
    return token_create(user=trader, name="script", actor=trader, addresses=["10.1.2.0/24"])


def asking(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_a_bound_token_is_taken_from_its_addresses_only_by_every_door(bound: str) -> None:
    client = asking(bound)
    for path in ("/api/v1/orders", "/metrics"):
        assert client.get(path, REMOTE_ADDR=HOME).status_code == 200, path
        assert client.get(path, REMOTE_ADDR=AWAY).status_code in (401, 403), path
        spoofed = client.get(path, REMOTE_ADDR=AWAY, HTTP_X_FORWARDED_FOR=HOME)
        assert spoofed.status_code in (401, 403), f"{path}: anybody can write that header"
        assert client.get(path, REMOTE_ADDR=f"::ffff:{HOME}").status_code == 200, "the same address on IPv6"
    for address, watches in ((HOME, True), (AWAY, False), ("", False)):
        assert (watcher_of(credentials_from(f"Bearer {bound}", "", address=address)) is not None) == watches
    assert ApiToken.objects.get().addresses == ["10.1.2.0/24"]


@pytest.mark.django_db(transaction=True)
async def test_a_live_stream_is_opened_from_its_addresses_only(trader: User, clean_cache: None) -> None:
    from nautilus_site.common.live.handshake import LiveHandshake

    token = await sync_to_async(token_create)(user=trader, name="s", actor=trader, addresses=[HOME])
    for address, opens in ((HOME, True), (AWAY, False)):
        reached: list[Any] = []

        async def inner(scope: Any, receive: Any, send: Any, reached: list[Any] = reached) -> None:
            reached.append(scope["watcher"])

        async def nothing(*_: Any) -> dict[str, Any]:
            return {}

        headers = [
            (b"authorization", f"Bearer {token}".encode()),
            (b"x-forwarded-for", HOME.encode()),
            (b"host", b"testserver"),
        ]
        await LiveHandshake(inner)({"headers": headers, "client": (address, 1)}, nothing, nothing)
        assert bool(reached) == opens, address


def test_a_proxy_is_believed_only_where_it_is_ours(bound: str, settings: Any) -> None:
    client = asking(bound)
    settings.TRUSTED_PROXIES = (f"{PROXY}/32",)
    through = {"REMOTE_ADDR": PROXY}
    assert client.get("/api/v1/orders", **through, HTTP_X_FORWARDED_FOR=HOME).status_code == 200
    # What the caller wrote stands before what the proxy added.
    assert client.get("/api/v1/orders", **through, HTTP_X_FORWARDED_FOR=f"{HOME}, {AWAY}").status_code == 401
    assert client.get("/api/v1/orders", **through).status_code == 401
    assert client_address(PROXY, f"{AWAY}, {HOME}, {PROXY}") == HOME
    assert client_address(AWAY, HOME) == AWAY
    assert client_address(PROXY, "not an address") == "not an address", "which no token is bound to"


@pytest.mark.parametrize("given", [["0.0.0.0/0"], ["::/0"], ["home"], ["10.1.2.3/24"], ["10.0.0.1"] * 21])
def test_what_is_no_place_is_refused(given: list[str], trader: User, session_client: Any) -> None:
    answer = session_client(trader).post(
        "/api/v1/tokens", {"name": "x", "scopes": [], "days": 1, "addresses": given}, format="json"
    )
    assert answer.status_code == 400
    assert not ApiToken.objects.exists()
    if len(given) == 1:
        with pytest.raises(ApplicationError) as refused:
            networks_clean(given)
        assert refused.value.code == "INVALID_ADDRESS"


def test_a_token_is_bound_over_the_api_and_told_so(trader: User, session_client: Any) -> None:
    body = session_client(trader).post(
        "/api/v1/tokens", {"name": "x", "scopes": ["read"], "days": 1, "addresses": [HOME, HOME]}, format="json"
    ).json()  # fmt: skip
    assert body["addresses"] == [f"{HOME}/32"]
    assert AuditEntry.objects.get(action="token.created").after["addresses"] == [f"{HOME}/32"]


def test_an_expired_or_narrowed_token_opens_nothing_more(trader: User, clean_cache: None) -> None:
    text = token_create(user=trader, name="s", actor=trader, scopes=["read"])
    assert asking(text).post("/api/v1/orders", {"symbol": "BTCUSDT"}, format="json").status_code == 403
    ApiToken.objects.update(expires_at=now() - timedelta(seconds=1))
    assert asking(text).get("/api/v1/orders").status_code == 401


def log_in(client: Client, password: str, address: str, **headers: str) -> bool:
    client.post("/accounts/login/", {"username": "ada", "password": password}, REMOTE_ADDR=address, **headers)
    return "_auth_user_id" in client.session


def test_guessing_ends_after_ten_and_a_header_does_not_begin_it_anew(db: None, clean_cache: None) -> None:
    User.objects.create_user(username="ada", password=PASSWORD, role="trader")
    owner = Client()
    assert log_in(owner, PASSWORD, HOME)
    for n in range(30):
        assert not log_in(Client(), f"guess {n}", AWAY, HTTP_X_FORWARDED_FOR=f"10.0.0.{n}")
    assert not log_in(Client(), PASSWORD, AWAY), "locked out, though this one is right"
    assert not log_in(Client(), PASSWORD, AWAY, HTTP_X_FORWARDED_FOR=HOME)
    assert not log_in(Client(), PASSWORD, HOME), "nor does another address begin it anew"
    assert log_in(owner, PASSWORD, HOME), (
        "whom somebody else locks out there is not locked out where they were before"
    )
    assert AccessAttempt.objects.get().ip_address == AWAY
    AccessAttempt.objects.update(attempt_time=now() - timedelta(minutes=16))
    assert log_in(Client(), PASSWORD, AWAY)
