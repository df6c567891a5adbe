"""A new person: proposed by one, approved by another, let in by a link from the one and a code from the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry, ChangeRequest, Invitation, Role, User
from nautilus_site.common.services.change_requests import change_request_approve, change_request_create
from nautilus_site.common.services.invitations import (
    MOST_FAILURES,
    invitation_code,
    invitation_link,
    invitation_use,
)
from nautilus_site.common.services.users import user_deactivate

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
PASSWORD = "a staple for each horse battery"


def propose(requester: User, name: str = "ada", **payload: Any) -> ChangeRequest:
    payload = {"role": "trader", "email": "ada@example.org", **payload}
    return change_request_create(
        kind="user.create", target=name, payload=payload, reason="joins the desk", requester=requester
    )


@pytest.fixture
def ada(admin_person: User, risk_officer: User) -> User:
    """Approved, and without a password yet."""
    change_request_approve(request_id=propose(admin_person).pk, approver=risk_officer)
    return User.objects.get(username="ada")


@pytest.fixture
def halves(ada: User, admin_person: User, risk_officer: User) -> dict[str, str]:
    return {
        "link": invitation_link(username="ada", actor=admin_person),
        "code": invitation_code(username="ada", actor=risk_officer),
    }


def logs_in(password: str) -> bool:
    """Whether the log-in page lets `ada` in with it."""
    return Client().post("/accounts/login/", {"username": "ada", "password": password}).status_code == 302


def refusal(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ApplicationError) as refused:
        call(**arguments)
    return refused.value.code


def test_an_approved_person_has_their_role_and_no_password(ada: User) -> None:
    assert (ada.role, ada.email, ada.is_active, ada.is_staff, ada.is_superuser) == (
        *("trader", "ada@example.org", True, True, False),
    )
    assert not ada.has_usable_password()
    created = AuditEntry.objects.get(action="user.created")
    assert (created.target, created.actor_name) == ("user:ada", "risk")
    assert not logs_in("")


@pytest.mark.parametrize(
    ("name", "payload", "code"),
    [
        ("Ada Lovelace", {}, "INVALID_USERNAME"),
        ("a", {}, "INVALID_USERNAME"),
        ("watchdog", {}, "INVALID_USERNAME"),
        ("ada", {"role": "root"}, "INVALID_PERSON"),
        ("ada", {"email": "nobody"}, "INVALID_PERSON"),
        ("ada", {"password": "x" * 20}, "INVALID_PERSON"),
        ("ada", {"is_superuser": True}, "INVALID_PERSON"),
        ("admin", {}, "USER_EXISTS"),
        ("ada", {"role": ["trader", "risk_officer"]}, "ROLE_CONFLICT"),
        ("ada", {"role": ["model_owner", "risk_officer"]}, "ROLE_CONFLICT"),
        ("ada", {"role": ["admin", "risk_officer"]}, "ROLE_CONFLICT"),
    ],
)
def test_what_is_no_person_is_not_proposed(
    admin_person: User, name: str, payload: dict[str, Any], code: str
) -> None:
    assert refusal(propose, requester=admin_person, name=name, **payload) == code
    assert not ChangeRequest.objects.exists()


def test_nobody_is_given_a_second_role_beside_the_first(admin_person: User, trader: User) -> None:
    assert (
        refusal(
            change_request_create,
            kind="user.change",
            target="trader",
            reason="r",
            requester=admin_person,
            payload={"role": ["trader", "risk_officer"]},
        )
        == "ROLE_CONFLICT"
    )


def test_only_an_admin_proposes_and_never_decides(
    admin_person: User, make_user: Callable[..., User], risk_officer: User
) -> None:
    for role in set(Role.values) - {Role.ADMIN}:
        assert refusal(propose, requester=make_user(role)) == "ROLE_REQUIRED"
    asked = propose(admin_person)
    for person in (admin_person, make_user("admin")):
        code = refusal(change_request_approve, request_id=asked.pk, approver=person)
        assert code in ("SELF_APPROVAL", "ROLE_REQUIRED")
    assert not User.objects.filter(username="ada").exists()


def test_of_two_requests_for_one_name_the_second_is_void(admin_person: User, risk_officer: User) -> None:
    first, second = propose(admin_person), propose(admin_person, role="risk_officer")
    change_request_approve(request_id=first.pk, approver=risk_officer)
    assert refusal(change_request_approve, request_id=second.pk, approver=risk_officer) == "APPROVAL_VOID"
    assert User.objects.get(username="ada").role == "trader"


def test_both_halves_together_set_a_password_once(halves: dict[str, str], ada: User) -> None:
    assert refusal(invitation_use, link="x", code=halves["code"], password=PASSWORD) == "INVITATION_INVALID"
    assert refusal(invitation_use, link=halves["link"], code="AAAAA-AAAAA", password=PASSWORD) == (
        "INVITATION_INVALID"
    )
    with pytest.raises(ValidationError, match="too short"):
        invitation_use(**halves, password="short")
    assert invitation_use(**halves, password=PASSWORD) == ada
    assert refusal(invitation_use, **halves, password=PASSWORD + "!") == "INVITATION_INVALID"
    done = AuditEntry.objects.filter(target="user:ada").order_by("id").values_list("action", "actor_name")
    assert list(done) == [
        ("user.created", "risk"), ("invitation.link", "admin"), ("invitation.code", "risk"),
        ("invitation.refused", "ada"), ("invitation.used", "ada"),
    ]  # fmt: skip
    assert logs_in(PASSWORD)


def test_no_half_and_no_password_is_kept_readable_anywhere(halves: dict[str, str], ada: User) -> None:
    row = Invitation.objects.get(user=ada)
    kept = [str(vars(row)), *(str(vars(entry)) for entry in AuditEntry.objects.all())]
    kept += [str(vars(request)) for request in ChangeRequest.objects.all()]
    invitation_use(**halves, password=PASSWORD)
    kept += [str(vars(entry)) for entry in AuditEntry.objects.all()]
    for secret in (*halves.values(), halves["code"].replace("-", ""), PASSWORD):
        assert not any(secret in text for text in kept)


def test_a_half_ends_after_a_day(halves: dict[str, str]) -> None:
    for half in ("link", "code"):
        with transaction.atomic():
            Invitation.objects.update(**{f"{half}_expires_at": now() - timedelta(seconds=1)})
            assert refusal(invitation_use, **halves, password=PASSWORD) == "INVITATION_INVALID", half
            transaction.set_rollback(True)
    row = Invitation.objects.get()
    for end in (row.link_expires_at, row.code_expires_at):
        assert end is not None
        assert timedelta(hours=23, minutes=59) < end - now() <= timedelta(hours=24)


def test_a_newer_link_ends_the_earlier_one(halves: dict[str, str], admin_person: User) -> None:
    newer = invitation_link(username="ada", actor=admin_person)
    assert refusal(invitation_use, **halves, password=PASSWORD) == "INVITATION_INVALID"
    assert invitation_use(link=newer, code=halves["code"], password=PASSWORD).username == "ada"


def test_ten_wrong_codes_end_the_code_and_a_new_one_takes_a_risk_officer(
    halves: dict[str, str], risk_officer: User
) -> None:
    for _ in range(MOST_FAILURES):
        assert refusal(invitation_use, link=halves["link"], code="AAAAA", password=PASSWORD)
    assert refusal(invitation_use, **halves, password=PASSWORD) == "INVITATION_INVALID"
    fresh = invitation_code(username="ada", actor=risk_officer)
    invitation_use(link=halves["link"], code=fresh, password=PASSWORD)


def test_nobody_makes_both_halves_whatever_their_role_is_by_now(
    ada: User, admin_person: User, risk_officer: User, make_user: Callable[..., User]
) -> None:
    assert refusal(invitation_code, username="ada", actor=admin_person) == "PERMISSION_DENIED"
    assert refusal(invitation_link, username="ada", actor=risk_officer) == "PERMISSION_DENIED"
    invitation_link(username="ada", actor=admin_person)
    User.objects.filter(pk=admin_person.pk).update(role=Role.RISK_OFFICER)
    admin_person.refresh_from_db()
    assert refusal(invitation_code, username="ada", actor=admin_person) == "OTHER_HALF"
    with pytest.raises(IntegrityError), transaction.atomic():
        Invitation.objects.update(code_by=admin_person)


def test_a_person_switched_off_before_they_came_cannot_come(
    halves: dict[str, str], admin_person: User, ada: User
) -> None:
    user_deactivate(username="ada", actor=admin_person, reason="changed their mind")
    assert refusal(invitation_use, **halves, password=PASSWORD) == "INVITATION_INVALID"
    assert refusal(invitation_link, username="ada", actor=admin_person) == "PERSON_OFF"


def test_the_whole_way_over_the_api_and_the_page(
    admin_person: User, risk_officer: User, session_client: Any, token_client: Any
) -> None:
    admin, risk = session_client(admin_person), session_client(risk_officer)
    body = {
        "kind": "user.create",
        "target": "ada",
        "payload": {"role": "viewer", "email": "a@b.org"},
        "reason": "r",
    }
    asked = admin.post("/api/v1/approvals", body, format="json")
    assert (asked.status_code, asked.json()["effect"]["may_then"]) == (
        202,
        ["layouts.own", "read", "sessions.own", "tokens.own", "views.own"],
    )
    assert risk.post(f"/api/v1/approvals/{asked.json()['id']}/approve", {}, format="json").status_code == 200
    by_token = token_client(admin_person).post("/api/v1/people/ada/link")
    assert (by_token.status_code, by_token.json()["code"]) == (403, "SESSION_REQUIRED")
    link, code = admin.post("/api/v1/people/ada/link"), risk.post("/api/v1/people/ada/code")
    assert (link.status_code, link["Cache-Control"], code.status_code) == (201, "no-store", 201)
    address, _, secret = link.json()["link"].partition("#")
    assert address.endswith("/accounts/welcome/"), "what browsers send names nobody's secret"
    stranger = Client()
    form = {"link": secret, "code": "AAAAA-AAAAA", "password": PASSWORD, "again": PASSWORD}
    assert "do not belong together" in stranger.post("/accounts/welcome/", form).content.decode()
    form["code"] = code.json()["code"].lower()
    assert "differ" in stranger.post("/accounts/welcome/", {**form, "again": "x"}).content.decode()
    assert (
        "too short"
        in stranger.post("/accounts/welcome/", {**form, "password": "x", "again": "x"}).content.decode()
    )
    done = stranger.post("/accounts/welcome/", {**form, "link": link.json()["link"]})
    assert "Welcome, ada" in done.content.decode()
    assert PASSWORD not in done.content.decode()
    assert logs_in(PASSWORD)


def test_the_welcome_page_needs_its_csrf_token(halves: dict[str, str]) -> None:
    form = {**halves, "password": PASSWORD, "again": PASSWORD}
    assert Client(enforce_csrf_checks=True).post("/accounts/welcome/", form).status_code == 403


def test_the_admins_form_proposes_and_makes_nobody(
    admin_person: User, trader: User, browser: Callable[[User], Client]
) -> None:
    client, url = browser(admin_person), reverse("admin:common_user_add")
    assert client.get(url).status_code == 200
    form = {
        "username": "ada",
        "email": "ada@example.org",
        "role": "trader",
        "reason": "joins",
        "is_superuser": "on",
    }
    answer = client.post(url, form)
    asked = ChangeRequest.objects.get()
    assert answer["Location"] == reverse("admin:common_changerequest_change", args=[asked.pk])
    assert (asked.kind, asked.target, asked.payload) == (
        *("user.create", "ada"),
        {"role": "trader", "email": "ada@example.org"},
    )
    assert not User.objects.filter(username="ada").exists()
    assert browser(trader).post(url, form).status_code == 403


def test_a_person_is_switched_off_at_once_and_on_by_request(
    admin_person: User, trader: User, risk_officer: User, session_client: Any, token_client: Any
) -> None:
    script, admin = token_client(trader), session_client(admin_person)
    assert script.get("/api/v1/tokens").status_code == 200
    path = "/api/v1/people/trader/deactivate"
    assert admin.post(path, {"reason": " "}, format="json").status_code == 400
    assert admin.post(path, {"reason": "left"}, format="json").json() == {
        "username": "trader",
        "is_active": False,
    }
    assert script.get("/api/v1/tokens").status_code == 401
    assert admin.post(path, {"reason": "left"}, format="json").json()["code"] == "NO_CHANGE"
    entry = AuditEntry.objects.get(action="user.deactivated")
    assert (entry.target, entry.actor_name, entry.reason) == ("user:trader", "admin", "left")
    back = {"kind": "user.change", "target": "trader", "payload": {"is_active": True}, "reason": "is back"}
    asked = admin.post("/api/v1/approvals", back, format="json")
    assert asked.status_code == 202
    trader.refresh_from_db()
    assert not trader.is_active
    change_request_approve(request_id=asked.json()["id"], approver=risk_officer)
    assert script.get("/api/v1/tokens").status_code == 200
    off = {**back, "payload": {"is_active": False}}
    assert admin.post("/api/v1/approvals", off, format="json").json()["code"] == "IMMEDIATE"


def test_the_admins_form_switches_off_at_once(
    admin_person: User, trader: User, browser: Callable[[User], Client]
) -> None:
    url = reverse("admin:common_user_change", args=[trader.pk])
    browser(admin_person).post(url, {"role": "trader", "reason": "left"})
    trader.refresh_from_db()
    assert (trader.is_active, ChangeRequest.objects.count()) == (False, 0)


def test_neither_oneself_nor_the_last_who_could_let_anybody_in_is_switched_off(
    admin_person: User, risk_officer: User, trader: User, make_user: Callable[..., User]
) -> None:
    def off(name: str, actor: User = admin_person) -> str:
        return refusal(user_deactivate, username=name, actor=actor, reason="r")

    assert off("admin") == "OWN_ACCOUNT"
    assert off("risk") == "LAST_OF_ROLE"
    assert off("nobody") == "USER_NOT_FOUND"
    assert off("risk", trader) == "PERMISSION_DENIED"
    make_user("risk_officer", username="risk2")
    user_deactivate(username="risk", actor=admin_person, reason="r")
    assert off("risk2") == "LAST_OF_ROLE"
    other = make_user("admin", username="admin2")
    user_deactivate(username="admin", actor=other, reason="r")
    assert admin_person.is_active, "as it was read before they waited for their turn"
    assert off("admin2") == "PERMISSION_DENIED"


def test_the_command_proposes_links_lists_and_switches_off(admin_person: User, risk_officer: User) -> None:
    def run(*words: str) -> str:
        out = StringIO()
        call_command("people", *words, stdout=out)
        return out.getvalue()

    told = run("propose", "ada", "--role", "viewer", "--email", "a@b.org", "--as", "admin", "--reason", "r")
    asked = ChangeRequest.objects.get()
    assert str(asked.pk) in told
    change_request_approve(request_id=asked.pk, approver=risk_officer)
    secret = run("link", "ada", "--as", "admin").strip().rpartition("#")[2]
    code = invitation_code(username="ada", actor=risk_officer)
    rows = {row["username"]: row for row in json.loads(run("list", "--json"))}
    assert rows["ada"] == {
        "username": "ada",
        "role": "viewer",
        "state": "invited",
        "second_factor": False,
    }
    invitation_use(link=secret, code=code, password=PASSWORD)
    assert "ada is off" in run("deactivate", "ada", "--as", "admin", "--reason", "r")
    run("reactivate", "ada", "--as", "admin", "--reason", "r")
    assert ChangeRequest.objects.filter(kind="user.change", state="pending").count() == 1
    with pytest.raises(CommandError, match="ROLE_CONFLICT"):
        run(*("propose", "bob", "--role", "trader", "--role", "risk_officer"),
            *("--email", "b@b.org", "--as", "admin", "--reason", "r"))  # fmt: skip
    with pytest.raises(CommandError, match="ROLE_REQUIRED"):
        run("propose", "bob", "--role", "trader", "--email", "b@b.org", "--as", "risk", "--reason", "r")


def test_the_people_page_offers_each_half_to_whoever_makes_it(
    ada: User, admin_person: User, browser: Callable[[User], Client]
) -> None:
    propose(admin_person, name="grace")
    state = browser(admin_person).get("/state/people/").json()
    row = next(row for row in state["people"] if row["username"] == "ada")
    assert (row["is_invited"], row["state"]["text"], state["newcomers"]) == (True, "invited", ["grace"])
