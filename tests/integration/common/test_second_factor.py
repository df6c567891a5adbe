"""Setting up a second factor, and logging in with it: by the pages, as people do."""

from __future__ import annotations

import json
import time
from base64 import b32decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from re import findall, search
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.db import connection
from django.test import Client

from nautilus_site.common import totp
from nautilus_site.common.models import AuditEntry, RecoveryCode, SecondFactor, User
from nautilus_site.common.services.second_factor_secrets import secret_open, secret_seal
from nautilus_site.common.sessions import AUTHENTICATED_AT
from tests.conftest import PASSWORD
from tests.factories.second_factors import code_now, enrol, secret_of, wrong_code

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
LOGIN, CODE, PAGE = "/accounts/login/", "/accounts/code/", "/accounts/second-factor/"
SET_UP, CODES = "It is set up", r"[A-Z2-9]{4}(?:-[A-Z2-9]{4}){3}"


@pytest.fixture(autouse=True)
def _fresh(clean_cache: None) -> None:
    """Wrong codes of an earlier test do not count."""


def password_given(name: str = "trader", password: str = PASSWORD, **form: str) -> Client:
    client = Client()
    client.post(LOGIN, {"username": name, "password": password, **form})
    return client


def is_in(client: Client) -> bool:
    return client.get("/people/").status_code == 200


def give(client: Client, **form: str) -> Any:
    return client.post(CODE, form)


def logged_in(user: User) -> Client:
    client = password_given(user.username)
    assert give(client, code=code_now(user)).status_code == 302
    assert is_in(client)
    return client


def age(client: Client, member: str, by: timedelta) -> None:
    session = client.session
    given = session[member]
    moved = by.total_seconds()
    session[member] = {**given, "at": given["at"] - moved} if isinstance(given, dict) else given - moved
    session.save()


def audited(action: str) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action=action))


def test_one_sets_it_up_by_the_page_and_every_other_session_ends(trader: User) -> None:
    here, elsewhere = password_given(), password_given()
    assert (is_in(here), is_in(elsewhere)) == (True, True), (
        "without one the password is all that is asked for"
    )
    assert here.post(PAGE, {"action": "begin"}).status_code == 302
    shown = here.get(PAGE)
    assert "no-store" in shown["Cache-Control"]
    page = shown.content.decode()
    assert "<svg" in page
    found = search(r'class="secret">([A-Z2-7 ]+)<', page)
    assert found is not None
    secret = b32decode(found[1].replace(" ", ""))
    assert not SecondFactor.objects.filter(confirmed_at__isnull=False).exists()
    wrong = here.post(PAGE, {"action": "confirm", "code": "12345"}).content.decode()
    assert "not the code your app shows now" in wrong
    done = here.post(PAGE, {"action": "confirm", "code": totp.code_at(secret, totp.step_at(time.time()))})
    assert SET_UP in done.content.decode()
    assert len(findall(CODES, done.content.decode())) == 10
    assert (is_in(here), is_in(elsewhere)) == (True, False)
    assert not findall(CODES, here.get(PAGE).content.decode()), "shown once"
    assert found[1] not in here.get(PAGE).content.decode()
    assert secret_of(trader) == secret
    again = here.post(
        PAGE, {"action": "confirm", "code": totp.code_at(secret, totp.step_at(time.time()) + 1)}
    )
    assert "begin again" in again.content.decode(), "the form sent twice"
    assert [len(audited(f"second_factor.{what}")) for what in ("begun", "refused", "confirmed")] == [1, 1, 1]


def test_what_one_session_begins_no_other_sees_or_confirms(trader: User) -> None:
    here, found_open = password_given(), password_given()
    here.post(PAGE, {"action": "begin"})
    assert "<svg" in here.get(PAGE).content.decode()
    assert "<svg" not in found_open.get(PAGE).content.decode()
    SecondFactor.objects.update(pending_at=SecondFactor.objects.get().pending_at - timedelta(minutes=16))
    assert "<svg" not in here.get(PAGE).content.decode(), "nor does anybody after a quarter of an hour"


