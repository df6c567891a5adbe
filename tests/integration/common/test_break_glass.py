"""Break-glass: sealed for two people, opened by both once, for an hour, with an alarm; neither raises risk alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient

from governance.domain.notices import Severity, notice_of
from governance.domain.policies.located import node_of
from governance.selectors.policies import version_in_force
from governance.services.policies import policy_change
from nautilus_site.common.clock import now
from nautilus_site.common.collectors import break_glass as figure
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.live.credentials import Credentials, watcher_of
from nautilus_site.common.management.commands import break_glass as command
from nautilus_site.common.models import AuditEntry, BreakGlass, OutboxEvent, User
from nautilus_site.common.roles import permissions_of
from nautilus_site.common.services.break_glass import (
    MOST_FAILURES,
    Kept,
    break_glass_close,
    break_glass_expire,
    break_glass_open,
    break_glass_seal,
)
from nautilus_site.common.services.change_requests import change_request_approve, change_request_create
from nautilus_site.common.services.invitations import invitation_code, invitation_link
from nautilus_site.common.services.powers import permissions_now, person_may
from nautilus_site.common.services.users import user_deactivate
from tests.integration.common.test_authorisation_matrix import ASKERS, asked, expected, filled, let_in
from tests.integration.governance.conftest import in_force

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
WORDS = {"ada": "a long password of ada", "grace": "a long password of grace"}


@pytest.fixture
def halves(db: None) -> tuple[str, str]:
    """Two traders are left, and nobody who could let anybody in."""
    for name, password in WORDS.items():
        User.objects.create_user(username=name, password=password, role="trader")
    return break_glass_seal(first="ada", second="grace")


def opened(halves: tuple[str, str], **other: str) -> BreakGlass:
    given = {"half1": halves[0], "word1": WORDS["ada"], "half2": halves[1], "word2": WORDS["grace"], **other}
    return break_glass_open(
        first=Kept(given["half1"], given["word1"]),
        second=Kept(given["half2"], given["word2"]),
        reason="all left",
    )


def roles() -> tuple[str, str]:
    return User.objects.get(username="ada").role, User.objects.get(username="grace").role


def test_both_together_let_somebody_in_again_and_neither_alone(halves: tuple[str, str]) -> None:
    opened(halves)
    assert roles() == ("admin", "risk_officer")
    ada, grace = (User.objects.get(username=name) for name in ("ada", "grace"))
    with pytest.raises(ApplicationError) as refused:
        change_request_create(
            kind="user.create", target="zoe", payload={"role": "risk_officer", "email": "z@example.org"},
            reason="r", requester=grace,
        )  # fmt: skip
    assert refused.value.code == "ROLE_REQUIRED"
    request = change_request_create(
        kind="user.create", target="zoe", payload={"role": "risk_officer", "email": "z@example.org"},
        reason="nobody is left", requester=ada,
    )  # fmt: skip
    with pytest.raises(ApplicationError):
        change_request_approve(request_id=request.pk, approver=ada)
    change_request_approve(request_id=request.pk, approver=grace)
    assert User.objects.get(username="zoe").role == "risk_officer"
    break_glass_close(reason="zoe is here")
    assert roles() == ("trader", "trader")


@pytest.mark.parametrize("wrong", ["half1", "word1", "half2", "word2"])
def test_all_four_are_needed_and_ten_attempts_end_the_seal(halves: tuple[str, str], wrong: str) -> None:
    for _ in range(MOST_FAILURES):
        with pytest.raises(ApplicationError) as refused:
            opened(halves, **{wrong: "something else"})
        assert refused.value.code == "BREAK_GLASS_REFUSED"
    assert roles() == ("trader", "trader")
    assert AuditEntry.objects.filter(action="break_glass.refused").count() == MOST_FAILURES
    with pytest.raises(ApplicationError) as refused:
        opened(halves)
    assert refused.value.code == "NOT_SEALED"


def test_somebody_who_was_switched_off_opens_nothing(halves: tuple[str, str]) -> None:
    User.objects.filter(username="grace").update(is_active=False)
    with pytest.raises(ApplicationError, match="do not belong"):
        opened(halves)


def test_it_works_once_and_for_an_hour(halves: tuple[str, str]) -> None:
    row = opened(halves)
    assert row.opened_at is not None
    assert row.ends_at == row.opened_at + timedelta(minutes=60)
    assert break_glass_expire() is False
    grace = User.objects.get(username="grace")
    request = change_request_create(
        kind="user.create", target="zoe", payload={"role": "viewer", "email": "z@example.org"},
        reason="r", requester=User.objects.get(username="ada"),
    )  # fmt: skip
    past = now() - timedelta(minutes=61)
    BreakGlass.objects.update(opened_at=past, ends_at=past + timedelta(minutes=60))
    with pytest.raises(ApplicationError) as refused:  # also while nothing has closed it yet
        change_request_approve(request_id=request.pk, approver=grace)
    assert refused.value.code == "ROLE_REQUIRED"
    assert break_glass_expire() is True
    assert roles() == ("trader", "trader")
    with pytest.raises(ApplicationError) as refused:
        opened(halves)
    assert refused.value.code == "NOT_SEALED"


def test_opening_is_an_alarm(halves: tuple[str, str]) -> None:
    opened(halves)
    (event,) = OutboxEvent.objects.filter(topic="approvals", data__kind="break_glass", data__state="opened")
    notice = notice_of("approvals", event.data)
    assert notice is not None
    assert (notice.kind, notice.severity) == ("break_glass.opened", Severity.critical)
    entry = AuditEntry.objects.get(action="break_glass.opened")
    assert (entry.actor_name, entry.reason) == ("ada and grace", "all left")
    assert not any(half in str(vars(row)) for half in halves for row in AuditEntry.objects.all())
    (metric,) = figure()
    assert [sample.value for sample in metric.samples] == [1]


def test_the_database_keeps_it_to_two_people_and_an_hour(halves: tuple[str, str]) -> None:
    row = BreakGlass.objects.get()
    for values, name in (
        ({"second": row.first}, "break_glass_is_kept_by_two_people"),
        ({"opened_at": now(), "ends_at": now() + timedelta(minutes=61)}, "break_glass_ends_within_the_hour"),
    ):
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            BreakGlass.objects.update(**values)
    with pytest.raises(ApplicationError, match="two people"):
        break_glass_seal(first="ada", second="ada")
    newer = break_glass_seal(first="ada", second="grace")
    with pytest.raises(ApplicationError, match="do not belong"):
        opened(halves)
    assert opened(newer).pk != row.pk


def test_the_command_seals_opens_tells_and_closes(
    db: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, password in WORDS.items():
        User.objects.create_user(username=name, password=password, role="trader")
    call_command("break_glass", "seal", "ada", "grace")
    halves = [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()[:2]]
    typed: Any = iter([halves[0], WORDS["ada"], halves[1], WORDS["grace"]])
    monkeypatch.setattr(command, "getpass", lambda prompt: next(typed))
    call_command("break_glass", "open", "--reason", "all left")
    call_command("break_glass", "status")
    assert "OPEN until" in capsys.readouterr().out
    call_command("break_glass", "close", "--reason", "done")
    assert roles() == ("trader", "trader")


@pytest.mark.long
def test_after_the_hour_both_may_what_they_might_before_on_every_route_though_nothing_closed_it(
    session_client: Callable[..., APIClient], clean_cache: None
) -> None:
    for name, password in WORDS.items():
        User.objects.create_user(username=name, password=password, role="viewer")
    opened(break_glass_seal(first="ada", second="grace"))
    ada, grace = (User.objects.get(username=name) for name in WORDS)
    assert (person_may(ada, "users.manage"), person_may(grace, "change.decide")) == (True, True)
    past = now() - timedelta(hours=3)
    BreakGlass.objects.update(opened_at=past, ends_at=past + timedelta(minutes=60))
    assert roles() == ("admin", "risk_officer"), "nothing closed it"
    table, viewer = expected(), ASKERS.index("viewer")
    for person in (ada, grace):
        client, wrong = session_client(person), []
        for method, route in asked()[:-1]:  # the last one ends the asker
            name = f"{method} /{route}"
            if let_in(client, method, filled(route)) != table[name][viewer]:
                wrong.append(name)
        assert wrong == [], person.username
        assert client.get("/admin/").status_code == 302
        with pytest.raises(ApplicationError):
            user_deactivate(username="grace" if person is ada else "ada", actor=person, reason="r")
        with pytest.raises(ApplicationError):
            (invitation_link if person is ada else invitation_code)(
                username="grace" if person is ada else "ada", actor=person
            )
        watcher = watcher_of(Credentials(session_key=client.session.session_key))
        assert watcher is not None
        assert watcher.permissions == permissions_of("viewer")


def test_after_the_hour_a_trader_goes_on_being_one(halves: tuple[str, str]) -> None:
    opened(halves)
    past = now() - timedelta(hours=3)
    BreakGlass.objects.update(opened_at=past, ends_at=past + timedelta(minutes=60))
    for name in WORDS:
        person = User.objects.get(username=name)
        assert permissions_now(person) == permissions_of("trader"), "who may stop things among other things"
    in_force("capital_policy", max_quota_usd=10_000)
    stricter = {**version_in_force("capital_policy").document, "max_quota_usd": "9000"}
    with pytest.raises(ApplicationError) as refused:
        policy_change(
            name="capital_policy",
            node=node_of(stricter),
            actor=User.objects.get(username="grace"),
            reason="r",
        )
    assert refused.value.code == "PERMISSION_DENIED", "which is no trader's"
    # An approved change has given her the role meanwhile: hers is not taken away.
    User.objects.filter(username="ada").update(role="risk_officer")
    assert person_may(User.objects.get(username="ada"), "change.decide")
