"""More time for a canary that is not decided: two people, only its time, and the test's promise with it."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from mlregistry.domain.canary import CanaryRules, weigh
from mlregistry.models import Canary
from mlregistry.services.canaries import canary_check
from mlregistry.services.extensions import LONGEST_S, extension_request
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import AuditEntry, ChangeRequest, OutboxEvent, Role, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.canaries import both_decided, instance

pytestmark = pytest.mark.django_db
DAY_S = 86_400.0
Clients = Callable[..., APIClient]


def asked(canary: Canary, people: tuple[User, User], days: float = 30) -> ChangeRequest:
    return extension_request(
        canary=canary, more_s=days * DAY_S, reason="too quiet a month", requester=people[0]
    )


def looked_at(canary: Canary, *, age_s: float) -> Canary:
    """The canary as a look finds it at an age."""
    both_decided()
    Canary.objects.filter(pk=canary.pk).update(started_at=timezone.now() - timedelta(seconds=age_s))
    canary_check(canary_id=canary.pk)
    return Canary.objects.get(pk=canary.pk)


def test_without_more_time_it_ends_and_people_are_told(canary: Canary) -> None:
    assert looked_at(canary, age_s=canary.rules["longest_s"] - 60).state == Canary.State.RUNNING
    over = looked_at(canary, age_s=canary.rules["longest_s"] + 1)
    assert (over.state, over.reason) == (Canary.State.ENDED, "its time is over without a winner")
    assert instance("trend").allocation == 3000, "its capital is back with the champion"
    told = OutboxEvent.objects.filter(topic="incidents").latest("pk").data
    assert (told["kind"], told["severity"]) == ("canary_ended", "warning")


def test_approved_time_moves_the_end_and_no_other_rule(canary: Canary, people: tuple[User, User]) -> None:
    before = dict(canary.rules)
    request = asked(canary, people)
    canary.refresh_from_db()
    assert canary.rules == before, "nothing changes before somebody else approves"
    assert request.effect["capital"] == "500.00 USDT"
    change_request_approve(request_id=request.pk, approver=people[1])
    canary.refresh_from_db()
    assert canary.rules == {**before, "longest_s": before["longest_s"] + 30 * DAY_S}
    assert looked_at(canary, age_s=before["longest_s"] + 29 * DAY_S).state == Canary.State.RUNNING
    assert looked_at(canary, age_s=before["longest_s"] + 30 * DAY_S + 1).state == Canary.State.ENDED
    entry = AuditEntry.objects.get(action="model.canary_extended")
    assert entry.reason == "too quiet a month"


def test_the_owner_cannot_approve_it_and_a_risk_officer_cannot_ask(
    canary: Canary, people: tuple[User, User], token_client: Clients, make_user: Any
) -> None:
    path = f"/api/v1/canaries/{canary.uid}/extend"
    body = {"more_s": DAY_S, "reason": "more"}
    owner = token_client(people[0])
    filed = owner.post(path, body, format="json")
    assert (filed.status_code, filed.json()["kind"]) == (202, "model.extend_canary")
    for role in (Role.VIEWER, Role.TRADER, Role.RISK_OFFICER, Role.ADMIN):
        client = token_client(make_user(role, username=f"{role}-2"))
        assert client.post(path, body, format="json").status_code == 403, role
    request = ChangeRequest.objects.get(kind="model.extend_canary")
    with pytest.raises((ApplicationError, Conflict), match=r"(?i)own|role|requester|yourself"):
        change_request_approve(request_id=request.pk, approver=people[0])


@pytest.mark.parametrize("more_s", [0.0, -1.0, float("nan"), LONGEST_S])
def test_time_that_is_none_or_beyond_two_years_is_refused(
    canary: Canary, people: tuple[User, User], more_s: float
) -> None:
    with pytest.raises(ApplicationError, match="more time than none"):
        extension_request(canary=canary, more_s=more_s, reason="r", requester=people[0])


@pytest.mark.parametrize(
    ("state", "code"), [("won", "CANARY_WON"), ("ended", "CANARY_OVER"), ("breached", "CANARY_OVER")]
)
def test_what_is_decided_gets_no_more_time(
    canary: Canary, people: tuple[User, User], state: str, code: str
) -> None:
    Canary.objects.update(state=state)
    canary.refresh_from_db()
    with pytest.raises(Conflict) as refused:
        asked(canary, people)
    assert refused.value.code == code


def test_a_canary_whose_time_is_over_is_not_taken_back_into_life(
    canary: Canary, people: tuple[User, User]
) -> None:
    request = asked(canary, people)
    Canary.objects.update(started_at=timezone.now() - timedelta(seconds=canary.rules["longest_s"] + 1))
    with pytest.raises(Conflict):
        change_request_approve(request_id=request.pk, approver=people[1])
    canary.refresh_from_db()
    with pytest.raises(Conflict, match="over already"):
        asked(canary, people)


def test_an_approval_is_void_when_the_canary_grew_or_ended_meanwhile(
    canary: Canary, people: tuple[User, User]
) -> None:
    request = asked(canary, people)
    Canary.objects.update(step=2, capital=600)
    with pytest.raises(Conflict):
        change_request_approve(request_id=request.pk, approver=people[1])


def test_the_command_files_the_same_request(canary: Canary, people: tuple[User, User]) -> None:
    out = io.StringIO()
    call_command(
        "models", "extend", "hmm-btcusdt-spot-1h@2", "--more", "14", "--requester", people[0].username,
        "--reason", "holidays", stdout=out,
    )  # fmt: skip
    request = ChangeRequest.objects.get(kind="model.extend_canary")
    assert str(request.pk) in out.getvalue()
    assert request.payload == {"longest_s": canary.rules["longest_s"] + 14 * DAY_S}


def test_extending_whoever_looks_promising_promotes_no_more_by_luck_than_alpha() -> None:
    """2,000 canaries without a difference; those that end near a win are given four times the time, chosen after
    looking. The share that ever wins stays under alpha, as for any stopping rule."""
    rules, runs, length = CanaryRules(dwell_s=0, fills=0), 2000, 150
    paths = np.random.default_rng(17).normal(size=(runs, 4 * length))
    won = 0
    for path in paths:
        first = weigh(path[:length].tolist(), rules, alpha=rules.alpha, age_s=1, fills=1)
        if first.won:
            won += 1
        elif first.better.log_e is not None and first.better.log_e > math.log(2.0):
            won += weigh(path.tolist(), rules, alpha=rules.alpha, age_s=1, fills=1).won
    assert 0 < won / runs <= rules.alpha