@pytest.mark.parametrize("action", ["begin", "codes"])
def test_setting_up_replacing_and_new_codes_take_a_recent_log_in(trader: User, action: str) -> None:
    enrol(trader)
    client = logged_in(trader)
    before = SecondFactor.objects.values_list("pending", "last_step").get()
    digests = set(RecoveryCode.objects.values_list("digest", flat=True))
    age(client, AUTHENTICATED_AT, timedelta(minutes=6))
    answer = client.post(PAGE, {"action": action})
    assert answer["Location"].startswith(LOGIN)
    assert SecondFactor.objects.values_list("pending", "last_step").get() == before
    assert set(RecoveryCode.objects.values_list("digest", flat=True)) == digests


def test_after_the_password_nobody_is_logged_in_and_after_the_code_somebody_is(trader: User) -> None:
    enrol(trader)
    client = password_given(next="/risk/")
    assert "_auth_user_id" not in client.session
    assert AUTHENTICATED_AT not in client.session
    assert not audited("session.logged_in")
    assert not is_in(client)
    assert client.get("/api/v1/tokens").status_code == 401
    assert "trader" in client.get(CODE).content.decode()
    answer = give(client, code=code_now(trader), next="/risk/")
    assert (answer.status_code, answer["Location"]) == (302, "/risk/")
    assert (is_in(client), AUTHENTICATED_AT in client.session) == (True, True)
    assert len(audited("session.logged_in")) == 1


def test_the_way_back_never_leads_to_another_host(trader: User) -> None:
    enrol(trader)
    client = password_given(next="https://evil.example/")
    answer = give(client, code=code_now(trader), next="https://evil.example/")
    assert answer["Location"] == "/"


def test_without_a_password_before_it_no_code_helps(trader: User) -> None:
    enrol(trader)
    client = Client()
    for answer in (client.get(CODE), give(client, code=code_now(trader))):
        assert answer["Location"].startswith(LOGIN)
    assert not is_in(client)


@pytest.mark.parametrize("what", ["time", "password", "off", "everywhere"])
def test_a_given_password_is_void_after_five_minutes_and_when_it_changed(trader: User, what: str) -> None:
    enrol(trader)
    client = password_given()
    if what == "time":
        age(client, "password_given", timedelta(minutes=5, seconds=1))
    elif what == "password":
        trader.set_password("another " + PASSWORD)
        trader.save()
    elif what == "off":
        User.objects.update(is_active=False)
    else:
        User.objects.update(session_epoch=99)
    assert give(client, code=code_now(trader))["Location"].startswith(LOGIN)
    User.objects.update(is_active=True)
    assert not is_in(client)


def test_four_minutes_and_a_half_are_soon_enough(trader: User) -> None:
    enrol(trader)
    client = password_given()
    age(client, "password_given", timedelta(minutes=4, seconds=30))
    assert give(client, code=code_now(trader)).status_code == 302
    assert is_in(client)


def test_a_code_works_once(trader: User) -> None:
    enrol(trader)
    code = code_now(trader)
    first, second = password_given(), password_given()
    assert give(first, code=f"{code[:3]} {code[3:]}").status_code == 302
    assert "used already" in give(second, code=code).content.decode()
    assert not is_in(second)
    assert give(second, code=code_now(trader, later=1)).status_code == 302, "the next one does"


def test_a_code_of_before_the_newest_one_used_does_not_work_either(trader: User) -> None:
    enrol(trader)
    ahead, behind = password_given(), password_given()
    code = code_now(trader)
    assert give(ahead, code=code_now(trader, later=1)).status_code == 302
    assert give(behind, code=code).status_code == 200


def test_somebody_elses_code_is_wrong(trader: User, viewer: User) -> None:
    enrol(trader)
    enrol(viewer)
    client = password_given("trader")
    assert give(client, code=code_now(viewer)).status_code == 200
    assert not is_in(client)


