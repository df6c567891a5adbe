"""However somebody guesses, ten guesses are judged in 15 minutes; whose account it is gets in where they did before."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Lock
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection, connections
from django.test import Client, RequestFactory

from nautilus_site.common import known_devices, lock_out
from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, User
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
LOG_IN, CHANGE = "/accounts/login/", "/accounts/password/"
WRONG = "a wrong guess"


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every guess that reached the hasher, which says no at once."""
    seen: list[str] = []
    lock = Lock()
    verify = MD5PasswordHasher.verify

    def counted(self: Any, password: str, encoded: str) -> bool:
        with lock:
            seen.append(password)
        return password != WRONG and verify(self, password, encoded)

    monkeypatch.setattr(MD5PasswordHasher, "verify", counted)
    return seen


def guess(name: str, password: str = WRONG, *, client: Client | None = None, **meta: str) -> int:
    answer = (client or Client()).post(LOG_IN, {"username": name, "password": password}, **meta)
    return answer.status_code


def known_browser(name: str = "trader", **meta: str) -> Client:
    """A browser that the account was used in, and logged out of."""
    client = Client(**meta)
    assert guess(name, PASSWORD, client=client) == 302
    client.post("/accounts/logout/")
    assert "_auth_user_id" not in client.session
    return client


def test_of_hundreds_of_guesses_for_one_account_from_many_addresses_ten_are_judged(
    trader: User, judged: list[str], rf: RequestFactory
) -> None:
    owner = known_browser()
    before = len(judged)
    for number in range(300):
        place = {
            "REMOTE_ADDR": f"10.9.{number // 200}.{number % 200}",
            "HTTP_USER_AGENT": f"agent {number % 7}",
        }
        if number < 30:
            assert guess("trader", **place) == (200 if number < 9 else 429)
        else:  # what the page calls
            assert authenticate(rf.post(LOG_IN, **place), username="trader", password=WRONG) is None
    assert len(judged) - before == 10
    assert guess("trader", PASSWORD, REMOTE_ADDR="10.10.0.1") == 429, "nor is the right one taken elsewhere"
    assert guess("trader", PASSWORD, client=owner, REMOTE_ADDR="10.10.0.2") == 302, (
        "it is where it was used before"
    )
    rows = AuditEntry.objects.values_list("action", flat=True)
    assert (list(rows).count("session.log_in_failed"), list(rows).count("session.locked_out")) == (10, 1)


def test_of_many_guesses_from_one_address_for_many_accounts_ten_are_judged(
    trader: User, risk_officer: User, judged: list[str]
) -> None:
    answers = [guess(name) for number in range(30) for name in ("trader", "risk", f"nobody{number}")]
    assert answers == [200] * 9 + [429] * 81
    assert len([word for word in judged if word == WRONG]) <= 10
    assert guess("risk", PASSWORD, REMOTE_ADDR="10.0.0.9") == 302, "seven of them were for this one"


def test_names_that_nobody_has_lock_as_those_that_somebody_has(trader: User) -> None:
    for name in ("trader", "nobody"):
        answers = [guess(name, REMOTE_ADDR=f"10.{len(name)}.0.{number}") for number in range(12)]
        assert answers == [200] * 9 + [429] * 3, name
    assert not AccessAttempt.objects.filter(username="nobody").exists(), "it may have been a password"


def test_a_log_in_forgives_what_was_guessed_on_its_device_and_nothing_else(
    trader: User, model_owner: User
) -> None:
    for _number in range(9):
        assert guess("trader", REMOTE_ADDR="10.0.0.1") == 200
    # An insider on the same address does not get the count down by logging in as themselves.
    assert guess("model_owner", PASSWORD, REMOTE_ADDR="10.0.0.1") == 302
    assert guess("trader", REMOTE_ADDR="10.0.0.1") == 429
    owner = known_browser("model_owner", REMOTE_ADDR="10.0.0.2")
    for _ in range(3):
        for _ in range(9):
            assert guess("model_owner", client=owner) == 200
        assert guess("model_owner", PASSWORD, client=owner) == 302


def test_a_known_device_has_ten_guesses_too_wherever_it_is_taken(trader: User, judged: list[str]) -> None:
    stolen = known_browser()
    before = len(judged)
    answers = [
        guess("trader", client=stolen, REMOTE_ADDR=f"10.0.0.{number}", HTTP_USER_AGENT=f"agent {number}")
        for number in range(60)
    ]
    assert answers == [200] * 9 + [429] * 51
    assert len(judged) - before == 10
    assert guess("trader", PASSWORD) == 302, "which locks nobody else out"


def test_the_cookie_of_a_device_is_signed_bound_to_one_account_and_no_scripts_business(
    trader: User, risk_officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = known_browser()
    (name,) = [name for name in client.cookies if name.startswith("device-")]
    morsel = client.cookies[name]
    assert (morsel["httponly"], morsel["samesite"]) == (True, "Strict")
    assert "trader" not in name + morsel.value
    for number in range(12):
        guess("trader", REMOTE_ADDR=f"10.1.0.{number}")
        guess("risk", REMOTE_ADDR=f"10.2.0.{number}")
    other = known_devices._cookie(known_devices._mark("risk"))
    for cookie, value in (
        (other, morsel.value),
        (name, morsel.value[:-1] + "x"),
        (name, ""),
        (name, "x.y.z"),
    ):
        forged = Client()
        forged.cookies[cookie] = value
        person = "risk" if cookie == other else "trader"
        assert guess(person, PASSWORD, client=forged) == 429, cookie
    device = known_devices.known_device(type("Asked", (), {"COOKIES": {name: morsel.value}})(), "trader")  # type: ignore[arg-type]
    assert guess("trader", PASSWORD, HTTP_USER_AGENT=f"{lock_out.DEVICE}{device}") == 429, (
        "a browser only calls itself so"
    )
    monkeypatch.setattr(known_devices, "LIFE", timedelta(0))
    assert guess("trader", PASSWORD, client=client) == 429, "and it is over after its time"


def test_a_lock_out_ends_after_its_time_though_somebody_goes_on_knocking(trader: User) -> None:
    for number in range(30):
        guess("trader", REMOTE_ADDR=f"10.1.0.{number}")
    assert guess("trader", PASSWORD) == 429
    AccessAttempt.objects.filter(failures_since_start__gt=0).update(
        attempt_time=now() - timedelta(minutes=15, seconds=1)
    )
    assert guess("trader", PASSWORD) == 302


def test_addresses_that_are_none_are_one_place(trader: User, settings: Any) -> None:
    answers = [guess(f"nobody{number}", REMOTE_ADDR="") for number in range(12)]
    assert answers == [200] * 9 + [429] * 3


@pytest.mark.django_db(transaction=True)
def test_of_many_guesses_at_once_no_more_are_judged_than_are_left(trader: User, judged: list[str]) -> None:
    def once(number: int) -> int:
        try:
            return guess("trader", REMOTE_ADDR=f"10.1.0.{number}")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(24) as many:
        answers = list(many.map(once, range(72)))
    assert len(judged) <= 10
    assert answers.count(200) <= 10
    assert connection.in_atomic_block is False
