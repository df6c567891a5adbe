"""People change their own password; one that is lost takes two others, neither of whom can use what they made."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry, OutboxEvent, User
from nautilus_site.common.services.invitations import invitation_code, invitation_link, invitation_use
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
PAGE = "/accounts/password/"
NEW = "a staple for each horse battery"


@pytest.fixture(autouse=True)
def _fresh(clean_cache: None) -> None:
    """Wrong guesses of an earlier test do not count."""


def logged_in(name: str = "trader", password: str = PASSWORD) -> Client:
    client = Client()
    assert client.post("/accounts/login/", {"username": name, "password": password}).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return client.get("/people/").status_code == 200


def form(**changes: str) -> dict[str, str]:
    return {"present": PASSWORD, "password": NEW, "again": NEW, **changes}


def test_a_changed_password_keeps_this_session_and_ends_the_others(trader: User) -> None:
    here, elsewhere = logged_in(), logged_in()
    assert "Changed" in here.post(PAGE, form()).content.decode()
    assert (is_in(here), is_in(elsewhere)) == (True, False)
    logged_in(password=NEW)
    refused = Client().post("/accounts/login/", {"username": "trader", "password": PASSWORD})
    assert refused.status_code == 200
    entry = AuditEntry.objects.get(action="user.password_changed")
    assert (entry.target, entry.actor_name) == ("user:trader", "trader")
    assert not any(secret in str(vars(entry)) for secret in (PASSWORD, NEW))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"present": "x" * 20}, "not your present password"),
        ({"again": NEW + "!"}, "differ"),
        ({"password": "short", "again": "short"}, "too short"),
        ({"password": "1q2w3e4r5t6y7u8i9o0p", "again": "1q2w3e4r5t6y7u8i9o0p"}, "too common"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(
    trader: User, settings: Any, changes: dict[str, str], said: str
) -> None:
    client = logged_in()
    assert said in client.post(PAGE, form(**changes)).content.decode()
    logged_in()
    assert not AuditEntry.objects.filter(action="user.password_changed").exists()


def test_who_found_a_session_open_cannot_guess_the_password_for_long(trader: User) -> None:
    found = logged_in()
    for _ in range(9):
        assert found.post(PAGE, form(present="a guess of twenty")).status_code == 200
    assert found.post(PAGE, form(present="a guess of twenty")).status_code == 429
    assert found.post(PAGE, form()).status_code == 429, "the right one is not taken any more either"


def test_a_lost_password_is_replaced_with_the_halves_of_two_others(
    trader: User, admin_person: User, risk_officer: User
) -> None:
    before = logged_in()
    halves = {
        "link": invitation_link(username="trader", actor=admin_person),
        "code": invitation_code(username="trader", actor=risk_officer),
    }
    assert is_in(before), "the password of before holds until another one is chosen"
    invitation_use(**halves, password=NEW)
    assert not is_in(before)
    logged_in(password=NEW)
    event = OutboxEvent.objects.get(topic="approvals", data__kind="password")
    assert (event.data["target"], event.data["by"]) == ("user:trader", ["admin", "risk"])
    with pytest.raises(ApplicationError, match="do not belong together"):
        invitation_use(**halves, password=NEW + "!")


def test_a_password_may_be_lost_again_and_what_was_used_stays_used(
    trader: User, admin_person: User, risk_officer: User
) -> None:
    used = []
    for number in range(2):
        halves = {
            "link": invitation_link(username="trader", actor=admin_person),
            "code": invitation_code(username="trader", actor=risk_officer),
        }
        invitation_use(**halves, password=f"{NEW} {number}")
        used.append(halves)
    logged_in(password=f"{NEW} 1")
    code = invitation_code(username="trader", actor=risk_officer)
    for halves in used:
        with pytest.raises(ApplicationError, match="do not belong together"):
            invitation_use(link=halves["link"], code=code, password=NEW)
    link = invitation_link(username="trader", actor=admin_person)
    for halves in used:
        with pytest.raises(ApplicationError, match="do not belong together"):
            invitation_use(link=link, code=halves["code"], password=NEW)
    invitation_use(link=link, code=code, password=NEW)


def test_who_made_a_half_that_was_used_may_make_the_other_one_later(
    trader: User, admin_person: User, risk_officer: User
) -> None:
    halves = {
        "link": invitation_link(username="trader", actor=admin_person),
        "code": invitation_code(username="trader", actor=risk_officer),
    }
    invitation_use(**halves, password=NEW)
    User.objects.filter(pk=admin_person.pk).update(role="risk_officer")
    assert invitation_code(username="trader", actor=User.objects.get(pk=admin_person.pk))


def test_nobody_replaces_a_password_alone_not_even_their_own(
    trader: User, admin_person: User, risk_officer: User
) -> None:
    for make, actor in ((invitation_link, admin_person), (invitation_code, risk_officer)):
        with pytest.raises(ApplicationError, match="nobody invites themselves"):
            make(username=actor.username, actor=actor)
    link = invitation_link(username="risk", actor=admin_person)
    for code in ("", "AAAAA-AAAAA"):
        with pytest.raises(ApplicationError, match="do not belong together"):
            invitation_use(link=link, code=code, password=NEW)
    logged_in("risk")


def test_people_are_told_that_a_password_was_replaced() -> None:
    from governance.domain.notices.events import notice_of

    told = notice_of(
        "approvals", {"kind": "password", "state": "replaced", "target": "user:ada", "by": ["admin", "risk"]}
    )
    assert told is not None
    assert (told.kind, told.severity.value) == ("password.replaced", "warning")
    assert "admin and risk" in told.text