def test_ten_wrong_codes_lock_the_account_as_ten_wrong_passwords_do(trader: User) -> None:
    enrol(trader)
    client = password_given()
    statuses = [give(client, code=wrong_code(trader)).status_code for _ in range(10)]
    assert statuses == [200] * 9 + [429]
    assert give(client, code=code_now(trader)).status_code == 429, "the right one is not taken any more"
    assert not is_in(client)
    assert Client().post(LOGIN, {"username": "trader", "password": PASSWORD}).status_code == 429
    assert audited("session.locked_out")
    assert len(audited("second_factor.refused")) == 10


def test_the_password_between_wrong_codes_does_not_count_them_anew(trader: User) -> None:
    enrol(trader)
    statuses = [give(password_given(), code=wrong_code(trader)).status_code for _ in range(10)]
    assert statuses == [200] * 9 + [429]


def test_wrong_passwords_and_wrong_codes_are_counted_together(trader: User) -> None:
    enrol(trader)
    for _ in range(5):
        password_given(password="wrong")
    client = password_given()
    assert [give(client, code=wrong_code(trader)).status_code for _ in range(5)] == [200] * 4 + [429]


def test_a_recovery_code_lets_in_once(trader: User) -> None:
    codes = enrol(trader)
    client = password_given()
    typed = codes[3].lower().replace("-", " ")
    assert give(client, recovery=typed).status_code == 302
    assert is_in(client)
    assert "9 recovery codes left" in client.get(PAGE).content.decode()
    other = password_given()
    assert give(other, recovery=codes[3]).status_code == 200
    assert not is_in(other)
    (entry,) = audited("second_factor.recovery_code_used")
    assert (entry.target, entry.reason) == ("user:trader", "9 are left")


def test_new_recovery_codes_end_the_old_ones(trader: User) -> None:
    old = enrol(trader)
    shown = logged_in(trader).post(PAGE, {"action": "codes"})
    assert "no-store" in shown["Cache-Control"]
    new = findall(CODES, shown.content.decode())
    assert len(set(new)) == 10
    assert give(password_given(), recovery=old[0]).status_code == 200
    assert give(password_given(), recovery=new[0]).status_code == 302


def test_replacing_it_leaves_the_old_one_until_the_new_one_is_confirmed(trader: User) -> None:
    old_codes = enrol(trader)
    client = logged_in(trader)
    old = secret_of(trader)
    client.post(PAGE, {"action": "begin"})
    assert secret_of(trader) == old
    row = SecondFactor.objects.get()
    assert row.pending is not None
    new = secret_open(bytes(row.pending), user_id=trader.pk)
    assert new is not None
    code = totp.code_at(new, totp.step_at(time.time()) - 1)
    assert client.post(PAGE, {"action": "confirm", "code": code}).status_code == 200
    assert (secret_of(trader), is_in(client)) == (new, True)
    other = password_given()
    assert give(other, code=totp.code_at(old, totp.step_at(time.time()) + 1)).status_code == 200
    assert give(other, recovery=old_codes[0]).status_code == 200
    assert give(other, code=code_now(trader)).status_code == 302
    assert len(audited("second_factor.replaced")) == 1


def test_a_session_opened_past_the_page_is_none(trader: User, browser: Callable[[User], Client]) -> None:
    """A factor counts though it is not required, also for a session that has the right password and epoch."""
    enrol(trader)
    trader.refresh_from_db()
    client = browser(trader)
    assert client.get("/people/").status_code == 302
    assert "_auth_user_id" not in client.session


def test_the_admin_has_no_log_in_of_its_own(trader: User) -> None:
    enrol(trader)
    client = Client()
    answer = client.post("/admin/login/", {"username": "trader", "password": PASSWORD, "next": "/admin/"})
    assert answer["Location"].startswith(LOGIN)
    assert client.get("/admin/").status_code == 302


def test_renewing_a_log_in_asks_for_both_again_and_keeps_the_screen_on_meanwhile(trader: User) -> None:
    enrol(trader)
    client = logged_in(trader)
    age(client, AUTHENTICATED_AT, timedelta(minutes=6))
    body = json.dumps({"name": "t", "days": 1})

    def makes_a_token() -> int:
        return client.post("/api/v1/tokens", body, content_type="application/json").status_code

    assert makes_a_token() == 403
    client.post(LOGIN, {"username": "trader", "password": PASSWORD})
    assert makes_a_token() == 403, "the password alone renews nothing"
    assert is_in(client)
    assert give(client, code=code_now(trader, later=1)).status_code == 302
    assert makes_a_token() == 201


