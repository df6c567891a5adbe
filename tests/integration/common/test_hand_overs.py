"""Putting a request into somebody's hands: it says who should look, and changes nothing of who may decide."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from governance.domain.notices import notice_of
from nautilus_site.common.models import AuditEntry, ChangeHandOver, ChangeRequest, OutboxEvent, User
from nautilus_site.common.services import appliers
from nautilus_site.common.services.absences import absence_end, absence_set
from nautilus_site.common.services.appliers import Applier, named, register_applier
from nautilus_site.common.services.change_requests import (
    change_request_approve,
    change_request_create,
    change_request_reject,
)
from nautilus_site.common.services.hand_overs import change_request_hand_over

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
Clients = Callable[..., APIClient]
APPROVALS = "/api/v1/approvals"


@pytest.fixture(autouse=True)
def _limit(monkeypatch: pytest.MonkeyPatch, clean_cache: None) -> None:
    """A kind about which `owner` may not decide, though their role may."""
    monkeypatch.setattr(appliers, "_appliers", dict(appliers._appliers))
    register_applier(
        "toy.limit",
        Applier(
            snapshot=lambda target: {"value": "100"},
            apply=lambda request, approver: None,
            clean=lambda target, payload: payload,
            bars=lambda target, person: "owner owns it" if person.username == "owner" else "",
            rows=lambda target: [],
            target=named("limit"),
        ),
    )


@pytest.fixture
def people(make_user: Callable[..., User]) -> dict[str, User]:
    officers = ("risk", "risk2", "risk3", "owner", "gone")
    made = {name: make_user("risk_officer", username=name) for name in officers}
    made |= {role: make_user(role, username=role) for role in ("trader", "viewer", "admin")}
    User.objects.filter(username="gone").update(is_active=False)
    return made


@pytest.fixture
def request_(people: dict[str, User]) -> ChangeRequest:
    return asked(people["trader"])


def asked(person: User) -> ChangeRequest:
    return change_request_create(
        kind="toy.limit", target="limit:max", payload={"value": "200"}, reason="more room", requester=person
    )


def hand(client: APIClient, request: ChangeRequest, to: str | None, note: str = "") -> Any:
    return client.post(f"{APPROVALS}/{request.pk}/hand-over", {"to": to, "note": note}, format="json")


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json().get("code", "")


def card(client: APIClient) -> dict[str, Any]:
    (found,) = client.get("/state/approvals/").json()["pending"]
    return dict(found)


def test_a_request_stands_in_the_inbox_of_who_was_named_and_in_the_trail(
    people: dict[str, User], request_: ChangeRequest, session_client: Clients
) -> None:
    risk, risk2 = session_client(people["risk"]), session_client(people["risk2"])
    answer = hand(risk, request_, "risk2", " you know this market ")
    assert (answer.status_code, answer.json()["to"], answer.json()["note"]) == (
        201,
        "risk2",
        "you know this market",
    )
    mine = card(risk2)
    assert (mine["in_my_hands"], mine["handed"]["by"], mine["handed"]["holder"]) == (True, "risk", "risk2")
    assert mine["thread"][0]["did"] == "handed it to risk2"
    other = card(risk)
    assert (other["in_my_hands"], other["may_decide"], other["hand_to"]) == (
        False,
        True,
        ["risk", "risk2", "risk3"],
    )
    told = risk.get(f"{APPROVALS}/{request_.pk}").json()["handed_to"]
    assert (told["to"], told["holder"], told["why"]) == ("risk2", "risk2", "")
    for name, found in (("risk2", 1), ("risk", 0)):
        assert len(risk.get(APPROVALS, {"handed_to": name}).json()["results"]) == found
    entry = AuditEntry.objects.get(action="change_request.handed_over")
    assert (entry.actor, entry.target, entry.before, entry.after) == (
        people["risk"],
        "toy.limit:limit:max",
        {"in_hands_of": None},
        {"in_hands_of": "risk2"},
    )
    assert code(hand(risk, request_, "risk2")) == (409, "ALREADY_THEIRS")
    assert hand(risk2, request_, "risk3").status_code == 201, "it can be handed on"
    assert hand(session_client(people["trader"]), request_, None).status_code == 201, "or given back"
    assert card(risk2)["handed"] is None
    history = risk.get(f"{APPROVALS}/{request_.pk}/hand-over").json()
    assert [(row["by"], row["to"]) for row in history] == [
        ("risk", "risk2"),
        ("risk2", "risk3"),
        ("trader", None),
    ]


def test_who_was_named_hears_of_it_once_and_who_takes_it_need_not(
    people: dict[str, User], request_: ChangeRequest
) -> None:
    for giver, receiver in (("risk", "risk2"), ("risk3", "risk3"), ("risk", None)):
        change_request_hand_over(
            request_id=request_.pk, giver=people[giver], receiver=receiver, note="look, please"
        )
    events = OutboxEvent.objects.filter(topic="approvals", data__state="handed").order_by("pk")
    notices = [notice_of("approvals", event.data) for event in events]
    assert [notice is not None for notice in notices] == [True, False, False]
    assert notices[0] is not None
    assert (notices[0].kind, notices[0].text) == ("approval.handed", "look, please")
    assert notices[0].title == "risk2: toy.limit of limit:max is yours to decide, risk handed it over"


def test_it_gives_no_power_and_takes_none(people: dict[str, User], request_: ChangeRequest) -> None:
    change_request_hand_over(request_id=request_.pk, giver=people["trader"], receiver="risk2")
    done = change_request_approve(request_id=request_.pk, approver=people["risk"])
    assert (done.state, done.approver) == ("applied", people["risk"])
    again = asked(people["trader"])
    change_request_hand_over(request_id=again.pk, giver=people["trader"], receiver="risk2")
    User.objects.filter(username="risk2").update(role="trader")
    with pytest.raises(Exception, match="your role may not decide"):
        change_request_approve(request_id=again.pk, approver=people["risk2"])


@pytest.mark.parametrize(
    ("giver", "receiver", "refused"),
    [
        ("viewer", "risk2", (403, "PERMISSION_DENIED")),
        ("admin", "risk2", (403, "ROLE_REQUIRED")),
        ("owner", "risk2", (403, "OWN_OBJECT")),
        ("risk", "trader", (400, "INVALID_RECEIVER")),
        ("risk", "admin", (400, "INVALID_RECEIVER")),
        ("risk", "owner", (400, "INVALID_RECEIVER")),
        ("risk", "gone", (400, "INVALID_RECEIVER")),
        ("risk", "nobody", (400, "INVALID_RECEIVER")),
        ("risk", None, (409, "ALREADY_THEIRS")),
    ],
)
def test_whoever_may_not_decide_neither_names_anybody_nor_is_named(
    people: dict[str, User],
    request_: ChangeRequest,
    session_client: Clients,
    giver: str,
    receiver: str | None,
    refused: tuple[int, str],
) -> None:
    assert code(hand(session_client(people[giver]), request_, receiver)) == refused
    assert not ChangeHandOver.objects.exists()


def test_the_requester_is_never_named_no_token_names_anybody_and_what_is_over_stays(
    people: dict[str, User], session_client: Clients, token_client: Clients, age_login: Any
) -> None:
    request = asked(people["risk"])
    assert code(hand(session_client(people["risk2"]), request, "risk")) == (400, "INVALID_RECEIVER")
    assert code(hand(token_client(people["risk2"]), request, "risk3")) == (403, "SESSION_REQUIRED")
    browser = session_client(people["risk2"])
    age_login(browser, timedelta(minutes=6))
    assert hand(browser, request, "risk3").status_code == 201, "it gives no power, so no fresh log-in"
    ChangeRequest.objects.update(expires_at=timezone.now())
    assert code(hand(browser, request, "risk2")) == (409, "APPROVAL_EXPIRED")
    change_request_reject(request_id=request.pk, approver=people["risk2"])
    assert code(hand(browser, request, "risk2")) == (409, "APPROVAL_CLOSED")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"role": "viewer"}, "risk2 has no role that decides"),
        ({"is_active": False}, "risk2 is switched off"),
    ],
)
def test_it_is_everybodys_again_once_who_was_named_may_not_decide(
    people: dict[str, User],
    request_: ChangeRequest,
    session_client: Clients,
    change: dict[str, Any],
    why: str,
) -> None:
    change_request_hand_over(request_id=request_.pk, giver=people["risk"], receiver="risk2")
    User.objects.filter(username="risk2").update(**change)
    handed = card(session_client(people["risk"]))["handed"]
    assert (handed["to"], handed["holder"], handed["why"]) == ("risk2", None, why)


def test_who_is_away_holds_nothing_up_and_a_stand_in_has_it_meanwhile(
    people: dict[str, User], request_: ChangeRequest, session_client: Clients
) -> None:
    change_request_hand_over(request_id=request_.pk, giver=people["risk"], receiver="risk2")
    risk, risk2, risk3 = (session_client(people[name]) for name in ("risk", "risk2", "risk3"))
    until = timezone.now() + timedelta(days=2)
    away = risk2.put(
        "/api/v1/absences/mine", {"until": until.isoformat(), "stand_in": "risk3"}, format="json"
    )
    assert (away.status_code, away.json()["stand_in"]) == (200, "risk3")
    assert [row["person"] for row in risk.get("/api/v1/absences").json()] == ["risk2"]
    shown = card(risk3)
    assert (shown["in_my_hands"], shown["handed"]["holder"]) == (True, "risk3")
    assert f"risk2 is away until {until:%Y-%m-%d %H:%M} UTC; risk3 stands in" in shown["handed"]["why"]
    assert f"risk2 (away until {until:%Y-%m-%d %H:%M} UTC)" in shown["deciders"]
    assert shown["hand_to"] == ["risk", "risk3"], "who is away is not offered"
    event = OutboxEvent.objects.filter(data__stands_in_for="risk2").get()
    notice = notice_of("approvals", event.data)
    assert notice is not None
    assert notice.title.startswith("risk3: toy.limit of limit:max is yours to decide in place of risk2")
    again = risk2.put(
        "/api/v1/absences/mine", {"until": until.isoformat(), "stand_in": "risk3"}, format="json"
    )
    assert again.status_code == 200
    assert OutboxEvent.objects.filter(data__stands_in_for="risk2").count() == 1, "told once"
    assert code(hand(risk, request_, "risk2"))[1] == "PERSON_AWAY"
    absence_set(person=people["risk3"], until=until)
    handed = card(risk)["handed"]
    assert (handed["holder"], "and so is risk3" in handed["why"]) == (None, True)
    change_request_approve(request_id=request_.pk, approver=people["risk2"])  # no power moved
    assert risk2.delete("/api/v1/absences/mine").status_code == 204
    assert code(risk2.delete("/api/v1/absences/mine")) == (409, "NOT_AWAY")
    absences = AuditEntry.objects.filter(target="user:risk2", action__startswith="absence.")
    actions = absences.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["absence.set", "absence.set", "absence.ended"]


def test_back_again_or_after_the_day_it_is_theirs_again(
    people: dict[str, User], request_: ChangeRequest, session_client: Clients
) -> None:
    change_request_hand_over(request_id=request_.pk, giver=people["risk"], receiver="risk2")
    risk2 = session_client(people["risk2"])
    row = absence_set(person=people["risk2"], until=timezone.now() + timedelta(days=1))
    assert card(risk2)["handed"]["holder"] is None
    absence_end(person=people["risk2"])
    assert card(risk2)["in_my_hands"]
    row.until = timezone.now() - timedelta(seconds=1)
    row.save(force_insert=True)
    assert card(risk2)["in_my_hands"]
    assert session_client(people["risk"]).get("/api/v1/absences").json() == []


@pytest.mark.parametrize(
    ("person", "days", "stand_in", "refused"),
    [
        ("risk", 0, None, "INVALID_UNTIL"),
        ("risk", 91, None, "INVALID_UNTIL"),
        ("risk", 1, "risk", "INVALID_STAND_IN"),
        ("risk", 1, "trader", "INVALID_STAND_IN"),
        ("risk", 1, "gone", "INVALID_STAND_IN"),
        ("risk", 1, "nobody", "INVALID_STAND_IN"),
        ("trader", 1, "risk", "INVALID_STAND_IN"),
    ],
)
def test_an_absence_ends_and_its_stand_in_decides_requests_themselves(
    people: dict[str, User],
    session_client: Clients,
    person: str,
    days: int,
    stand_in: str | None,
    refused: str,
) -> None:
    body = {"until": (timezone.now() + timedelta(days=days)).isoformat(), "stand_in": stand_in}
    answer = session_client(people[person]).put("/api/v1/absences/mine", body, format="json")
    assert code(answer) == (400, refused)


def test_several_are_handed_over_each_on_its_own(
    people: dict[str, User], request_: ChangeRequest, session_client: Clients
) -> None:
    own = asked(people["risk2"])
    body = {"ids": [str(request_.pk), str(own.pk)], "to": "risk2", "note": "for you"}
    answer = session_client(people["risk"]).post(f"{APPROVALS}/hand-over", body, format="json").json()
    assert [(row["handed"], row["code"]) for row in answer] == [(True, ""), (False, "INVALID_RECEIVER")]
    assert ChangeHandOver.objects.get().request == request_