def test_another_persons_password_ends_who_was_logged_in_here(trader: User, viewer: User) -> None:
    enrol(trader)
    client = password_given("viewer")
    assert is_in(client)
    client.post(LOGIN, {"username": "trader", "password": PASSWORD})
    assert not is_in(client)


def test_the_database_alone_gives_neither_secret_nor_codes(trader: User, viewer: User, settings: Any) -> None:
    codes = enrol(trader)
    secret, row = secret_of(trader), SecondFactor.objects.get()
    assert row.sealed is not None
    sealed = bytes(row.sealed)
    kept = repr([vars(code) for code in RecoveryCode.objects.all()]).encode() + sealed
    for text in (secret, secret.hex().encode(), *(code.encode() for code in codes)):
        assert text not in kept
    assert secret_open(sealed, user_id=viewer.pk) is None, "copied onto somebody else's row it opens nothing"
    assert secret_open(secret_seal(b"x", user_id=1)[:-1] + b"?", user_id=1) is None
    settings.SECRET_KEY = "another key of the same installation, forty characters"
    assert secret_open(sealed, user_id=trader.pk) is None


def test_neither_audit_nor_lock_out_nor_log_keeps_what_was_typed(
    trader: User, caplog: Any, capsys: Any
) -> None:
    codes = enrol(trader)
    client = password_given()
    wrong = wrong_code(trader)
    give(client, code=wrong)
    give(client, recovery=codes[0] + "X")
    good = code_now(trader)
    give(client, code=good)
    kept = repr(list(AuditEntry.objects.values())) + repr(list(AccessAttempt.objects.values()))
    said = caplog.text + "".join(capsys.readouterr())
    for text in (codes[0], wrong, good, totp.secret_text(secret_of(trader))):
        assert text not in said
        assert f"={text}" not in kept
        assert codes[0] not in kept


def test_a_password_guessed_on_the_password_page_is_not_kept_by_the_lock_out(trader: User) -> None:
    client = password_given()
    form = {
        "present": "a guess of twenty chars",
        "password": "new one of twenty chars",
        "again": "new one of twenty chars",
    }
    client.post("/accounts/password/", form)
    kept = unescape(repr(list(AccessAttempt.objects.values())))
    assert AccessAttempt.objects.exists()
    assert not any(text in kept for text in form.values())


def test_the_forms_need_their_csrf_token(trader: User) -> None:
    enrol(trader)
    client = Client(enforce_csrf_checks=True)
    for path in (CODE, PAGE, "/accounts/logout/everywhere/"):
        assert client.post(path, {"code": "1"}).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_the_same_code_used_by_two_at_once_logs_in_once(trader: User) -> None:
    codes = enrol(trader)
    for form in ({"code": code_now(trader)}, *({"recovery": code} for code in codes[:3])):
        clients = [password_given() for _ in range(4)]

        def use(client: Client, form: dict[str, str] = form) -> int:
            try:
                return int(give(client, **form).status_code)
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            statuses = sorted(pool.map(use, clients))
        assert statuses == [200, 200, 200, 302], form
        assert sum(is_in(client) for client in clients) == 1
        AccessAttempt.objects.all().delete()  # three more wrong ones each time would lock the account


@pytest.mark.django_db(transaction=True)
def test_of_many_wrong_codes_sent_at_once_ten_are_looked_at(trader: User) -> None:
    enrol(trader)
    wrong, clients = wrong_code(trader), [password_given() for _ in range(14)]

    def guess(client: Client) -> int:
        try:
            return int(give(client, code=wrong).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(7) as pool:
        statuses = sorted(pool.map(guess, clients))
    assert statuses == [200] * 9 + [429] * 5
    assert len(audited("second_factor.refused")) == 10
